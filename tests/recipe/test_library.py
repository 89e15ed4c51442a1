"""Reading recipes: safe, and with an error that tells everything at once."""

from __future__ import annotations

import time

import pytest
from asking import refused

from pkdcli.recipe import library, schema
from pkdcli.recipe.schema import explain


@pytest.fixture
def read(tmp_path):
    def read(text, kind="schedules"):
        path = tmp_path / "mine.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return library.load(kind, str(path))

    read.path = tmp_path / "mine.yaml"
    return read


GOOD = "name: mine\nepochs: 3\nmilestones: [2]\n"


def test_a_recipe_of_ones_own(read):
    recipe = read(GOOD)
    assert (recipe.name, recipe.epochs, recipe.milestones, recipe.gamma) == ("mine", 3, [2.0], 0.1)


def test_its_name_need_not_be_the_files(read):
    assert read(GOOD.replace("mine", "another")).name == "another"


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("epoch: 3\n", "epoch: unknown key; did you mean 'epochs'?", "Allowed keys there: epochs, gamma, milestones"),
        ("qqqq: 3\n", "qqqq: unknown key.", "Allowed keys there: epochs, gamma, milestones"),
        ("gamma: 0\n", "gamma: should be greater than 0, not 0.", None),
        ("gamma: .nan\n", "gamma: should be greater than 0, not nan.", None),
        ("gamma: .inf\n", "gamma: must be a finite number, not inf.", None),
        ("gamma: abc\n", "gamma: should be a valid number, unable to parse string as a number, not 'abc'.", None),
        ("gamma: {a: 1}\n", "gamma: should be a valid number.", None),
        ("warmup: -1\n", "warmup: should be greater than or equal to 0, not -1.", None),
        ("multi_scale: [480]\n", "multi_scale.1: is missing.", None),
    ],
)
def test_one_problem_is_one_line(read, text, says, hint):
    error = refused(read, GOOD + text)
    assert error.message == f"{read.path}: {says}"
    assert (error.hint or "").startswith(hint or "")


def test_every_problem_is_told_at_once(read):
    error = refused(read, "name: Not A Name\nepochs: 0\nepoch: 3\nmilestones: [1, x]\n")
    assert error.message == (
        f"{read.path}: 4 problems:\n"
        "  name: a name is lower-case letters, digits and . + _ -, at most 64 of them, not 'Not A Name'\n"
        "  epochs: should be greater than or equal to 1, not 0\n"
        "  milestones.1: should be a valid number, unable to parse string as a number, not 'x'\n"
        "  epoch: unknown key; did you mean 'epochs'?"
    )


def test_problems_inside_a_section(read):
    text = "name: own\ntrain: {images: a, annotation: b}\nval: 3\n"
    error = refused(read, text, "datasets")
    assert error.message == (
        f"{read.path}: 3 problems:\n"
        "  train.annotations: is missing\n"
        "  train.annotation: unknown key; did you mean 'annotations'?\n"
        "  val: should be a mapping of keys to values, not 3"
    )
    assert error.hint == "Allowed keys there: annotations, images."


def test_an_empty_list_of_classes_is_not_all_classes(read):
    text = "name: own\ntrain: {images: a, annotations: b}\nval: {images: a, annotations: b}\nclasses: []\n"
    assert "classes: List should have at least 1 item" in refused(read, text, "datasets").message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: [\n", ", line 2, column 1: did not find expected node content."),
        (
            "a: !!python/object/apply:os.system [ls]\n",
            ", line 1, column 4: could not determine a constructor for the tag",
        ),
        ("name: x\nepochs: 1\nname: y\n", ", line 3, column 1: the key 'name' stands twice."),
        ("train: {images: a, images: b}\n", ", line 1, column 20: the key 'images' stands twice."),
        ("", ": should be a mapping of keys to values."),
        ("- a\n- b\n", ": should be a mapping of keys to values."),
        ("? [a, b]\n: c\n", ", line 1, column 3: found unhashable key."),
    ],
)
def test_what_is_no_recipe(read, text, says):
    error = refused(read, text)
    assert error.message.startswith(f"{read.path}{says}")
    assert error.hint


def test_a_tag_runs_nothing(read, tmp_path):
    refused(read, f"a: !!python/object/apply:os.mkdir [{tmp_path / 'made'}]\n")
    assert not (tmp_path / "made").exists()


def test_what_is_no_text(read):
    assert refused(read, b"\xff\xfe\x00").message == f"can't read {read.path}: not UTF-8 text."


def test_aliases_that_stand_for_a_billion_words_cost_nothing(read):
    lines = ["a0: &a0 [w, w, w, w, w, w, w, w, w, w]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    begin = time.process_time()
    error = refused(read, "\n".join([*lines, "name: *a9"]))
    assert time.process_time() - begin < 5
    assert len(str(error)) < 2000


def test_merge_keys_work_and_are_not_taken_for_repeated_ones(read):
    recipe = read("name: mine\ntype: x\ntitle: t\nsummary: s\nweight: {default: 1}\n"
                  "params: {a: &a {k: 1, l: 2}, b: {<<: *a, l: 3}}\n", "losses")  # fmt: skip
    assert recipe.params["b"] == {"k": 1, "l": 3}


def test_unknown_names_are_refused_with_the_nearest():
    error = refused(library.load, "pairs", "gfl101-fcos51")
    assert error.message == "unknown pair 'gfl101-fcos51'."
    assert error.hint == f"Did you mean 'gfl101-fcos50'? Allowed: {', '.join(library.names('pairs'))}."


def test_an_absent_file_of_ones_own():
    error = refused(library.load, "datasets", "nowhere/own.yaml")
    assert str(error) == "there is no recipe file nowhere/own.yaml.\nIt should describe a data set."


def test_names_are_never_paths():
    for name in ("../pairs/gfl101-fcos50", "/etc/passwd", "", "."):
        refused(library.load, "schedules", name)


def test_keys_of_nested_sections_are_known():
    assert explain._keys_at(schema.Recipe, ["scale", "teacher"]) == ["batch", "epochs", "lr"]
    assert explain._keys_at(schema.Recipe, ["data", "val"]) == ["annotations", "images"]
    assert explain._keys_at(schema.Recipe, ["nowhere"]) == []
