"""A run's name: readable, stable, and another one for every knob that changes the result."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from pkdcli.config.teacher import teacher_recipe
from pkdcli.recipe import library
from pkdcli.recipe.identity import comparable, digest, run_id
from pkdcli.recipe.references import Import
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import (
    Data,
    Detector,
    LossUse,
    OwnTraining,
    Recipe,
    Rule,
    Scale,
    Schedule,
    Split,
    TeacherTraining,
)


def imported(name: str) -> list[Import]:
    return [Import(module=name, folder="/d", sha256="ab")]


def explicit() -> Recipe:
    """A recipe that no shipped file takes part in, with every field given a value."""
    split = {name: Split(images=f"/d/{name}/", annotations=f"/d/{name}.json") for name in ("train", "val", "test")}
    return Recipe(
        role="distill",
        pair="gfl101-fcos50",
        teacher=Detector(name="gfl101", title="GFL", kind="one-stage", config="gfl/a.py", set={"a.b": 1},
                         rules=[Rule(match={"type": "A"})],
                         imports=imported("nets")),
        student=Detector(name="fcos50", title="FCOS", kind="one-stage", config="fcos/a.py", notes="n",
                         rules=[Rule(match={"type": "B"})],
                         imports=imported("nets")),
        loss=LossUse(name="norm-kl", type="norm-kl", weight=50, temperature=2.5, stat_chunk=2, params={"p": 1},
                     imports=imported("losses")),
        schedule=Schedule(name="1x", epochs=12, milestones=[8, 11], multi_scale=(480, 800)),
        data=Data(name="shapes", **split, classes=["a", "b"], image=192, masks=True, train_images=800, fingerprint="f"),
        scale=Scale(
            name="tiny",
            data="shapes",
            image=(320, 320),
            batch=8,
            teacher=TeacherTraining(epochs=12),
            own=OwnTraining(epochs=9, lr={"AdamW": 0.1}),
            families=[Rule(match={"type": "A"})],
            rules=[Rule(match={"type": "FPN"}, set={"out_channels": 64})],
        ),
        batch=8,
        max_iters=5,
        val_images=8,
        config={"a": 1},
        imports=imported("hooks"),
    )  # fmt: skip


def leaves(value: Any, prefix: str = "") -> dict[str, Any]:
    """Every field of a recipe that is no section, by its key path."""
    found = {}
    for name in type(value).model_fields:
        part = getattr(value, name)
        found |= leaves(part, f"{prefix}{name}.") if isinstance(part, BaseModel) else {prefix + name: part}
    return found


def other(value: Any) -> Any:
    """A value that differs, of a like kind."""
    if isinstance(value, list) and value and isinstance(value[0], Import):
        return [value[0].model_copy(update={"sha256": "cd"})]
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, dict):
        return {**value, "another": 1}
    if isinstance(value, tuple):
        return (*value[:-1], other(value[-1]))
    if isinstance(value, list):
        return [*value, *value[:1]]
    return "another"


def changed(part: Any, path: str, value: Any) -> Any:
    """A copy with one leaf replaced, whatever the schema says of the value."""
    head, _, rest = path.partition(".")
    return part.model_copy(update={head: changed(getattr(part, head), rest, value) if rest else value})


# Where files lie, how often one looks, what can be read from the data's fingerprint, texts for people, and what a scale
# says that stands elsewhere in a resolved recipe, or that follows from the rest of it.
NOT_IN_THE_NAME = {
    *("checkpoint_minutes", "checkpoint_iters", "adapters", "trackers", "keep_predictions"),
    *("val_interval", "workers", "scale.val_interval", "scale.workers", "scale.batch", "scale.data", "scale.lr"),
    *("scale.batch_per_process", "scale.families"),
    *(f"data.{split}.{key}" for split in ("train", "val", "test") for key in ("images", "annotations", "joined")),
    *("data.root", "data.masks", "data.train_images", "data.get", "data.notes", "data.accept", "data.warnings"),
    *("teacher.title", "teacher.notes", "student.title", "student.notes", "schedule.notes", "scale.notes"),
}


def test_the_recipe_here_has_every_field():
    assert leaves(explicit()).keys() >= NOT_IN_THE_NAME
    assert len(leaves(explicit())) > 70


# What a config of one's own says, where the recipe here has one of mmdet's.
CONTENT = {f"{part}.config_content": "model = {'depth': 34}\n" for part in ("teacher", "student")}


@pytest.mark.parametrize("path", sorted(leaves(explicit())))
def test_every_knob_that_changes_the_result_changes_the_name(path):
    recipe = explicit()
    modified = changed(recipe, path, CONTENT.get(path) or other(leaves(recipe)[path]))
    assert (run_id(modified) == run_id(recipe)) == (path in NOT_IN_THE_NAME)


@pytest.mark.parametrize("role", ["baseline", "teacher"])
@pytest.mark.parametrize(
    "path", sorted(path for path in leaves(explicit()) if not path.startswith(("teacher.", "loss.")))
)
def test_the_same_without_a_teacher(path, role):
    alone = explicit().model_copy(update={"role": role, "teacher": None, "loss": LossUse(name="none", type="none")})
    modified = changed(alone, path, CONTENT.get(path) or other(leaves(explicit())[path]))
    # A baseline is every pair's with this student, and nothing about a teacher touches it.
    speed = {key for key in leaves(alone) if key.startswith("teacher_speed.")}
    # A teacher's own run says its batch in `batch`, and any run what its config's own training takes from the scale.
    own = {key for key in leaves(alone) if key.startswith("scale.own.")}
    same = {*NOT_IN_THE_NAME, "pair", "teacher_seed", "scale.teacher.batch", *speed, *own}
    assert (run_id(modified) == run_id(alone)) == (path in same)


def test_masks_count_where_a_detector_learns_from_them():
    for part in ("student", "teacher"):
        recipe = changed(explicit(), f"{part}.mask", True)
        assert run_id(changed(recipe, "data.masks", False)) != run_id(recipe)


def test_names_are_readable_and_stay_what_they_are():
    """A change here orphans every run that users have: it needs a reason."""
    recipe = explicit()
    assert (
        re.sub(r"[0-9a-f]{8}$", "HASH", run_id(recipe)) == "gfl101-fcos50__norm-kl-w50-t2.5__1x__shapes-tiny__s0-HASH"
    )
    assert digest(recipe) == digest(Recipe.model_validate(recipe.model_dump()))
    assert run_id(recipe).endswith(digest(recipe))


def test_a_recipe_read_back_from_yaml_has_the_same_name(tmp_path):
    from pkdcli.experiment.prepare import recipe_yaml

    (tmp_path / "recipe.yaml").write_text(recipe_yaml(explicit()))
    again = library.parse(Recipe, library.read_yaml(tmp_path / "recipe.yaml"), "recipe.yaml")
    assert again == explicit()
    assert run_id(again) == run_id(explicit())


@settings(deadline=None, max_examples=50)
@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_two_weights_are_two_runs(first, second):
    names = [run_id(changed(explicit(), "loss.weight", weight)) for weight in (first, second)]
    assert (names[0] == names[1]) == (first == second)


@settings(deadline=None, max_examples=50)
@given(st.sampled_from([1e-9, 0.1, 1, 6, 10, 33.333333, 1e6, 123456789.0]), st.integers(0, 2**31 - 1))
def test_every_name_is_a_plain_file_name(weight, seed):
    name = run_id(changed(changed(explicit(), "loss.weight", weight), "seed", seed))
    assert re.fullmatch(r"[a-z0-9][a-z0-9.+_-]*", name)
    assert len(name) < 200


def test_a_file_of_weights_is_known_by_its_content_wherever_it_lies():
    here, there = (
        explicit().model_copy(update={"teacher_checkpoint": path, "weights_sha256": "ab"}) for path in ("/a", "/b")
    )
    assert run_id(here) == run_id(there)
    assert run_id(here) != run_id(here.model_copy(update={"weights_sha256": "cd"}))


def test_a_config_of_ones_own_is_known_by_what_it_says():
    def own(text, config="/a/mine.py"):
        return run_id(changed(changed(explicit(), "student.config_content", text), "student.config", config))

    plain = "model = {'depth': 18, 'out': (0, 1)}\ntrain_cfg = {'max_epochs': 12}\n"
    assert own(plain) == own(plain, "/b/other.py")
    # The order of keys, lists in the place of tuples, and what no run depends on change nothing.
    assert own(plain) == own("work_dir = 'x'\ntrain_cfg = {'max_epochs': 12}\nmodel = {'out': [0, 1], 'depth': 18}\n")
    assert own(plain) != own(plain.replace("18", "34"))
    assert own(plain) != own(plain.replace("12", "24"))
    assert own(plain) != run_id(changed(explicit(), "student.config", "/a/mine.py"))


def test_a_module_is_known_by_its_name_and_content_wherever_it_lies():
    moved = [Import(module="nets", folder="/elsewhere", sha256="ab")]
    assert run_id(changed(explicit(), "student.imports", moved)) == run_id(explicit())
    assert run_id(changed(explicit(), "student.imports", imported("net"))) != run_id(explicit())


def test_names_of_what_is_shipped_are_those_of_the_releases_before():
    """A change here orphans every run that users have: it needs a reason."""
    found = []
    for pair in library.names("pairs"):
        tiny = resolve(Request(pair=pair, scale="tiny"))
        paper, alone = resolve(Request(pair=pair)), resolve(Request(pair=pair, scale="tiny", loss="none"))
        found += [run_id(one) for one in (tiny, paper, alone, teacher_recipe(tiny))]
    found += [run_id(resolve(alike(loss=loss, seed=1))) for loss in library.names("losses")]
    assert found == (Path(__file__).parent / "run_ids.txt").read_text().split()


# What is shared


def alike(**changes):
    return Request(scale="tiny", schedule="1x", **changes)


def test_pairs_with_the_same_student_share_its_baseline():
    students: dict[str, set[str]] = {}
    for pair in library.load_all("pairs"):
        schedule = None if pair.training == "own" else "1x"
        alone = Request(scale="tiny", schedule=schedule, pair=pair.name, loss="none")
        students.setdefault(pair.student, set()).add(run_id(resolve(alone)))
    assert all(len(names) == 1 for names in students.values())
    assert len({name for names in students.values() for name in names}) == len(students)


def test_students_of_every_seed_loss_and_schedule_share_one_teacher():
    requests = [
        alike(),
        alike(seed=3),
        alike(loss="mse", weight=30),
        alike(batch_size=4, accumulate=2, amp=True),
        Request(scale="tiny", schedule="2x+ms", epochs=3),
    ]
    assert len({run_id(teacher_recipe(resolve(request))) for request in requests}) == 1
    assert len({run_id(resolve(request)) for request in requests}) == len(requests)


def test_another_seed_of_the_teacher_is_another_teacher_and_another_student():
    first, second = resolve(alike()), resolve(alike(sets=("teacher_seed=1",)))
    assert run_id(first) != run_id(second)
    assert run_id(teacher_recipe(first)) != run_id(teacher_recipe(second))


def test_a_run_and_its_baseline_are_comparable_and_others_are_not():
    baseline = resolve(alike(loss="none"))
    for request in (alike(), alike(loss="mse", weight=3), alike(loss="norm-kl", temperature=10)):
        assert comparable(resolve(request)) == comparable(baseline)
    for request in (
        alike(seed=1),
        alike(epochs=5),
        alike(batch_size=4),
        alike(accumulate=2),
        alike(amp=True),
        alike(max_iters=3),
        alike(sets=("schedule.gamma=0.5",)),
        alike(sets=("student.lr=0.5",)),
        Request(scale="tiny", schedule="2x"),
        Request(scale="paper", data="shapes", schedule="1x"),
    ):
        assert comparable(resolve(request)) != comparable(baseline), request


def test_a_data_sets_masks_part_no_run_from_its_baseline():
    recipe = changed(explicit(), "teacher.mask", True)
    alone = recipe.model_copy(update={"role": "baseline", "teacher": None, "loss": LossUse(name="none", type="none")})
    assert comparable(recipe) == comparable(alone)
