"""Runs for a cluster as they are typed: options of sbatch, memory, and how often the scheduler is asked."""

from __future__ import annotations

import itertools
import json
import math
import shlex

import pytest

from pkdcli.experiment import plan
from pkdcli.experiment import prepare as preparation
from pkdcli.launch.outcome import Watcher
from pkdcli.launch.slurm import cluster, launcher
from pkdcli.launch.slurm.cluster import Job
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import write_json

TINY = ("--scale", "tiny", "--data")


def test_sbatch_options_are_added_to_the_launcher_s_own(type_, own, here):
    lines = "name: mine\nkind: slurm\noptions: [gres=gpu:a100:8, exclusive]\ncpus_per_process: 4\n"
    (here / "mine.yaml").write_text(lines)
    words = ("train", "--loss", "none", *TINY, own, "--launcher", "mine.yaml", "--dry-run")
    said = type_(*words, "--sbatch-option", "gres=gpu:v100:2", "--sbatch-option=--reservation=x", "--batch-size", "4")
    assert said.code == 0, said.err
    assert "--cpus-per-task=8\n" in said.out
    assert "#SBATCH --requeue\n#SBATCH --gres=gpu:v100:2\n#SBATCH --exclusive\n#SBATCH --reservation=x\n" in said.out
    said = type_(*words, "--sbatch-option", "part=gpu")
    assert said.code == 2
    assert "launcher mine: options.2: part: pkd sets --partition itself: give --partition" in said.err
    assert "--sbatch-option: not for --launcher local." in type_("train", "--sbatch-option", "exclusive").err


def test_memory_is_suggested_where_none_is_asked_for(type_, own):
    words = ("train", "--loss", "none", *TINY, own, "--launcher", "slurm", "--dry-run")
    note = (
        "note: no memory is asked for, so a node gives the cluster's default, often a few GiB a core; from the size of "
        "the data these runs want about 4 GiB a node: --memory 4G.\n"
    )
    said = type_(*words)
    assert note in said.err
    assert "--mem=" not in said.out
    said = type_(*words, "--memory", "4G")
    assert "note: no memory" not in said.err
    assert "#SBATCH --mem=4G\n" in said.out


def test_the_dry_run_of_a_search_prints_the_tasks_to_its_next_comparison(type_, own, here):
    """As `pkd sweep` prints the tasks of its runs: the very script, but for the command that it keeps."""
    cluster = (*TINY, own, "--launcher", "slurm", "--partition", "long", "--memory", "4G", "--dry-run")
    search = ("tune", "--weight", "10..30", "--trials", "2", *cluster)
    said = type_(*search)
    assert said.code == 0, said.err
    swept = type_("sweep", "--weights", "10,30", "--no-baseline", *cluster)
    (told, script), (_, as_swept) = (one.out.split("\n# sbatch ", 1) for one in (said, swept))
    kept = [line for line in script.splitlines() if line.startswith("export PKD_COMMAND=")]
    assert kept == 2 * [f"export PKD_COMMAND='pkd {shlex.join(map(str, search[:-1]))}'"]
    # The teacher is waited for: what is trained on it waits for no job.
    assert script.count("#!/bin/bash") == as_swept.count("#!/bin/bash") == 2
    assert "--dependency" in as_swept
    assert "--dependency" not in script
    runs = [line for line in script.splitlines() if "/runs/gfl101-fcos50__mse-w" in line]
    assert [line.rpartition("__mse-w")[2].split("__")[0] for line in runs] == ["10", "30"]
    assert runs == [line for line in as_swept.splitlines() if "/runs/gfl101-fcos50__mse-w" in line]
    assert told.rstrip().endswith("to the next comparison, after 1 step:")
    parts = [json.loads(line) for line in type_(*search, "--json").out.splitlines()]
    assert parts[0]["event"] == "plan"
    assert ["sbatch" in one for one in parts] == [False, True, True]
    assert "#SBATCH --mem=4G\n#SBATCH" in parts[2]["script"]
    assert not (here / "runs").exists()
    local = type_("tune", "--weight", "10..30", "--trials", "2", *TINY, own, "--dry-run")
    assert "sbatch" not in local.out


class Hours:
    """A clock that only sleeping moves, and a scheduler that notes when it is asked."""

    def __init__(self, until: float) -> None:
        self.now, self.asked, self.until = 0.0, [], until

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def jobs(self, wanted=()):
        self.asked.append(self.now)
        state = "RUNNING" if self.now < self.until else "FAILED"
        return {one: Job(one, state, "None", "node1") for one in wanted}


@pytest.fixture
def waiting(here, own, monkeypatch):
    """Wait for a run on a cluster; gives its folder and a function that waits."""
    paths = RunPaths(here / "runs" / "a")
    write_json(paths.status, {"run": "a", "state": "running"})
    write_json(paths.job, {"launcher": {"name": "slurm", "kind": "slurm"}})
    write_json(paths.root / "slurm.json", {"job": "7", "task": 0})
    recipe = resolve(Request(pair="gfl101-fcos50", loss="none", scale="tiny", data=str(own)))

    def wait(hours, sleep=None):
        monkeypatch.setattr(cluster, "jobs", hours.jobs)
        specs = [preparation.spec(plan.PlannedRun(recipe, paths), here, "pkd train")]
        return launcher.wait_for(specs, [], Watcher(), hours.clock, sleep or hours.sleep)["a"]

    return paths, wait


def test_the_scheduler_is_asked_ever_less_often(waiting):
    hours = Hours(8 * 3600)
    assert waiting[1](hours).code == 1
    pauses = [after - before for before, after in itertools.pairwise(hours.asked)]
    at = dict(zip(hours.asked, pauses, strict=False))
    assert {pause for then, pause in at.items() if then < 50} == {6.0}  # five, by looks every two seconds
    assert {pause for then, pause in at.items() if 70 < then < 3500} == {30.0}
    assert {pause for then, pause in at.items() if 3700 < then < 6 * 3600 - 100} == {60.0}
    assert {pause for then, pause in at.items() if then > 6 * 3600 + 100} == {120.0}
    assert len(hours.asked) < 500


def test_a_run_that_is_done_is_seen_between_two_questions(waiting):
    hours, (paths, wait) = Hours(math.inf), waiting

    def sleep(seconds):
        hours.sleep(seconds)
        if hours.now == 100:
            write_json(paths.result, {"role": "baseline", "metrics": {"mAP": 1.0}})
            paths.student.touch()

    assert wait(hours, sleep).code == 0
    assert hours.now == 100
    assert not [asked for asked in hours.asked if 90 < asked <= 100]


def test_a_teacher_that_is_only_evaluated_is_prepared_for_one_process(type_, here, own):
    (here / "teacher.pth").write_bytes(b"weights")
    words = ("train", "--loss", "pkd", *TINY, own, "--teacher-checkpoint", "teacher.pth", "--launcher", "slurm")
    said = type_(*words, "--gpus-per-node", "2", "--batch-size", "4", "--dry-run")
    assert said.code == 0, said.err
    evaluated, trained = said.out.split("#!/bin/bash")[1:]
    assert "#SBATCH --gpus-per-node=1\n" in evaluated
    assert "torch.distributed.run" not in evaluated
    assert "#SBATCH --gpus-per-node=2\n" in trained
    assert "--nproc-per-node=2" in trained


def test_a_run_that_pauses_as_a_search_has_it_has_ended_well(waiting):
    hours, (paths, wait) = Hours(math.inf), waiting

    def sleep(seconds):
        hours.sleep(seconds)
        if hours.now == 100:
            write_json(paths.status, {"run": "a", "state": "interrupted", "paused": 200})
            hours.until = 100  # its task ends with it

    assert wait(hours, sleep).code == 0
    assert 100 <= hours.now <= 130  # the scheduler is asked every 30 seconds by now


def test_one_that_was_interrupted_before_its_pause_has_not(waiting):
    hours, (paths, wait) = Hours(math.inf), waiting

    def sleep(seconds):
        hours.sleep(seconds)
        write_json(paths.status, {"run": "a", "state": "interrupted"})
        hours.until = 0

    assert wait(hours, sleep).code == 130
