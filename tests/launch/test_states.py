"""What is known of runs from files of every state and damage, what is written down for them, and logs' last words."""

from __future__ import annotations

import json
import os
import socket
from datetime import datetime, timedelta, timezone

import pytest

from pkdcli.errors import PkdError
from pkdcli.launch import logs
from pkdcli.launch.local.status import SILENT_MINUTES, minutes_since, on_a_machine
from pkdcli.launch.outcome import Outcome, Watcher
from pkdcli.launch.run_state import RunState, own_words, process_of, reconcile, was_silent
from pkdcli.launch.slurm import cluster
from pkdcli.launch.status import query_all
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_json, write_json

HERE = socket.gethostname()


def ago(minutes: float) -> str:
    return (datetime.now(timezone.utc) - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def paths(tmp_path):
    def paths(run="mse-1", job=None, log=None, **status) -> RunPaths:
        found = RunPaths(tmp_path / run)
        write_json(found.status, {"run": run, **status})
        if job is not None:
            write_json(found.job, job)
        if log is not None:
            found.log.write_text(log)
        return found

    return paths


def told(paths) -> tuple[str, str | None, bool]:
    (found,) = query_all([paths])
    return found.state, found.reason, found.silent


# Queued


@pytest.mark.parametrize("queue", [None, {}, [], "pid", 7, {"pid": "7"}, {"pid": -1, "host": HERE}])
def test_a_queue_that_does_not_tell_who_has_ended(paths, queue):
    run = paths(state="queued", job={"queue": queue})
    assert told(run) == ("interrupted", "never started: the pkd that queued it has ended", False)


def test_a_queue_that_lives(paths, gone):
    living = {"queue": {"pid": os.getpid(), "host": HERE}}
    assert told(paths("a", living, state="queued")) == ("queued", None, False)
    assert told(paths("b", {"queue": {"pid": gone, "host": HERE}}, state="queued"))[0] == "interrupted"
    elsewhere = {"queue": {"pid": gone, "host": "elsewhere"}}
    assert told(paths("c", elsewhere, state="queued"))[0] == "queued"
    lacked = {"message": "not started, since t failed", "hint": None, "code": 1}
    assert told(paths("d", living, state="queued", error=lacked)) == ("failed", "not started, since t failed", False)


# Running


def test_a_run_of_another_machine_is_believed_for_half_an_hour(paths):
    there = {"state": "running", "pid": 1, "host": "elsewhere"}
    assert told(paths("a", updated=ago(SILENT_MINUTES - 1), **there)) == ("running", None, False)
    state, reason, silent = told(paths("b", updated=ago(SILENT_MINUTES + 1), **there))
    assert (state, reason, silent) == ("failed", "no sign of life from elsewhere, process 1 for 31 minutes", True)
    here = {"state": "running", "pid": os.getpid(), "host": HERE}
    assert told(paths("c", updated=ago(5000), **here)) == ("running", None, False)


@pytest.mark.parametrize("updated", [None, 7, "yesterday", "2026-13-01T00:00:00Z", []])
def test_a_time_that_cannot_be_read_is_now(updated):
    assert minutes_since({"updated": updated}) == 0
    assert minutes_since({}) == 0


def test_a_process_that_is_gone_is_told_with_what_the_log_says(paths, gone):
    run = {"state": "running", "pid": gone, "host": HERE}
    assert told(paths("a", **run)) == ("failed", "its process is gone", True)
    log = "step 1\nWorker exited with SIGKILL\n"
    killed = "its process is gone; killed by SIGKILL, most often for want of memory"
    assert told(paths("b", log=log, **run)) == ("failed", killed, True)
    cut = "slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 10:00 DUE TO TIME LIMIT ***"
    assert told(paths("c", log=cut, **run)) == ("failed", "its process is gone; it reached its time limit", True)


@pytest.mark.parametrize("output", [None, 7, [], {"a": 1}, "", "absent.txt", "."])
def test_a_submission_that_was_damaged_adds_nothing(paths, gone, output):
    run = paths(state="running", pid=gone, host=HERE)
    write_json(run.root / "slurm.json", {"output": output})
    assert logs.silent_end(run, "gone") == "gone"


def test_a_submission_tells_where_slurm_wrote(paths, tmp_path):
    run = paths(state="running", log="fine\n")
    (tmp_path / "slurm-7.txt").write_text("oom_kill event\n")
    write_json(run.root / "slurm.json", {"output": str(tmp_path / "slurm-7.txt")})
    assert logs.silent_end(run, "gone") == "gone; it ran out of memory"


# Files of other shapes


@pytest.mark.parametrize("text", ["", "[]", "null", '"done"', '{"state": "runn', '{"state": ["done"]}', '{"state": 3}'])
def test_a_damaged_status_is_that_of_a_run_which_never_started(paths, text):
    run = paths()
    run.status.write_text(text)
    assert told(run)[0] == "interrupted"


@pytest.mark.parametrize("error", [None, [], "text", 3, {}, {"message": None}, {"hint": "x"}])
def test_an_error_without_words(error):
    assert own_words({"state": "failed", "error": error}) == ("failed", None)
    assert not was_silent({"error": error})


def test_done_without_a_result_has_lost_it(paths):
    assert told(paths(state="done")) == ("failed", "its result or its weights are no longer there", False)


@pytest.mark.parametrize("role", [None, 7, ["teacher"], "distill", "unknown"])
def test_a_result_of_any_role_is_one_where_the_weights_lie(paths, role):
    run = paths(state="done")
    write_json(run.result, {"role": role, "metrics": {"mAP": 1.0}})
    assert told(run)[0] == "failed"
    run.student.touch()
    assert told(run)[0] == "done"


def test_who_has_a_run():
    assert process_of({"host": "n1", "pid": 7}) == "n1, process 7"
    assert process_of({"pid": 7}) is None


# Written down


def test_what_a_run_could_not_say_is_written_once(paths, gone):
    run = paths(state="running", pid=gone, host=HERE, phase="train", eta_s=70)
    reconcile(query_all([run])[0])
    status = read_json(run.status)
    error = {"message": "its process is gone", "hint": None, "code": 1, "silent": True}
    assert (status["state"], status["phase"], status["eta_s"], status["error"]) == ("failed", None, None, error)
    before = run.status.read_bytes()
    again = query_all([run])[0]
    assert (again.state, again.reason, again.silent) == ("failed", "its process is gone", True)
    reconcile(again)
    assert run.status.read_bytes() == before


def test_a_run_that_never_started_was_interrupted(paths):
    run = paths(state="queued", job={})
    reconcile(query_all([run])[0])
    assert (read_json(run.status)["state"], read_json(run.status)["error"]["code"]) == ("interrupted", 130)


@pytest.mark.parametrize(
    "found",
    [
        {"state": "running", "status": {"state": "running"}, "reason": "x"},
        {"state": "failed", "status": {"state": "failed"}, "reason": "its own"},
        {"state": "failed", "status": {"state": "running"}, "reason": None},
        {"state": "done", "status": {"state": "running"}, "reason": "x"},
    ],
)
def test_nothing_is_written_over_what_a_run_has_said(paths, found):
    run = paths(state="running")
    before = run.status.read_bytes()
    reconcile(RunState(run, **found))
    assert run.status.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_no_error(paths, monkeypatch):
    run = paths(state="running")

    def full(*args, **keywords):
        raise PkdError("no space left.")

    monkeypatch.setattr("pkdcli.runs.status.write_json", full)
    reconcile(RunState(run, "failed", "gone", status={"state": "running"}))
    assert read_json(run.status)["state"] == "running"


# On a cluster

SLURM = {"launcher": {"name": "slurm", "kind": "slurm"}}


def submitted(paths, run="a", teacher=None, **status):
    found = paths(run, {**SLURM, "teacher": teacher}, **status)
    write_json(found.root / "slurm.json", {"job": "7", "task": 0})
    return found


@pytest.mark.parametrize("teacher", [7, ["t"], {"a": 1}, ""])
def test_a_damaged_teacher_is_none(paths, monkeypatch, teacher):
    monkeypatch.setattr(cluster, "jobs", lambda wanted=(): {})
    assert told(submitted(paths, teacher=teacher, state="queued")) == (
        "failed",
        "the scheduler no longer knows it",
        False,
    )


def test_a_stopped_teacher_stops_its_student(paths, monkeypatch):
    monkeypatch.setattr(cluster, "jobs", lambda wanted=(): {})
    error = {"message": "cancelled with `pkd cancel` by me on n1", "hint": None, "code": 130}
    teacher = paths("t", state="interrupted", error=error)
    run = submitted(paths, teacher=str(teacher.root), state="queued")
    words = "cancelled: t, which it needs, was cancelled with `pkd cancel` by me on n1"
    assert told(run) == ("interrupted", words, False)


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (1, ("running", "the scheduler does not answer", False)),
        (45, ("failed", "no sign of life for 45 minutes, and the scheduler does not answer", True)),
    ],
)
def test_a_scheduler_that_does_not_answer(paths, monkeypatch, minutes, expected):
    monkeypatch.setattr(cluster, "jobs", lambda wanted=(): None)
    assert told(submitted(paths, state="running", updated=ago(minutes))) == expected


def test_the_scheduler_is_asked_once_and_only_for_its_own(paths, monkeypatch):
    asked = []
    monkeypatch.setattr(cluster, "jobs", lambda wanted=(): asked.append(list(wanted)) or {})
    query_all([paths("x", state="queued")])
    assert asked == []
    query_all([submitted(paths, run, state="running") for run in ("a", "b")])
    assert asked == [["7_0", "7_0"]]


# Logs


def test_the_last_lines_of_a_log(tmp_path):
    log = tmp_path / "log.txt"
    assert logs.tail(log) == []
    assert logs.tail(tmp_path) == []
    log.write_bytes(b"")
    assert logs.tail(log) == []
    log.write_bytes(b"".join(b"line %d\n" % n for n in range(1000)))
    assert logs.tail(log, 2) == ["line 998", "line 999"]
    assert len(logs.tail(log)) == logs.TAIL
    log.write_bytes(b"\xff\xfe broken\nlast, without an end")
    assert logs.tail(log, 2) == ["�� broken", "last, without an end"]


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("slurmstepd: *** JOB 7 ON n1 CANCELLED AT 1 DUE TO TIME LIMIT ***", "it reached its time limit"),
        ("slurmstepd: Detected 1 oom_kill event", "it ran out of memory"),
        ("CUDA out of memory. Tried to allocate", "it ran out of memory"),
        ("*** JOB 7 ON n1 CANCELLED AT 1 DUE TO NODE FAILURE ***", "its node failed"),
        ("*** STEP 7.0 ON n1 CANCELLED AT 1 DUE TO PREEMPTION ***", "it was preempted"),
        ("slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 10:00 ***", "it was cancelled"),
        ("the user's model has said: CANCELLED", None),
        ("", None),
    ],
)
def test_last_words(log, words):
    assert logs.last_words(log) == words


# Outcomes


@pytest.mark.parametrize(
    ("outcome", "cause"),
    [
        (Outcome(3), "exit code 3"),
        (Outcome(1, died_by="SIGSEGV"), "killed by SIGSEGV"),
        (
            Outcome(1, died_by="SIGKILL"),
            "killed by SIGKILL; on Linux most often for want of memory: try a smaller --batch-size or --workers 0",
        ),
        (Outcome(1, lacked="t"), "not started, since t failed"),
        (Outcome(130, lacked="t"), "cancelled: t, which it needs, was stopped"),
        (Outcome(130, lacked="t", reason="cancelled by me"), "cancelled: t, which it needs, was cancelled by me"),
    ],
)
def test_how_a_job_ended_in_words(outcome, cause):
    assert outcome.cause == cause


def test_a_watcher_keeps_everything_to_itself(capsys, tmp_path):
    from pkdcli.launch.job import JobSpec

    job = JobSpec("a", (), tmp_path)
    with Watcher() as watcher, watcher.doing("something"):
        for call in (
            lambda: watcher.on_note("x"),
            lambda: watcher.on_warning("x"),
            lambda: watcher.on_data("x", None, None),
            lambda: watcher.on_plan({}, []),
            lambda: watcher.on_share([], "x"),
            lambda: watcher.on_submit("x", None, "x"),
            lambda: watcher.on_start(job),
            lambda: watcher.on_tick(job),
            lambda: watcher.on_retry(job, Outcome(1), 0),
            lambda: watcher.on_end(job, Outcome(1)),
        ):
            assert call() is None
    assert watcher.at_scale_tiny() == 'scale="tiny"'
    assert capsys.readouterr() == ("", "")


def test_a_status_that_is_no_status_is_json_all_the_same(paths):
    run = paths(state="running", pid="x", host=3)
    found = on_a_machine(run, json.loads(run.status.read_text()))
    assert (found.state, found.reason) == ("failed", "its process is gone")
