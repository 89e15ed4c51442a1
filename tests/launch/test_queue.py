"""Many jobs: their order, their failures, Ctrl-C, and what is left behind."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from contextlib import suppress

import pytest

from pkdcli.launch import queue
from pkdcli.launch.local import LocalProcess
from pkdcli.launch.queue import Outcome, run_all


class Log:
    """A watcher that remembers, and does something at a given event."""

    def __init__(self, at=None, do=None):
        self.events, self.at, self.do = [], at, do

    def _note(self, *event):
        self.events.append(event)
        if self.at == event[0]:
            self.do()

    def began(self, spec):
        self._note("began", spec.name)

    def ticked(self, spec):
        self._note("ticked", spec.name)

    def ended(self, spec, outcome):
        self._note("ended", spec.name, outcome)

    def __getitem__(self, name):
        return [event[1:] for event in self.events if event[0] == name]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.01)


def wait_for(path, text="running"):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(OSError):
            if text in path.read_text():
                return
        time.sleep(0.01)
    raise AssertionError(f"{path} never held {text!r}")


def gone(pid):
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return False
    return True


def test_jobs_run_in_order_and_each_ends_before_the_next_begins(job):
    log = Log()
    outcomes = run_all([job("a"), job("b")], log)
    assert outcomes == {"a": Outcome(0), "b": Outcome(0)}
    events = [event[:2] for event in log.events if event[0] != "ticked"]
    assert events == [("began", "a"), ("ended", "a"), ("began", "b"), ("ended", "b")]


def test_output_and_environment(job, tmp_path):
    run_all([job("a", PKD_SPECIAL="x y")], Log())
    assert (tmp_path / "runs" / "a" / "log.txt").read_text() == "hello from a\n"


def test_the_log_of_an_earlier_attempt_is_kept(job, tmp_path):
    run_all([job("a", "fails")], Log())
    run_all([job("a")], Log())
    assert (tmp_path / "runs" / "a" / "log.txt").read_text() == "hello from a\nhello from a\n"


def test_a_failing_job_does_not_stop_the_others(job):
    outcomes = run_all([job("a", "fails"), job("b"), job("c", "dies"), job("d", "lacks"), job("e")], Log())
    assert outcomes == {
        "a": Outcome(1),
        "b": Outcome(0),
        "c": Outcome(1, died_by="SIGKILL"),
        "d": Outcome(3),
        "e": Outcome(0),
    }


@pytest.mark.parametrize(("manner", "name"), [("dies", "SIGKILL"), ("crashes", "SIGABRT")])
def test_a_death_by_signal_has_its_name(job, manner, name):
    assert run_all([job("a", manner)], Log())["a"].died_by == name


def test_a_student_whose_teacher_failed_is_not_started(job, tmp_path):
    log = Log()
    jobs = [
        job("teacher", "fails"),
        job("student", needs=("teacher",)),
        job("baseline"),
        job("late", needs=("student",)),
    ]
    outcomes = run_all(jobs, log)
    assert outcomes["student"] == Outcome(1, lacked="teacher")
    assert outcomes["late"] == Outcome(1, lacked="student")
    assert outcomes["baseline"] == Outcome(0)
    assert log["began"] == [("teacher",), ("baseline",)]
    assert [event[0] for event in log["ended"]] == ["teacher", "student", "baseline", "late"]
    assert not (tmp_path / "runs" / "student").exists()


def test_what_was_done_before_counts_as_done(job):
    assert run_all([job("student", needs=("teacher",))], Log(), done=["teacher"])["student"] == Outcome(0)


def test_a_need_that_nobody_meets_is_not_met(job):
    assert run_all([job("student", needs=("teacher",))], Log())["student"] == Outcome(1, lacked="teacher")


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome(3), "exit code 3"),
        (Outcome(1, died_by="SIGSEGV"), "killed by SIGSEGV"),
        (
            Outcome(1, died_by="SIGKILL"),
            "killed by SIGKILL; on Linux most often for want of memory: try a smaller --batch-size or --workers 0",
        ),
        (Outcome(1, lacked="t"), "not started, since t failed"),
    ],
)
def test_causes_in_words(outcome, words):
    assert outcome.cause == words


# Ctrl-C, as a real signal to this process


def press(times, path, between=0.0):
    """Press Ctrl-C once the worker is at work, in a thread."""

    def go():
        wait_for(path)
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(between)

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    return thread


def test_the_first_ctrl_c_asks_the_job_to_save_and_starts_no_other(job, tmp_path):
    log, run = Log(), tmp_path / "runs" / "a"
    thread = press(1, run / "status.json")
    with pytest.raises(KeyboardInterrupt):
        run_all([job("a", "waits"), job("b")], log)
    thread.join()
    assert (run / "log.txt").read_text() == "hello from a\nsaved\n"
    assert json.loads((run / "status.json").read_text())["state"] == "interrupted"
    assert log["ended"] == [("a", Outcome(130))]
    assert log["began"] == [("a",)]


def test_a_second_ctrl_c_kills_a_job_that_does_not_listen(job, tmp_path):
    log, run = Log(), tmp_path / "runs" / "a"
    thread = press(2, run / "status.json", between=0.3)
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_all([job("a", "deaf")], log)
    thread.join()
    assert time.monotonic() - begin < 20
    assert gone(json.loads((run / "status.json").read_text())["pid"])
    assert log["ended"] == [("a", Outcome(130))]


@pytest.mark.parametrize("event", ["began", "ticked"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, BrokenPipeError])
def test_nothing_is_left_behind_whatever_happens_to_the_watcher(job, tmp_path, event, error):
    run = tmp_path / "runs" / "a"

    def fail():
        wait_for(run / "status.json")
        raise error

    with pytest.raises(error):
        run_all([job("a", "waits")], Log(event, fail))
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "interrupted"
    assert gone(status["pid"])


# One process


def test_ctrl_c_in_the_terminal_does_not_reach_the_job_directly(job):
    process = LocalProcess(job("a", "waits"))
    assert os.getsid(process._process.pid) == process._process.pid != os.getsid(0)
    process.kill()
    assert (process.poll(), process.died_by) == (1, "SIGKILL")


def test_stopping_and_killing_what_has_ended_is_no_error(job):
    process = LocalProcess(job("a"))
    process._process.wait()
    process.stop()
    process.kill()
    assert (process.poll(), process.died_by) == (0, None)
