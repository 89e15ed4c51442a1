"""One process that carries out several jobs: each has an outcome of its own, and who is lost is started again."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import pytest

from pkdcli.launch.job import JobSpec, together
from pkdcli.launch.local import queue
from pkdcli.launch.local.queue import run_all
from pkdcli.launch.outcome import Outcome

# As `python -m pkdcli.engine.worker RUN RUN ...`: what becomes of a run is in its name.
WORKER = """\
import json, os, signal, sys, time
def say(folder, **fields):
    with open(folder + "/status.part", "w") as file:
        json.dump({"pid": os.getpid(), **fields}, file)
    os.replace(folder + "/status.part", folder + "/status.json")
def asked(*_):
    for folder in folders:
        say(folder, state="interrupted")
    sys.exit(130)
folders = sys.argv[1:]
signal.signal(signal.SIGINT, asked)
print("together:", *map(os.path.basename, folders), flush=True)
for folder in folders:
    say(folder, state="running")
code = 0
for folder in list(folders):
    name = os.path.basename(folder)
    if "fails" in name:
        say(folder, state="failed", error={"message": "NaN", "hint": None, "code": 1})
        code = 1
    elif "lost" in name and not os.path.exists(folder + "/before"):
        open(folder + "/before", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    elif "breaks" in name:
        say(folder, state="failed", error={"message": "no peer", "hint": None, "code": 1})
        sys.exit(1)
    elif "waits" in name:
        time.sleep(60)
    else:
        say(folder, state="done")
    folders.remove(folder)
sys.exit(code)
"""


class Log:
    """A watcher that remembers."""

    def __init__(self):
        self.events = []

    def on_start(self, spec):
        self.events.append(("began", spec.name))

    def on_tick(self, spec):
        self.events.append(("ticked", spec.name))

    def on_retry(self, spec, outcome, left):
        self.events.append(("again", spec.name, outcome.died_by, left))

    def on_end(self, spec, outcome):
        self.events.append(("ended", spec.name, outcome.code))

    def __getitem__(self, kind):
        return [event[1:] for event in self.events if event[0] == kind]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.01)


@pytest.fixture
def group(tmp_path):
    """A factory of one job for several runs."""
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER)

    def make(*names: str, needs: tuple[str, ...] = ()) -> JobSpec:
        folders = [tmp_path / "runs" / name for name in names]
        for folder in folders:
            folder.mkdir(parents=True)
            (folder / "status.json").write_text('{"state": "queued"}')
        argv = (sys.executable, "-S", str(worker))
        return together(
            [JobSpec(folder.name, (*argv, str(folder)), folder, {"A": "1"}, needs) for folder in folders]
        )

    return make


def starts(spec: JobSpec) -> list[str]:
    """What each process that was started was given."""
    logs = [one.run_dir / "log.txt" for one in spec.parts]
    lines = [line for log in logs if log.exists() for line in log.read_text().splitlines()]
    return [line.removeprefix("together: ") for line in lines if line.startswith("together: ")]


def test_a_job_for_several_runs_names_them_all(tmp_path):
    specs = [JobSpec(name, ("worker", f"/{name}"), Path(f"/{name}"), {"A": name}, needs) for name, needs in
             {"a": ("t",), "b": ("t", "u")}.items()]  # fmt: skip
    job = together(specs)
    assert (job.name, job.argv, job.run_dir) == ("a", ("worker", "/a", "/b"), Path("/a"))
    assert (job.needs, job.members, job.parts) == (("t", "u"), tuple(specs), tuple(specs))
    assert together(specs[:1]) == specs[0]
    assert specs[0].parts == (specs[0],)


def test_each_run_has_an_outcome_of_its_own(group):
    log = Log()
    assert run_all([group("a", "b-fails", "c")], log) == {"a": Outcome(0), "b-fails": Outcome(1), "c": Outcome(0)}
    assert log["began"] == [("a",), ("b-fails",), ("c",)]
    assert sorted(log["ended"]) == [("a", 0), ("b-fails", 1), ("c", 0)]


def test_a_failure_is_told_while_the_others_go_on(group):
    log, spec = Log(), group("a-fails", "b-waits")
    ended = log.on_end

    def stop_then(spec, outcome):
        ended(spec, outcome)
        if spec.name == "a-fails":
            raise KeyboardInterrupt

    log.on_end = stop_then
    with pytest.raises(KeyboardInterrupt):
        run_all([spec], log)
    assert log["ended"] == [("a-fails", 1), ("b-waits", 130)]


def test_who_needs_a_run_of_the_group_waits_for_that_one(group):
    log = Log()
    outcomes = run_all([group("c", needs=("a",)), group("d", needs=("b-fails",)), group("a", "b-fails")], log)
    assert outcomes["c"] == Outcome(0)
    assert outcomes["d"].lacked == "b-fails"


def test_what_a_group_needs_in_vain_keeps_all_of_it_from_starting(group):
    log = Log()
    outcomes = run_all([group("t-fails"), group("a", "b", needs=("t-fails",))], log)
    assert {name: outcome.lacked for name, outcome in outcomes.items()} == {
        "t-fails": None,
        "a": "t-fails",
        "b": "t-fails",
    }


def test_a_killed_group_is_started_again_with_those_that_have_not_ended(group, tmp_path):
    log = Log()
    spec = group("a-fails", "b", "c-lost", "d")
    assert run_all([spec], log, retries=1) == {
        **{"a-fails": Outcome(1), "b": Outcome(0)},
        **{"c-lost": Outcome(0), "d": Outcome(0)},
    }
    assert log["again"] == [("c-lost", "SIGKILL", 0), ("d", "SIGKILL", 0)]
    assert starts(spec) == ["a-fails b c-lost d", "c-lost d"]


def test_a_killed_group_without_retries_is_lost_but_for_those_that_have_ended(group):
    log = Log()
    outcomes = run_all([group("a", "b-lost", "c")], log)
    assert outcomes == {"a": Outcome(0), "b-lost": Outcome(1, "SIGKILL"), "c": Outcome(1, "SIGKILL")}


def test_those_whom_anothers_failure_has_ended_are_started_again(group):
    log = Log()
    spec = group("a-breaks", "b", "c")
    assert run_all([spec], log) == {"a-breaks": Outcome(1), "b": Outcome(0), "c": Outcome(0)}
    assert starts(spec) == ["a-breaks b c", "b c"]
    assert log["again"] == []


def test_a_run_that_was_cancelled_in_the_queue_is_left_out(group):
    log, spec = Log(), group("a", "b", "c")
    (spec.members[1].run_dir / "status.json").write_text(json.dumps({"state": "interrupted"}))
    assert run_all([spec], log) == {"a": Outcome(0), "b": Outcome(130), "c": Outcome(0)}
    assert starts(spec) == ["a c"]


def test_ctrl_c_stops_all_of_a_group(group):
    log, spec = Log(), group("a", "b-waits", "c")

    def interrupt():
        import _thread

        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and ("a", 0) not in log["ended"]:
            time.sleep(0.01)
        _thread.interrupt_main()

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        run_all([spec], log)
    assert sorted(log["ended"]) == [("a", 0), ("b-waits", 130), ("c", 130)]
