"""Many jobs: their order, their failures, Ctrl-C, and what is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress

import pytest

from pkdcli.launch.job import JobSpec
from pkdcli.launch.local import os_processes, queue
from pkdcli.launch.local.process import LocalProcess
from pkdcli.launch.local.queue import run_all
from pkdcli.launch.local.slots import Slot, slots
from pkdcli.launch.outcome import Outcome


class Log:
    """A watcher that remembers, and does something at a given event."""

    def __init__(self, at=None, do=None):
        self.events, self.at, self.do = [], at, do

    def _note(self, *event):
        self.events.append(event)
        if self.at == event[0]:
            self.do()

    def on_start(self, spec):
        self._note("began", spec.name)

    def on_tick(self, spec):
        self._note("ticked", spec.name)

    def on_retry(self, spec, outcome, left):
        self._note("again", spec.name, outcome, left)

    def on_end(self, spec, outcome):
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


@pytest.mark.parametrize("how", ["ends", "is killed"])
def test_temporary_files_of_a_job_go_with_it(how, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    code = "import tempfile, time; print(tempfile.mkdtemp(), 'running', flush=True); time.sleep(60 * KILLED)"
    words = (sys.executable, "-c", code.replace("KILLED", str(how == "is killed")))
    process = LocalProcess(JobSpec("a", words, tmp_path / "a"))
    wait_for(tmp_path / "a" / "log.txt")
    folder = (tmp_path / "a" / "log.txt").read_text().split()[0]
    assert folder.startswith(str(tmp_path / "tmp" / "pkd-"))
    if how == "is killed":
        process.kill()
    while process.poll() is None:
        time.sleep(0.01)
    assert list((tmp_path / "tmp").iterdir()) == []


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


def test_who_cancels_a_teacher_cancels_its_students(job, tmp_path):
    log = Log()

    def cancel():
        status = tmp_path / "runs" / "teacher" / "status.json"
        wait_for(status)
        os.kill(json.loads(status.read_text())["pid"], signal.SIGINT)

    thread = threading.Thread(target=cancel)
    thread.start()
    jobs = [job("teacher", "waits"), job("student", needs=("teacher",)), job("baseline")]
    outcomes = run_all([*jobs, job("late", needs=("student",))], log)
    thread.join()
    assert outcomes["teacher"] == Outcome(130)
    assert outcomes["student"] == Outcome(130, lacked="teacher")
    assert outcomes["late"] == Outcome(130, lacked="student")
    assert outcomes["baseline"] == Outcome(0)
    assert log["began"] == [("teacher",), ("baseline",)]


def test_what_was_done_before_counts_as_done(job):
    assert run_all([job("student", needs=("teacher",))], Log(), done=["teacher"])["student"] == Outcome(0)


def test_a_need_that_nobody_meets_is_not_met(job):
    assert run_all([job("student", needs=("teacher",))], Log())["student"] == Outcome(1, lacked="teacher")


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


# Several at a time


@pytest.fixture
def together(tmp_path):
    """A factory of jobs that end well only when `others` run at the same time."""

    def make(name, others, needs=(), seconds=20):
        (tmp_path / "here").mkdir(exist_ok=True)
        code = (
            "import os, sys, time\n"
            f"os.mkdir({str(tmp_path / 'here' / name)!r})\n"
            f"end = time.monotonic() + {seconds}\n"
            "while time.monotonic() < end:\n"
            f"    if all(os.path.isdir(os.path.join({str(tmp_path / 'here')!r}, other)) for other in {others!r}):\n"
            "        print(os.environ.get('CUDA_VISIBLE_DEVICES'))\n"
            "        sys.exit(0)\n"
            "    time.sleep(0.01)\n"
            "sys.exit(1)\n"
        )
        return JobSpec(name, (sys.executable, "-S", "-c", code), tmp_path / "runs" / name, {}, needs)

    return make


def test_as_many_jobs_at_a_time_as_there_are_slots_each_with_its_devices(together, tmp_path):
    jobs = [together("a", ["b"]), together("b", ["a"]), together("c", ["d"]), together("d", ["c"])]
    outcomes = run_all(jobs, Log(), slots=slots(["5", "7"], jobs=2))
    assert set(outcomes.values()) == {Outcome(0)}
    devices = [(tmp_path / "runs" / name / "log.txt").read_text().strip() for name in "abcd"]
    assert sorted(devices[:2]) == sorted(devices[2:]) == ["5", "7"]


def test_one_slot_runs_one_job_at_a_time(together):
    outcomes = run_all([together("a", ["b"], seconds=0.3), together("b", [])], Log())
    assert [outcomes["a"].code, outcomes["b"].code] == [1, 0]


def test_a_free_slot_goes_to_the_next_job_that_may_start(together, job):
    # The student waits for its teacher, and the baseline behind it does not.
    jobs = [together("teacher", ["baseline"]), together("student", [], ("teacher",)), together("baseline", [])]
    log = Log()
    assert set(run_all(jobs, log, slots=slots(jobs=2)).values()) == {Outcome(0)}
    assert [name for (name,) in log["began"]] == ["teacher", "baseline", "student"]


def test_ctrl_c_stops_every_running_job(job, tmp_path):
    log = Log()
    folders = [tmp_path / "runs" / name for name in "ab"]

    def go():
        for folder in folders:
            wait_for(folder / "status.json")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run_all([job("a", "waits"), job("b", "waits"), job("c")], log, slots=slots(jobs=2))
    thread.join()
    assert [json.loads((folder / "status.json").read_text())["state"] for folder in folders] == ["interrupted"] * 2
    assert log["ended"] == [("a", Outcome(130)), ("b", Outcome(130))]


# Lost workers


def test_a_lost_worker_is_started_again_as_often_as_was_said(job, tmp_path):
    log = Log()
    assert run_all([job("a", "dies")], log, retries=2)["a"] == Outcome(1, died_by="SIGKILL")
    assert [event[2] for event in log["again"]] == [1, 0]
    assert (tmp_path / "runs" / "a" / "log.txt").read_text().count("hello from a") == 3


def test_a_lost_worker_that_comes_back_ends_well(job):
    assert run_all([job("a", "dies-once")], Log(), retries=1)["a"] == Outcome(0)


def test_a_worker_that_failed_in_its_own_words_is_not_started_again(job):
    log = Log()
    assert run_all([job("a", "fails")], log, retries=3)["a"] == Outcome(1)
    assert log["again"] == []


def test_a_job_stops_when_its_queue_is_killed(job, tmp_path):
    spec = job("a", "waits")
    code = (
        "from pathlib import Path\n"
        "from pkdcli.launch.job import JobSpec\nfrom pkdcli.launch.local.queue import run_all\n"
        "class Silent:\n    def __getattr__(self, name):\n        return lambda *_: None\n"
        f"run_all([JobSpec('a', {spec.argv!r}, Path({str(spec.run_dir)!r}))], Silent())\n"
    )
    queue_process = subprocess.Popen([sys.executable, "-c", code])
    wait_for(spec.run_dir / "status.json")
    queue_process.kill()
    queue_process.wait()
    wait_for(spec.run_dir / "status.json", "interrupted")


# Several processes of one job, through torchrun


@pytest.mark.parametrize(
    ("manner", "outcome"),
    [("well", Outcome(0)), ("lacks", Outcome(3)), ("second-dies", Outcome(1, died_by="SIGKILL"))],
)
def test_two_processes_end_as_the_first_of_them_that_failed(job, tmp_path, manner, outcome):
    spec = Slot((), 2, cpu=True).place(job("a", manner))
    assert run_all([spec], Log())["a"] == outcome
    assert (tmp_path / "runs" / "a" / "log.txt").read_text().count("hello from a") == 2


def test_ctrl_c_reaches_both_processes_and_not_torchrun(job, tmp_path):
    log, run = Log(), tmp_path / "runs" / "a"
    spec = Slot((), 2, cpu=True).place(job("a", "waits"))
    thread = threading.Thread(target=lambda: (wait_for(run / "log.txt", "hello from a\nhello"),
                                              os.kill(os.getpid(), signal.SIGINT)), daemon=True)  # fmt: skip
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run_all([spec], log)
    thread.join()
    assert (run / "log.txt").read_text().count("saved") == 2
    assert log["ended"] == [("a", Outcome(130))]


def test_killing_ends_both_processes(job, tmp_path):
    process = LocalProcess(Slot((), 2, cpu=True).place(job("a", "deaf")))
    wait_for(tmp_path / "runs" / "a" / "log.txt", "hello from a\nhello")
    rest = os_processes.descendants(process.pid)
    assert len(rest) >= 2
    process.kill()
    deadline = time.monotonic() + 10
    while not all(gone(pid) for pid in rest) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [pid for pid in rest if not gone(pid)] == []
