"""`pkd rm`: what is asked, what is removed, and what is not."""

from __future__ import annotations

import json
import sys

import pytest

from pkdcli.runs.store import write_json


@pytest.fixture
def finished(run):
    """A finished run of known size."""
    folder = run("a-run", "done", result=True)
    (folder / "recipe.yaml").write_text("version: 1\n")
    return folder


@pytest.fixture
def taught(run, here):
    """A teacher in the cache, and a run that has learned from it."""
    teacher = here.parent / "cache" / "teachers" / "big__teacher"
    write_json(teacher / "status.json", {"run": "big__teacher", "state": "done"})
    write_json(teacher / "result.json", {"role": "teacher", "metrics": {"mAP": 1.0}})
    (teacher / "teacher.pth").touch()
    student = run("student", "done", result=True)
    write_json(student / "job.json", {"teacher": str(teacher)})
    return teacher


def size(folder) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_with_yes_it_is_gone_and_the_bytes_are_said(type_, finished):
    count = size(finished)
    said = type_("rm", "a-run", "--yes")
    assert (said.code, said.err) == (0, "")
    assert said.out == f"     {count} B  {finished}\nfreed {count} B ({count} bytes)\n"
    assert not finished.exists()
    assert not list(finished.parent.iterdir())


def test_without_anybody_to_ask_nothing_is_removed(type_, finished):
    said = type_("rm", "a-run")
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        "error: nothing is removed: there is nobody to ask.\nAdd --yes; --dry-run shows what would go.\n"
    )
    assert finished.is_dir()


@pytest.mark.parametrize(("answer", "left"), [("n", True), ("y", False)])
def test_who_is_there_is_asked(type_, finished, monkeypatch, answer, left):
    asked = []
    monkeypatch.setattr(sys, "stdin", type("Terminal", (), {"isatty": lambda self: True})())
    monkeypatch.setattr("typer.confirm", lambda text: asked.append(text) or answer == "y")
    said = type_("rm", "a-run")
    assert said.code == 0
    assert asked == ["Remove 1 run for good?"]
    assert str(finished) in said.out
    assert finished.exists() is left


def test_a_dry_run_and_json(type_, finished):
    count = size(finished)
    assert type_("rm", "a-run", "--dry-run").out.endswith("; nothing is removed: leave --dry-run out\n")
    record = {"run": "a-run", "path": str(finished), "bytes": count}
    assert json.loads(type_("rm", "a-run", "--dry-run", "--json").out) == {**record, "removed": False}
    assert finished.is_dir()
    assert json.loads(type_("rm", "a-run", "--yes", "--json").out) == {**record, "removed": True}
    assert not finished.exists()


def test_a_run_that_somebody_is_at_stays(type_, run, mine, finished):
    folder = run("busy", "running", **mine)
    (folder / "recipe.yaml").touch()
    said = type_("rm", "a-run", "busy", "--yes")
    assert said.code == 2
    assert said.err.startswith("error: busy is running: ")
    assert said.err.endswith("Stop it first: pkd cancel busy\n")
    assert (folder.is_dir(), finished.is_dir()) == (True, True)


def test_a_teacher_that_others_have_stays_unless_forced(type_, taught, here):
    said = type_("rm", "big__teacher", "--yes")
    assert said.code == 2
    assert said.err.startswith("error: big__teacher is the teacher of 1 run:\n  student\n")
    assert taught.is_dir()
    assert type_("rm", "big__teacher", "--yes", "--force").code == 0
    assert not taught.exists()


def test_a_teacher_goes_with_its_only_student(type_, taught, here):
    (here / "runs" / "student" / "recipe.yaml").touch()
    assert type_("rm", "big__teacher", "student", "--yes").code == 0
    assert not taught.exists()
    assert not (here / "runs" / "student").exists()


def test_words_that_mean_no_run_or_several_remove_nothing(type_, run, finished, here):
    run("a-rug", "done", result=True)
    assert type_("rm", "--yes").err.startswith("error: give the runs to remove.\n")
    assert type_("rm", "a-ru", "--yes").err.startswith("error: 2 runs begin with 'a-ru':\n  a-rug\n  a-run\n")
    assert type_("rm", "b", "--yes").err.startswith("error: no run begins with 'b'.\n")
    (here / "recipe.yaml").write_text("my own work")
    said = type_("rm", ".", "--yes")
    assert said.err.startswith(f"error: {here} is no whole run: nothing in it is removed.\n")
    assert finished.is_dir()
