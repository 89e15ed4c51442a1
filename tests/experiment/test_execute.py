"""An experiment from its plan to its end, on workers that learn nothing: jobs, notes, failures, Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import threading
import time

import pytest

from pkdcli.errors import ExitCode, Interrupted, PkdError
from pkdcli.experiment import execute as module
from pkdcli.experiment.execute import experiment
from pkdcli.launch.options import LaunchOptions
from pkdcli.launch.outcome import Outcome, Watcher
from pkdcli.launch.run_state import RunState
from pkdcli.options import OutputOptions
from pkdcli.recipe.resolve import Request
from pkdcli.recipe.schema import Launcher
from pkdcli.recipe.sweep import Grid, expand
from pkdcli.runs.lock import RunLock
from pkdcli.runs.status import Status
from pkdcli.runs.store import read_json, write_json


class Told(Watcher):
    """Everything that it was told, in order: what happened, and to which run's role."""

    def __init__(self):
        self.events, self.notes, self.role, self.ticked = [], [], {}, threading.Event()

    def on_note(self, text):
        self.notes.append(text)

    def on_share(self, runs, teacher):
        self.events.append(("share", len(runs), teacher))

    def on_plan(self, runs, done):
        self.role = {run: one.recipe.role for run, one in runs.items()}
        self.events.append(("plan", len(runs), len(done)))

    def on_start(self, spec):
        self.events.append(("start", self.role[spec.name]))

    def on_tick(self, spec):
        if read_json(spec.run_dir / "status.json").get("iter"):
            self.ticked.set()

    def on_retry(self, spec, outcome, left):
        self.events.append(("retry", self.role[spec.name], outcome.died_by, left))

    def on_end(self, spec, outcome):
        self.events.append(("end", self.role[spec.name], int(outcome.code)))


@pytest.fixture
def make(own, here, worker):
    """A factory of experiments on one's own data."""
    worker()

    def make(grid=None, share=False, launcher=None, dry_run=False, wait=False, watcher=None, data=own, **changes):
        base = Request(**{"scale": "tiny", "loss": "mse", "data": str(data), **changes})
        return experiment(
            expand(base, grid or Grid(losses=["mse"], weights=[10, 30])),
            launcher or Launcher(name="local", kind="local"),
            LaunchOptions(wait=wait),
            OutputOptions(runs=here / "runs", dry_run=dry_run),
            watcher=watcher or Watcher(),
            command="pkdcli.sweep()",
            share=share,
        )

    return make


def states(found) -> list[str]:
    return [read_json(one.paths.status)["state"] for one in found.planned]


def roles(found) -> list[str]:
    return [one.recipe.role for one in found.planned]


# Plans


def test_a_plan_writes_nothing_and_knows_what_is_to_do(make, here):
    found = make()
    assert roles(found) == ["baseline", "teacher", "distill", "distill"]
    assert not (here / "runs").exists()
    assert found.done == []
    assert found.frame().to_dict("list") == {
        "run": [one.run for one in found.planned],
        "role": roles(found),
        "state": ["to do"] * 4,
    }
    assert found._repr_html_().count("<tr>") == 5
    assert "<p>pkdcli.sweep()</p>" in found._repr_html_()
    assert found.scripts() == []


def test_jobs_name_what_they_need_and_who_asked(make, here):
    found = make()
    baseline, teacher, first, second = found.jobs()
    assert [one.name for one in (baseline, teacher, first, second)] == [one.run for one in found.planned]
    assert [one.needs for one in (baseline, teacher, first, second)] == [(), (), (teacher.name,), (teacher.name,)]
    assert first.env["PKD_COMMAND"] == "pkdcli.sweep()"
    assert first.env["PKD_CACHE"] == str(here.parent / "cache")
    assert not any(job.members for job in found.jobs())


def test_students_share_a_teacher_in_one_job(make):
    found = make(share=True)
    (shared, title), = found.sharing()
    assert title == "GFL-Res101"
    assert len(shared) == 3  # a baseline rides along
    jobs = found.jobs()
    assert [len(job.parts) for job in jobs] == [3, 1]
    assert [one.name for one in jobs[0].members] == shared
    assert make(share=False).sharing() == []


def test_a_cluster_shares_no_teacher(make):
    slurm = Launcher(name="big", kind="slurm")
    with pytest.raises(PkdError) as caught:
        make(share=True, launcher=slurm)
    assert caught.value.message == (
        "--share-teacher: not for --launcher big, where each run is a task of its own."
    )
    assert make(share=None, launcher=slurm).sharing() == []


def test_a_cluster_is_given_scripts_for_what_is_to_do(make):
    found = make(launcher=Launcher(name="big", kind="slurm"))
    scripts = found.scripts()
    assert [set(one) for one in scripts] == [{"script", "sbatch"}] * 2  # the students wait for their teacher
    assert sum(one["script"].count(str(found.runs)) > 0 for one in scripts) >= 1
    text = "\n".join(one["script"] for one in scripts)
    assert all(one.run in text for one in found.planned)


# From the beginning to the end


def test_everything_runs_once_and_the_watcher_hears_of_it(make):
    found, told = make(), Told()
    outcomes = found.execute(told)
    assert {run: outcome.code for run, outcome in outcomes.items()} == {one.run: 0 for one in found.planned}
    assert outcomes is found.outcomes
    assert told.events == [
        ("plan", 4, 0),
        *(event for role in roles(found) for event in (("start", role), ("end", role, 0))),
    ]
    assert states(found) == ["done"] * 4
    assert found.done == [one.run for one in found.planned]
    assert found.frame()["state"].tolist() == ["done"] * 4
    assert [found.check(one) for one in found.planned] == [None] * 4
    again, told = make(), Told()
    assert {run: outcome.code for run, outcome in again.execute(told).items()} == {one.run: 0 for one in found.planned}
    assert told.events == [("plan", 4, 4)]
    assert again.groups() == again.jobs() == []


def test_the_directories_say_how_to_launch_them_again(make, here):
    found = make(launcher=Launcher(name="two", kind="local", jobs=2))
    found.execute(Watcher())
    _, teacher, student, _ = found.planned
    job = read_json(student.paths.job)
    assert job["launcher"] == {"name": "two", "kind": "local", "jobs": 2}
    assert job["queue"]["pid"] == os.getpid()
    assert (job["teacher"], job["cache"], job["devices"]) == (str(teacher.paths.root), str(here.parent / "cache"), 1)
    assert read_json(student.paths.result)["teacher_metrics"]["mAP"] == 70.0
    assert "worker of" in student.paths.log.read_text()


def test_a_shared_teacher_is_one_job_with_an_outcome_for_each(make):
    found, told = make(share=True), Told()
    outcomes = found.execute(told)
    assert sorted(outcomes) == sorted(one.run for one in found.planned)
    assert told.events[:2] == [("share", 3, "GFL-Res101"), ("plan", 4, 0)]
    assert next(event[:2] for event in told.events if event[0] == "start") == ("start", "teacher")
    assert states(found) == ["done"] * 4


# What goes wrong


def test_a_failure_costs_only_what_needs_it(make, worker):
    worker(teacher="fails")
    found, told = make(), Told()
    outcomes = found.execute(told)
    baseline, teacher, student, _ = found.planned
    assert [int(outcomes[one.run].code) for one in found.planned] == [0, 1, 1, 1]
    assert outcomes[student.run].lacked == teacher.run
    assert module.exit_code(outcomes) is ExitCode.RUN_FAILED
    assert states(found) == ["done", "failed", "queued", "queued"]
    assert read_json(student.paths.status)["error"]["message"] == f"not started, since {teacher.run} failed"
    assert found.check(baseline) is None
    with pytest.raises(PkdError) as caught:
        found.check(teacher)
    assert caught.value.message == f"{teacher.run}: the loss is NaN at step 3."
    assert caught.value.hint == f"Try a smaller --weight.\nlog: {teacher.paths.log}"
    worker()
    assert module.exit_code(make().execute(Watcher())) is ExitCode.OK
    assert states(found) == ["done"] * 4
    assert read_json(student.paths.status)["error"] is None


def test_what_the_machine_lacks_is_the_commands_code(make, worker):
    worker(baseline="lacks")
    found = make(Grid(losses=["none"]), loss="none")
    assert module.exit_code(found.execute(Watcher())) is ExitCode.MISSING
    with pytest.raises(PkdError) as caught:
        found.check(found.planned[-1])
    assert (caught.value.code, caught.value.hint.splitlines()[0]) == (ExitCode.MISSING, "Download them.")


def test_a_killed_run_is_started_again_as_often_as_asked(make, worker):
    worker(baseline="dies")
    found = make(Grid(losses=["none"]), launcher=Launcher(name="l", kind="local", retries=2), loss="none")
    told = Told()
    (outcome,) = found.execute(told).values()
    assert told.events == [
        ("plan", 1, 0),
        ("start", "baseline"),
        *(event for left in (1, 0) for event in (("retry", "baseline", "SIGKILL", left), ("start", "baseline"))),
        ("end", "baseline", int(outcome.code)),
    ]
    (run,) = found.planned
    error = read_json(run.paths.status)["error"]
    assert error["message"].startswith("killed by SIGKILL; on Linux most often for want of memory")
    assert error["silent"] is True
    with pytest.raises(PkdError, match="killed by SIGKILL") as caught:
        found.check(run)
    assert (caught.value.hint, caught.value.code) == (f"log: {run.paths.log}", ExitCode.RUN_FAILED)


@pytest.mark.parametrize("error", [None, [], "text", {}, {"hint": "x"}])
def test_a_failure_without_words_is_told_by_its_code(make, error):
    found = make(Grid(losses=["none"]), loss="none")
    (run,) = found.planned
    write_json(run.paths.status, {"state": "failed", "error": error})
    found.outcomes = {run.run: Outcome(77)}
    with pytest.raises(PkdError) as caught:
        found.check(run)
    assert (caught.value.message, caught.value.code) == (f"{run.run}: exit code 77", ExitCode.RUN_FAILED)


def test_a_run_that_another_process_is_at_is_refused_before_anything_starts(make):
    found, told = make(), Told()
    run = found.planned[2]
    run.paths.root.mkdir(parents=True)
    with RunLock(run.paths), pytest.raises(PkdError, match=f"^{run.run} is running already: ") as caught:
        found.execute(told)
    assert caught.value.hint == "Wait for it, or stop it first."
    assert told.events == []


def test_a_tracker_that_is_not_there_is_said_before_anything(make, monkeypatch):
    found = make()
    monkeypatch.setattr(module, "require", lambda names: (_ for _ in ()).throw(PkdError("no tracker.")))
    with pytest.raises(PkdError, match="no tracker"):
        found.execute(Watcher())
    assert not found.planned[0].paths.root.exists()


def test_a_broken_watcher_leaves_no_process_behind(make, worker):
    worker(baseline="waits")

    class Broken(Told):
        def on_tick(self, spec):
            super().on_tick(spec)
            if self.ticked.is_set():
                raise BrokenPipeError

    found = make(Grid(losses=["none"]), loss="none")
    with pytest.raises(BrokenPipeError):
        found.execute(Broken())
    status = read_json(found.planned[0].paths.status)
    assert status["state"] == "interrupted"
    with pytest.raises(ProcessLookupError):
        os.kill(status["pid"], 0)


# Ctrl-C


def interrupt_when(event, times=1):
    def press():
        if event.wait(30):
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.3)

    threading.Thread(target=press, daemon=True).start()


def test_ctrl_c_in_the_middle_stops_all_and_the_next_call_goes_on(make, worker):
    worker(teacher="waits")
    found, told = make(), Told()
    interrupt_when(told.ticked)
    with pytest.raises(Interrupted, match=r"^stopped; type the same command again to go on") as caught:
        found.execute(told)
    assert caught.value.__cause__ is None
    assert isinstance(caught.value, KeyboardInterrupt)
    assert states(found) == ["done", "interrupted", "queued", "queued"]
    assert told.events[-1] == ("end", "teacher", 130)
    assert not any(read_json(one.paths.status).get("eta_s") for one in found.planned[2:])
    worker()
    again, told = make(), Told()
    again.execute(told)
    assert told.events[0] == ("plan", 4, 1)
    assert states(again) == ["done"] * 4


def test_a_run_that_was_killed_before_it_could_save_was_interrupted(make):
    found = make(Grid(losses=["none"]), loss="none")
    (run,) = found.planned
    Status(run.paths, run.recipe).write(state="running", pid=2**22 + 1, host=os.uname().nodename)
    module.settle_interrupted(found.planned)
    assert states(found) == ["interrupted"]


def test_ctrl_c_ends_the_waiting_for_a_cluster_and_not_the_jobs(make, monkeypatch):
    from pkdcli.launch.slurm import launcher as slurm

    def submitted(batches, runs, known):
        return {spec.name: f"7_{n}" for n, spec in enumerate(spec for one in batches for spec in one.specs)}

    def sleep(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(slurm, "submit", submitted)
    monkeypatch.setattr(slurm, "ask_scheduler", lambda paths: {})
    monkeypatch.setattr(slurm, "query", lambda paths, jobs: RunState(paths, "queued"))
    real = slurm.wait_for
    monkeypatch.setattr(slurm, "wait_for", lambda specs, done, watcher: real(specs, done, watcher, sleep=sleep))
    found = make(launcher=Launcher(name="s", kind="slurm"), wait=True)
    with pytest.raises(Interrupted, match=r"^the jobs go on: pkd status"):
        found.execute(Watcher())
    assert states(found) == ["queued"] * 4


# Data


def test_data_is_checked_once_for_many_runs(make, own, monkeypatch):
    from pkdcli.data import prepare

    asked = []
    real = prepare.prepare
    monkeypatch.setattr(prepare, "prepare", lambda data, *rest: asked.append(data.name) or real(data, *rest))
    found = make(Grid(losses=["mse"], weights=[1, 2, 3], seeds=[0, 1]))
    assert asked == ["own"]
    assert len(found.planned) == 9  # a teacher, two baselines, six students
    assert {one.recipe.data.fingerprint for one in found.planned} == {found.recipes[0].data.fingerprint}
    assert found.recipes[0].data.classes == ["cat", "dog"]


def test_a_dry_run_needs_no_data(make, here, own):
    for path in own.parent.glob("*.json"):
        path.unlink()
    found = make(dry_run=True)
    assert len(found.planned) == 4
    assert found.recipes[0].data.fingerprint is None
    with pytest.raises(PkdError) as caught:
        make()
    assert re.match(r"data set own is not there; expected:\n  .*/train\.json\n  .*/val\.json$", caught.value.message)
    assert not (here / "runs").exists()


def test_the_remedy_for_missing_coco_is_what_the_watcher_would_have_one_type(make):
    class Types(Watcher):
        def at_scale_tiny(self):
            return "pkd sweep --scale tiny"

    with pytest.raises(PkdError) as caught:
        make(data="coco", scale="paper")
    assert caught.value.hint.endswith('in minutes:\n  scale="tiny"')
    assert caught.value.code == ExitCode.MISSING
    with pytest.raises(PkdError) as caught:
        make(data="coco", scale="paper", watcher=Types())
    assert caught.value.hint.endswith("in minutes:\n  pkd sweep --scale tiny")
    assert "{tiny}" not in caught.value.hint


def test_a_check_that_takes_long_is_said(make, monkeypatch):
    from pkdcli.data import prepare
    from pkdcli.experiment import data

    said = threading.Event()

    class Hears(Watcher):
        def on_data(self, name, done, total):
            assert (name, done, total) == ("own", None, None)
            said.set()

    real = prepare.prepare
    monkeypatch.setattr(data, "SLOW_SECONDS", 0.01)
    monkeypatch.setattr(prepare, "prepare", lambda *given: said.wait(20) and real(*given))
    make(watcher=Hears())
    assert said.is_set()


def test_a_quick_check_says_nothing(make):
    class Silent(Watcher):
        def on_data(self, *told):
            raise AssertionError(told)

    make(watcher=Silent())
