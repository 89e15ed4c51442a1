"""Who carries runs out: the protocol held by both kinds, and who had a run, as job.json files of several ages tell."""

from __future__ import annotations

import inspect
import os
import socket
import subprocess

import pytest

from pkdcli.errors import PkdError
from pkdcli.launch.job import JobSpec
from pkdcli.launch.kinds import by_launcher, launcher_for, launcher_of
from pkdcli.launch.launcher import Launcher
from pkdcli.launch.local.launcher import LocalLauncher
from pkdcli.launch.outcome import Watcher
from pkdcli.launch.plugin import METHODS
from pkdcli.launch.run_state import RunState
from pkdcli.launch.slurm import cluster as commands
from pkdcli.launch.slurm.launcher import SlurmLauncher
from pkdcli.recipe.schema import Launcher as Recipe
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_json, write_json

KINDS = {"local": LocalLauncher, "slurm": SlurmLauncher}


@pytest.fixture(params=KINDS)
def launcher(request):
    return launcher_of(Recipe(name="mine", kind=request.param))


@pytest.fixture
def paths(tmp_path):
    """A factory of run directories, with what their job.json holds."""

    def paths(run="mse-1", job=None, state="queued", **status) -> RunPaths:
        found = RunPaths(tmp_path / "runs" / run)
        write_json(found.status, {"run": run, "state": state, **status})
        if isinstance(job, str):
            found.job.write_text(job)
        elif job is not None:
            write_json(found.job, job)
        return found

    return paths


# The protocol


def parameters(function):
    return [(one.name, one.kind, one.default) for one in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_takes_what_the_protocol_says(launcher, name):
    assert parameters(getattr(type(launcher), name)) == parameters(getattr(Launcher, name))


def test_nothing_to_do_starts_nothing(launcher, tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    ended = launcher.run([], Watcher(), [], runs=tmp_path / "runs", known={}, wait=False)
    assert ended == {}
    assert not (tmp_path / "runs").exists()
    assert launcher.describe([], [], runs=tmp_path / "runs") == []
    assert launcher.known([]) == {}
    launcher.cancel([])


def test_what_is_done_is_not_run_again(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    launcher = LocalLauncher(Recipe(name="mine", kind="local"))
    ended = launcher.run([], Watcher(), ["a"], runs=tmp_path, known={}, wait=True)
    assert {name: outcome.code for name, outcome in ended.items()} == {"a": 0}


@pytest.mark.parametrize(
    ("recipe", "trains", "evaluates", "jobs"),
    [
        ({}, 1, 1, 1),
        ({"processes": 3, "jobs": 2}, 3, 3, 2),
        ({"devices": ["0", "1", "2", "3"]}, 4, 4, 1),
        ({"devices": ["0", "1", "2", "3"], "jobs": 2}, 2, 2, 2),
        ({"kind": "slurm"}, 1, 1, 1),
        ({"kind": "slurm", "nodes": 2, "gpus_per_node": 4}, 8, 1, 1),
    ],
)
def test_processes_of_a_run(recipe, trains, evaluates, jobs):
    launcher = launcher_of(Recipe(**{"name": "mine", "kind": "local", **recipe}))
    assert (launcher.processes(), launcher.processes(alone=True)) == (trains, evaluates)
    assert launcher.jobs_at_a_time() == jobs


def test_a_run_that_is_not_there_is_queued_for_nobody(launcher, tmp_path, monkeypatch):
    monkeypatch.setattr(commands.shutil, "which", lambda name: None)
    found = launcher.status(RunPaths(tmp_path / "runs" / "none"))
    assert (found.state, found.reason) == ("interrupted", "never started: the pkd that queued it has ended")


def test_known_are_those_on_the_cluster_only(paths, monkeypatch):
    slurm = {"launcher": {"name": "slurm", "kind": "slurm"}}
    tasks = {"waits": "PENDING", "runs": "RUNNING", "lost": "FAILED"}
    found = [paths(run, slurm) for run in tasks] + [paths("here")]
    for number, one in enumerate(found[:3]):
        write_json(one.root / "slurm.json", {"job": "7", "task": number})
    jobs = {f"7_{n}": commands.Job(f"7_{n}", state) for n, state in enumerate(tasks.values())}
    monkeypatch.setattr(commands, "jobs", lambda wanted=(): jobs)
    assert SlurmLauncher(Recipe(name="s", kind="slurm")).known(found) == {"waits": "7_0", "runs": "7_1"}
    assert LocalLauncher(Recipe(name="l", kind="local")).known(found) == {}


def test_a_foreign_machines_run_is_left_alone(paths, monkeypatch):
    sent = []
    monkeypatch.setattr("pkdcli.launch.local.launcher.send", lambda pids, number: sent.append(pids))
    there = paths("there", state="running", pid=os.getpid(), host="elsewhere")
    group = paths("group", state="running", pid=7, host=socket.gethostname(), shared_with=["other"])
    own = paths("own", state="running", pid=8, host=socket.gethostname())
    states = [RunState(one, "running", status=read_json(one.status)) for one in (there, group, own)]
    LocalLauncher(Recipe(name="l", kind="local")).cancel(states)
    assert sent == [[8]]
    assert [one.cancel.is_file() for one in (there, group, own)] == [False, True, True]


def test_slurm_ends_what_it_has_and_notes_who_stopped_what_ran(paths, monkeypatch):
    ended = []
    monkeypatch.setattr(commands, "scancel", ended.extend)
    runs, waits, here = paths("runs"), paths("waits"), paths("here")
    states = [RunState(runs, "running", job="7_0"), RunState(waits, "queued", job="7_1"), RunState(here, "running")]
    SlurmLauncher(Recipe(name="s", kind="slurm")).cancel(states)
    assert ended == ["7_0", "7_1"]
    assert [one.cancel.is_file() for one in (runs, waits, here)] == [True, False, False]


# Who had a run


@pytest.mark.parametrize(
    "job",
    [
        None,
        {},
        {"launcher": None},
        {"launcher": "slurm"},
        {"launcher": ["local"]},
        {"cache": "/c", "teacher": None, "devices": 1},  # before launchers were noted down
        "",
        "[1, 2]",
        '{"launcher": {"name": "loc',
    ],
)
def test_a_job_that_does_not_tell_was_this_machines(paths, job):
    state = RunState(paths(job=job), "queued")
    assert type(launcher_for(state)) is LocalLauncher
    assert type(launcher_for(RunState(state.paths, "queued", job="7_0"))) is SlurmLauncher


def test_a_job_that_tells(paths):
    noted = {"launcher": {"name": "big", "kind": "slurm", "nodes": 2, "gpus_per_node": 4}}
    assert launcher_for(RunState(paths(job=noted), "queued")).processes() == 8
    noted = {"launcher": {"name": "two", "kind": "local", "processes": 2}}
    assert launcher_for(RunState(paths(job=noted), "queued")).processes() == 2


def test_a_kind_that_nobody_serves(paths):
    state = RunState(paths(job={"launcher": {"name": "x", "kind": "slrum"}}), "queued")
    with pytest.raises(PkdError) as caught:
        launcher_for(state)
    assert caught.value.message == f"{state.paths.job}: kind: should be 'local' or 'slurm', not 'slrum'."


def test_a_key_that_no_launcher_has_names_the_file(paths):
    state = RunState(paths(job={"launcher": {"name": "x", "kind": "local", "jbos": 2}}), "queued")
    with pytest.raises(PkdError, match=r"job\.json") as caught:
        launcher_for(state)
    assert "jobs" in caught.value.hint


def test_runs_stand_with_those_that_were_launched_alike(paths):
    two = {"launcher": {"name": "two", "kind": "local", "jobs": 2}}
    jobs = {"a": None, "b": two, "c": {}, "d": two, "e": {"launcher": {"name": "s", "kind": "slurm"}}}
    states = [RunState(paths(run, job), "queued") for run, job in jobs.items()]
    gone = paths("f", {"launcher": {"name": "x", "kind": "gone"}})
    found, refused = by_launcher([*states, RunState(gone, "queued")])
    assert {one: error.message for one, error in refused.items()} == {
        gone: f"{gone.job}: kind: should be 'local' or 'slurm', not 'gone'."
    }
    assert [(type(one), [state.paths.run for state in group]) for one, group in found] == [
        (LocalLauncher, ["a", "c"]),
        (LocalLauncher, ["b", "d"]),
        (SlurmLauncher, ["e"]),
    ]
    assert by_launcher([]) == ([], {})


def test_slurm_describes_the_order_it_would_keep(tmp_path):
    jobs = [JobSpec(n, ("work", str(tmp_path / n)), tmp_path / n, needs=need) for n, need in (("t", ()), ("s", ("t",)))]
    found = SlurmLauncher(Recipe(name="s", kind="slurm", partition="gpu")).describe(jobs, [], runs=tmp_path)
    assert [set(one) for one in found] == [{"script", "sbatch"}] * 2
    assert all(one["sbatch"][:2] == ["sbatch", "--parsable"] for one in found)
    assert not any("--dependency" in word for word in found[0]["sbatch"])
    assert any("--dependency" in word for word in found[1]["sbatch"])
    alone = SlurmLauncher(Recipe(name="s", kind="slurm")).describe(jobs[1:], ["t"], runs=tmp_path)
    assert not any("--dependency" in word for word in alone[0]["sbatch"])
    assert list(tmp_path.iterdir()) == []
