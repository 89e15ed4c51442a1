"""`pkd cancel` and `pkd resume`: which runs stop, which go on, and how that is said."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from pkdcli.cli.progress import plain
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_json

TINY = ("--scale", "tiny", "--data")


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it never happened")


def by_me():
    from pkdcli.runs.status import note_cancel
    from pkdcli.runs.store import read_object

    paths = RunPaths(Path.cwd() / "by-me")
    note_cancel(paths)
    said = f"cancelled with `pkd cancel` by {read_object(paths.cancel)['by']}"
    assert said.endswith(f" on {socket.gethostname()}")
    return said


def test_a_cancelled_run_stops_and_a_resumed_one_ends(type_, worker, own, here):
    worker(baseline="waits")

    def state():
        return [read_json(path)["state"] for path in (here / "runs").glob("*/status.json")]

    command = [sys.executable, "-m", "pkdcli", "cancel", "fcos50__baseline"]
    answers = []

    def cancel():
        until(lambda: state() == ["running"])
        answers.append(subprocess.run(command, cwd=here, capture_output=True, text=True, check=False))

    thread = threading.Thread(target=cancel)
    thread.start()
    said = type_("train", "--loss", "none", *TINY, own)
    thread.join()
    assert said.code == 130
    assert answers[0].returncode == 0, answers[0].stderr
    assert "to save and stop" in answers[0].stdout
    assert state() == ["interrupted"]
    worker()
    said = type_("resume", "--all")
    assert (said.code, state()) == (0, ["done"])
    assert "done, mAP 20.0" in said.err
    assert type_("resume", "--all").out == "nothing to resume\n"


def test_a_run_that_waits_in_a_local_queue_leaves_it(type_, worker, own, here, shown):
    worker(baseline="waits")
    answers = []

    def cancel():
        until(lambda: [path for path in (here / "runs").glob("*__baseline*/log.txt") if path.read_text()])
        for name in ("gfl101-fcos50__mse-w30", "fcos50__baseline"):
            command = [sys.executable, "-m", "pkdcli", "cancel", name]
            answers.append(subprocess.run(command, cwd=here, capture_output=True, text=True, check=False))

    thread = threading.Thread(target=cancel)
    thread.start()
    said = type_("sweep", "--weights", "10,30", "--no-share-teacher", *TINY, own)
    thread.join()
    assert [answer.returncode for answer in answers] == [0, 0], answers
    assert answers[0].stdout.endswith(": cancelled before it started\n")
    assert said.code == 130
    assert {run.split("__")[1]: found for run, found in shown().items()} == {
        "teacher": ("done", None),
        "baseline": ("interrupted", by_me()),
        "mse-w10": ("done", None),
        "mse-w30": ("interrupted", "cancelled before it started"),
    }
    worker()
    assert type_("resume", "--all").code == 0
    assert {state for state, _ in shown().values()} == {"done"}


def test_with_a_teacher_its_students_are_cancelled_and_it_is_said_by_whom(type_, worker, own, here, monkeypatch, shown):
    monkeypatch.setattr(plain, "LINE_SECONDS", 0.0)
    worker(teacher="waits")
    answers = []

    def cancel():
        teachers = here.parent / "cache" / "teachers"
        until(lambda: any("waits" in path.read_text() for path in teachers.glob("*/log.txt")))
        (teacher,) = teachers.iterdir()
        command = [sys.executable, "-m", "pkdcli", "cancel", teacher.name]
        answers.append(subprocess.run(command, cwd=here, capture_output=True, text=True, check=False))

    thread = threading.Thread(target=cancel)
    thread.start()
    said = type_("sweep", "--weights", "10,30", *TINY, own)
    thread.join()
    assert answers[0].returncode == 0, answers[0].stderr
    assert said.code == 130
    teacher = answers[0].stdout.split(":")[0]
    cause = f"cancelled: {teacher}, which it needs, was {by_me()}"
    lines = [line.split(": ", 1) for line in said.err.splitlines() if line.startswith("gfl101-fcos50__mse-w")]
    assert [text for _, text in lines] == [cause, cause], said.err
    assert f"{teacher}: stopped: {by_me()}\n" in said.err
    found = {run.split("__")[1]: what for run, what in shown().items()}
    assert found["mse-w10"] == found["mse-w30"] == ("interrupted", cause)
    assert found["teacher"] == ("interrupted", by_me())
    assert found["baseline"] == ("done", None)
    worker()
    assert type_("resume", "--all").code == 0
    assert {what for what in shown().values()} == {("done", None)}


def test_a_student_is_resumed_with_the_teacher_it_lacks(type_, worker, own, here, shown):
    worker(teacher="fails")
    assert type_("sweep", "--weights", "10,30", *TINY, own).code == 1
    states = dict.fromkeys(("mse-w10", "mse-w30"), "failed")
    assert {run.split("__")[1]: state for run, (state, _) in shown("gfl101-fcos50").items()} == states
    worker()
    assert type_("resume", "gfl101-fcos50__mse-w10").code == 0
    found = {run.split("__")[1]: state for run, (state, _) in shown().items()}
    assert found == {"teacher": "done", "baseline": "done", "mse-w10": "done", "mse-w30": "failed"}
    assert type_("resume", "--all").code == 0
    assert {state for state, _ in shown().values()} == {"done"}


def test_resuming_takes_the_way_it_was_launched(type_, worker, own, here):
    worker(baseline="fails")
    type_("train", "--loss", "none", "--jobs", "2", "--retries", "3", *TINY, own)
    (job,) = (here / "runs").glob("*/job.json")
    launcher = read_json(job)["launcher"]
    assert (launcher["kind"], launcher["jobs"], launcher["retries"]) == ("local", 2, 3)
    worker(baseline="dies")
    said = type_("resume", "--all")
    assert said.code == 1
    assert said.err.count("started again") == 3


def test_resume_without_a_word_lists_what_there_is(type_, run):
    run("a", "interrupted")
    run("b", "done", result=True)
    said = type_("resume")
    assert (said.code, said.err) == (
        2,
        "error: give runs, or --all, and not both.\nRuns that ended without a result:\n  a\n",
    )


def test_cancelling_what_has_ended(type_, run):
    run("a", "interrupted")
    said = type_("cancel", "a")
    assert (said.code, said.out) == (0, "a: is interrupted already\n")


def test_cancelling_on_another_machine(type_, run):
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    run("a", "running", pid=1, host="elsewhere", updated=now)
    said = type_("cancel", "a")
    assert (said.code, said.out) == (1, "a: runs on elsewhere; type the command there\n")


def test_cancelling_one_of_several_that_train_together_asks_that_one_only(type_, run, mine):
    folders = [run(name, "running", **mine, shared_with=[other]) for name, other in (("a", "b"), ("b", "a"))]
    said = type_("cancel", "a")
    assert (said.code, said.out) == (0, "a: asked to save and stop; the runs that it trains together with go on\n")
    assert [(folder / ".cancel").exists() for folder in folders] == [True, False]
