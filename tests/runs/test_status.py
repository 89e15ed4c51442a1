"""What a run's files say of it: who it is, how far it is, whether anybody is at it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from pkdcli.recipe.identity import comparable, digest, run_id
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.runs.liveness import alive, finished, held_by
from pkdcli.runs.paths import RunPaths, teachers_root
from pkdcli.runs.status import Status, columns, note_cancel
from pkdcli.runs.store import read_json, write_json


@pytest.fixture
def paths(tmp_path):
    return RunPaths(tmp_path / "run-a")


@pytest.fixture
def dead():
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def test_every_file_has_its_place(paths):
    names = (
        "recipe",
        "config",
        "job",
        "status",
        "metrics",
        "log",
        "env",
        "checkpoints",
        "student",
        "teacher",
        "result",
    )
    assert [getattr(paths, name).relative_to(paths.root).as_posix() for name in names] == [
        *("recipe.yaml", "config.py", "job.json", "status.json", "metrics.jsonl", "log.txt", "env.json", "checkpoints"),
        *("student.pth", "teacher.pth", "result.json"),
    ]
    assert paths.evaluation("bccd", "test") == paths.root / "eval" / "bccd-test.json"
    assert paths.evaluation_samples("bccd", "test") == paths.root / "eval" / "bccd-test.samples.json"
    assert paths.samples == paths.root / "samples.json"
    assert (paths.run, teachers_root(paths.root)) == ("run-a", paths.root / "teachers")
    assert [paths.weights(role).name for role in ("teacher", "distill", "baseline")] == [
        "teacher.pth",
        "student.pth",
        "student.pth",
    ]


def test_the_columns_of_a_distilled_run():
    recipe = resolve(Request(scale="tiny", loss="norm-kl", weight=3, batch_size=4, accumulate=2))
    found = columns(recipe, "r")
    wanted = {
        **{"schema": 1, "run": "r", "role": "distill", "pair": "gfl101-fcos50", "teacher": "gfl101"},
        **{"teacher_title": "GFL-Res101", "student": "fcos50", "student_title": "FCOS-Res50", "loss": "norm-kl"},
        **{"weight": 3.0, "temperature": 50.0, "schedule": "2x", "data": "shapes", "scale": "tiny", "seed": 0},
        **{"batch": 8, "levels": "index", "init": "scratch", "stat_chunk": recipe.loss.stat_chunk},
        **{"recipe_hash": digest(recipe), "comparable": comparable(recipe)},
        "experiment": digest(recipe),
    }
    assert {key: found[key] for key in wanted} == wanted
    assert run_id(recipe).endswith(found["recipe_hash"])


def test_the_columns_of_a_baseline():
    found = columns(resolve(Request(scale="tiny", loss="none")), "r")
    wanted = {"role": "baseline", "loss": "none", "teacher": None, "teacher_title": None, "weight": None}
    assert {key: found[key] for key in wanted} == wanted
    assert (found["levels"], found["stat_chunk"], found["temperature"]) == (None, None, None)


def test_a_status_goes_from_start_to_done(paths):
    status = Status(paths, resolve(Request(scale="tiny")))
    status.start()
    written = read_json(paths.status)
    assert (written["state"], written["pid"], written["host"]) == ("running", os.getpid(), socket.gethostname())
    assert (written["student"], written["loss"]) == ("fcos50", "pkd")
    status.write(phase="train", iter=5, train_loss=1.25)
    # Another process goes on with what is written.
    Status(paths).fail("the loss is NaN.", "Try less.", 1)
    written = read_json(paths.status)
    assert (written["state"], written["iter"], written["student"]) == ("failed", 5, "fcos50")
    assert written["error"] == {"message": "the loss is NaN.", "hint": "Try less.", "code": 1}
    Status(paths).start()
    assert read_json(paths.status)["error"] is None
    Status(paths).interrupt()
    assert read_json(paths.status)["state"] == "interrupted"
    Status(paths).done()
    assert (read_json(paths.status)["state"], read_json(paths.status)["phase"]) == ("done", None)


def test_a_run_is_finished_with_its_result_and_its_weights(paths):
    assert not finished(paths)
    write_json(paths.result, {"role": "teacher", "metrics": {}})
    assert not finished(paths)
    paths.student.write_bytes(b"")
    assert not finished(paths)
    paths.teacher.write_bytes(b"")
    assert finished(paths)
    for damaged in ("", "[]", '{"role": "teacher"}'):
        paths.result.write_text(damaged)
        assert not finished(paths)


def test_who_is_alive(dead):
    here = socket.gethostname()
    assert alive(os.getpid(), here)
    assert not alive(dead, here)
    assert not alive(None, here)
    assert alive(dead, "another-machine")  # nobody here can tell


def test_who_is_at_work(paths, dead):
    here = socket.gethostname()
    assert held_by(paths) is None
    write_json(paths.status, {"state": "running", "pid": os.getpid(), "host": here})
    assert held_by(paths) == f"process {os.getpid()} on {here}"
    write_json(paths.status, {"state": "done", "pid": os.getpid(), "host": here})
    assert held_by(paths) is None
    write_json(paths.status, {"state": "running", "pid": dead, "host": here})
    assert held_by(paths) is None
    paths.status.write_text("{")
    assert held_by(paths) is None


@pytest.mark.parametrize("content", ["[]", '"text"', "3", '{"state": "running", "pid": "x"}', '{"pid": 10e30}'])
def test_a_status_that_makes_no_sense_is_none(paths, content):
    paths.root.mkdir()
    paths.status.write_text(content)
    assert held_by(paths) is None
    Status(paths).start()
    assert read_json(paths.status)["state"] == "running"


def test_who_cancelled_a_run_stands_in_its_status(paths, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    status = Status(paths)
    status.write(state="running")
    status.interrupt()
    assert read_json(paths.status)["error"] is None
    note_cancel(paths)
    status.interrupt()
    written = read_json(paths.status)
    message = f"cancelled with `pkd cancel` by ann on {socket.gethostname()}"
    assert (written["state"], written["error"]) == ("interrupted", {"message": message, "hint": None, "code": 130})
    status.done()  # it had ended before it could be stopped
    assert not paths.cancel.exists()


def test_a_user_without_a_name_cancels_too(paths, monkeypatch):
    def nameless():
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", nameless)
    note_cancel(paths)
    assert read_json(paths.cancel)["by"] == f"user {os.getuid()} on {socket.gethostname()}"


def test_what_a_phase_has_done_goes_with_the_phase(paths):
    status = Status(paths)
    status.write(phase="evaluate", phase_done=3, phase_total=8)
    status.write(iter=5)
    assert (status.fields["phase_done"], status.fields["phase_total"]) == (3, 8)
    status.write(phase="train")
    assert (status.fields["phase_done"], status.fields["phase_total"]) == (None, None)
