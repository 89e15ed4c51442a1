"""The recipe and the weights of a detector alone, out of runs that are finished, not finished, and damaged."""

from __future__ import annotations

import pytest

from pkdcli.data.prepare import facts
from pkdcli.errors import PkdError
from pkdcli.experiment import plan, prepare
from pkdcli.experiment.derived_recipes import of_checkpoint, of_run, recipe_of
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.runs.store import read_json, write_json


@pytest.fixture
def runs(tmp_path):
    """A teacher's run and its student's, prepared."""
    recipe = resolve(Request(scale="tiny", loss="mse"))
    recipe = recipe.model_copy(update={"data": facts(recipe.data, tmp_path)})
    planned = plan.plan([recipe], tmp_path / "runs", tmp_path / "cache")
    for one in planned:
        prepare.prepare(one, tmp_path / "cache")
    return [one.paths for one in planned]


def test_a_finished_run_gives_both_detectors(runs):
    teacher, student = runs
    student.student.touch()
    teacher.teacher.touch()
    own, weights = of_run(student, "student")
    assert (own.student.name, own.teacher, own.loss.name, weights) == ("fcos50", None, "none", student.student)
    other, weights = of_run(student, "teacher")
    assert (other.student.name, other.teacher, weights) == ("gfl101", None, teacher.teacher)
    again, weights = of_run(teacher, "student")  # which is what that run has trained
    assert (again.student.name, weights) == ("gfl101", teacher.teacher)
    assert own.data == recipe_of(student).data


def test_what_is_not_there(runs):
    teacher, student = runs
    with pytest.raises(PkdError) as caught:
        of_run(student, "student")
    assert caught.value.message == f"{student.run} is not finished: there is no {student.student}."
    assert caught.value.hint == "Type its command again to go on with it."
    with pytest.raises(PkdError) as caught:
        of_run(student, "teacher")
    assert (caught.value.message, caught.value.hint) == (
        f"{student.run} is not finished: there is no {teacher.teacher}.",
        None,
    )
    with pytest.raises(PkdError, match=f"^{teacher.run} has no teacher") as caught:
        of_run(teacher, "teacher")
    assert caught.value.hint == "It is a baseline or a teacher itself: --model student."


@pytest.mark.parametrize("job", ["", "[]", "{}", '{"teacher": null}', '{"teacher": 7}', '{"teacher": ""}', "{half"])
def test_a_damaged_job_names_the_file(runs, job):
    _, student = runs
    student.job.write_text(job)
    with pytest.raises(PkdError) as caught:
        of_run(student, "teacher")
    assert caught.value.message == f"{student.job}: it does not say where the teacher is."


@pytest.mark.parametrize("text", ["", "a: [1", "- 1\n", "loss: 3\n"])
def test_a_damaged_recipe_names_the_file(runs, text):
    _, student = runs
    student.recipe.write_text(text)
    with pytest.raises(PkdError) as caught:
        of_run(student, "student")
    assert str(student.recipe) in caught.value.message


def test_a_run_comes_back_from_its_folder_as_it_was_planned(runs, tmp_path):
    teacher, student = runs
    planned, job = prepare.restored(student, tmp_path / "cache")
    assert [one.paths for one in planned] == [teacher, student]
    assert [one.run for one in planned] == [teacher.run, student.run]
    assert planned[1].teacher is planned[0]
    assert job == read_json(student.job)
    (alone,), _ = prepare.restored(teacher, tmp_path / "cache")
    assert alone.paths == teacher


@pytest.mark.parametrize("teacher", [None, "", 7, ["x"]])
def test_a_teacher_that_is_not_named_is_where_it_would_be(runs, tmp_path, teacher):
    there, student = runs
    write_json(student.job, {"teacher": teacher})
    planned, _ = prepare.restored(student, tmp_path / "cache")
    assert planned[0].paths == there


def test_bare_weights_need_a_detector(tmp_path, runs):
    weights = tmp_path / "a b.pth"
    with pytest.raises(PkdError) as caught:
        of_checkpoint(weights, None, None, None)
    assert caught.value.message == f"{weights}: what detector is it?"
    assert caught.value.hint == "Say so with --detector NAME (and --scale tiny); see `pkd list detectors`."
    _, student = runs
    with pytest.raises(PkdError) as caught:
        of_checkpoint(student.student, None, None, None)
    assert caught.value.hint == f"It lies in a run, which knows: pkd eval {student.root}"


@pytest.mark.parametrize(("scale", "expected"), [(None, "paper"), ("tiny", "tiny")])
def test_bare_weights_of_a_detector(tmp_path, monkeypatch, scale, expected):
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    recipe, weights = of_checkpoint(Path("w.pth"), "fcos50", scale, None)
    assert (recipe.student.name, recipe.scale.name, recipe.teacher, weights) == (
        "fcos50",
        expected,
        None,
        tmp_path / "w.pth",
    )
    with pytest.raises(PkdError, match="unknown detector 'fcos5'"):
        of_checkpoint(Path("w.pth"), "fcos5", scale, None)
