"""`pkd train --recipe FILE`: a run once more from what it left, checked like any recipe."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from pkdcli.runs.store import read_json

TINY = ("--scale", "tiny", "--data")


@pytest.fixture
def made(type_, worker, own, here) -> Path:
    """A finished student of norm-kl, by stand-ins."""
    worker()
    said = type_("train", *TINY, own, "--loss", "norm-kl", "--weight", "7", "--seed", "3", "-q")
    assert said.code == 0, said.err
    return next((here / "runs").glob("*norm-kl*"))


def plan(type_, *words) -> list[dict]:
    said = type_("train", *words, "--dry-run", "--json")
    assert said.code == 0, said.err
    return [json.loads(line) for line in said.out.splitlines()]


def edited(made: Path, **changes) -> Path:
    """A copy of the run's recipe with some keys changed, `loss__weight=3` for `loss.weight`."""
    content = yaml.safe_load((made / "recipe.yaml").read_text())
    for path, value in changes.items():
        node, keys = content, path.split("__")
        for key in keys[:-1]:
            node = node[key]
        node[keys[-1]] = value
    copy = made.parent.parent / "copy.yaml"
    copy.write_text(yaml.safe_dump(content))
    return copy


@pytest.mark.parametrize("which", ["recipe.yaml", "."])
def test_it_is_the_same_run(type_, made, which):
    *_, found = plan(type_, "--recipe", made / which)
    assert (found["run"], found["state"]) == (made.name, "done")
    before = read_json(made / "result.json")
    assert type_("train", "--recipe", made / which, "-q").code == 0
    assert read_json(made / "result.json") == before


def test_a_copy_elsewhere_makes_the_same_run_there(type_, made, here):
    (here / "sub").mkdir()
    shutil.copy(made / "recipe.yaml", here / "sub" / "mine.yaml")
    said = type_("train", "--recipe", "sub/mine.yaml", "--runs", "there", "-q")
    assert said.code == 0, said.err
    assert [path.name for path in (here / "there").iterdir()] == [made.name]
    assert read_json(here / "there" / made.name / "result.json")["metrics"]["mAP"] == 30.7


def test_a_teachers_recipe_makes_the_teacher(type_, made, here):
    (teacher,) = (here.parent / "cache" / "teachers").iterdir()
    (found,) = plan(type_, "--recipe", teacher)
    assert (found["run"], found["dir"], found["state"]) == (teacher.name, str(teacher), "done")


def test_another_seed_and_what_changes_no_number(type_, made):
    *_, found = plan(type_, "--recipe", made, "--seed", "0", "--workers", "1", "--checkpoint-iters", "9")
    assert found["run"].startswith(made.name.split("__s3-")[0] + "__s0-")  # though 0 is the default
    assert [found["recipe"][key] for key in ("seed", "workers", "checkpoint_iters")] == [0, 1, 9]
    *_, same = plan(type_, "--recipe", made, "--workers", "1", "--threads", "2", "--tracker", "tensorboard")
    assert same["run"] == made.name


@pytest.mark.parametrize(
    ("words", "names", "keys"),
    [
        (("--pair", "gfl101-fcos50"), "--pair", "`teacher and student`"),  # though it is the default
        (("--loss", "mse", "--epochs", "3"), "--loss, --epochs", "`loss`, `schedule.epochs`"),
        (("--set", "seed=4"), "--set", "`the key itself`"),
        (("--no-pretrained",), "--pretrained", "`pretrained`"),
        (("--batch-size", "4"), "--batch-size", "`batch`"),
    ],
)
def test_what_the_recipe_has_the_say_of_is_refused(type_, made, words, names, keys):
    said = type_("train", "--recipe", made, *words)
    assert said.code == 2
    assert said.err.splitlines()[0] == f"error: {names}: not together with --recipe, which says the whole of a run."
    assert f"change {keys} in a copy of {made} and give that." in said.err


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"loss__wieght": 3}, "loss.wieght: unknown key; did you mean 'weight'?"),
        ({"schedule__epochs": 0}, "schedule.epochs: should be greater than or equal to 1, not 0."),
        ({"seed": "x"}, "seed: should be a valid integer, unable to parse string as an integer, not 'x'."),
        ({"loss__temperature": None}, "loss.temperature: loss norm-kl needs one."),
        ({"loss__temperature": 10**9}, "loss.temperature: 1e+09 is not a temperature of norm-kl."),
        ({"loss__name": "mse"}, "loss.temperature: loss mse has no temperature."),
    ],
)
def test_an_edit_is_checked_with_file_and_key(type_, made, changes, problem):
    copy = edited(made, **changes)
    said = type_("train", "--recipe", copy)
    assert said.code == 2
    assert said.err.splitlines()[0] == f"error: {copy}: {problem}"


def test_an_edit_is_another_run(type_, made):
    *_, found = plan(type_, "--recipe", edited(made, loss__weight=3.0, schedule__epochs=2))
    assert found["run"].split("__")[1] == "norm-kl-w3-t50"
    assert (found["state"], found["recipe"]["schedule"]["epochs"]) == ("to do", 2)


def test_an_edit_in_the_runs_own_folder_is_said(type_, made):
    shutil.copy(edited(made, loss__weight=3.0), made / "recipe.yaml")
    said = type_("train", "--recipe", made, "--dry-run")
    another = f"note: {made}/recipe.yaml makes another run than the one it lies with, gfl101-fcos50__norm-kl-w3-t50"
    assert another in said.err


def test_other_data_is_refused(type_, made, own):
    path = own.parent / "val.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"][0] += 1
    path.write_text(json.dumps(content))
    said = type_("train", "--recipe", made)
    assert said.code == 2
    assert said.err.startswith(f"error: {made}/recipe.yaml: data.fingerprint: is ")
    *_, found = plan(type_, "--recipe", edited(made, data__fingerprint=None))
    assert found["run"].split("-")[:-1] == made.name.split("-")[:-1]
    assert found["run"] != made.name


def test_what_is_no_recipe(type_, here, tmp_path):
    said = type_("train", "--recipe", "nothing.yaml")
    assert (said.code, said.err.splitlines()[0]) == (2, "error: --recipe: there is no file nothing.yaml.")
    assert type_("train", "--recipe", here).err.startswith(f"error: --recipe: {here} has no recipe.yaml.\n")
    (here / "pair.yaml").write_text("name: a\n")
    assert type_("train", "--recipe", "pair.yaml").err.startswith("error: pair.yaml: 8 problems:\n  role: is missing\n")


def test_the_teachers_weights_are_those_it_was_made_with(type_, worker, own, here, tmp_path):
    worker()
    given = tmp_path / "teacher.pth"
    given.write_bytes(b"weights")
    assert type_("train", *TINY, own, "--teacher-checkpoint", given, "-q").code == 0
    made = next((here / "runs").iterdir())
    given.rename(tmp_path / "moved.pth")
    # The teacher's own run has what is needed of them.
    assert plan(type_, "--recipe", made)[-1]["run"] == made.name
    shutil.rmtree(here.parent / "cache" / "teachers")
    lost = type_("train", "--recipe", made)
    assert lost.code == 2
    assert lost.err.startswith(f"error: {made}/recipe.yaml: teacher_checkpoint: there is no file {given}.\n")
    assert lost.err.endswith(f"pkd train --recipe {made}/recipe.yaml --teacher-checkpoint FILE\n")
    found = plan(type_, "--recipe", made, "--teacher-checkpoint", tmp_path / "moved.pth")
    assert (found[-1]["run"], found[-1]["recipe"]["teacher_checkpoint"]) == (made.name, str(tmp_path / "moved.pth"))
    given.write_bytes(b"others")
    other = type_("train", "--recipe", made)
    assert f"weights_sha256: {given} is another file than the run was made with." in other.err
