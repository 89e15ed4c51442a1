"""`pkd tune --launcher slurm` on a real cluster, with workers that learn nothing: tasks pause and go on as others."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from pkdcli.runs.store import read_json, read_jsonl

SLURM = ("--launcher", "slurm", "--partition", "test", "--time", "5", "--memory", "300M")
TUNE = ("tune", "--weight", "10..30", "--trials", "2", "--scale", "tiny", "--json")


@pytest.mark.slow
def test_trials_pause_on_the_cluster_and_go_on_there(cluster, stand_in, here, own):
    command = [sys.executable, "-m", "pkdcli", *TUNE, *SLURM, "--data", str(own)]
    env = dict(os.environ)
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, env=env, check=False, timeout=400)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    found = events[-1]
    assert (found["event"], found["rungs"]) == ("tuned", [1, 2, 3, 6])
    assert (found["params"], found["mAP"]) == ({"weight": 30.0}, 33.0)
    assert [one["state"] for one in found["trials"]] == ["done", "done"]
    (folder,) = (here / "runs").glob("gfl101-fcos50__mse-w30__*")
    assert read_json(folder / "status.json")["state"] == "done"
    assert [one["iter"] for one in read_jsonl(folder / "metrics.jsonl") if one["kind"] == "rung"] == [1, 2, 3]
    tasks = [one["job"] for one in events if one["event"] == "submitted" and one["run"] == folder.name]
    assert len(set(tasks)) == len(tasks) >= 4, "a task for each stretch between two comparisons"
    # The finalists on a further seed are tasks of one array, and waited for as well.
    command += ["--confirm-seeds", "1"]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, env=env, check=False, timeout=400)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    confirmed = events[-1]["confirmation"]
    rows = confirmed["finalists"]
    assert [(one["mAP"], one["mean"]) for one in rows] == [([33.0], 33.0), ([31.0], 31.0)]
    assert (confirmed["steps"], events[-1]["steps"]) == (12, found["steps"])
    tasks = {one["run"]: one["job"] for one in events if one["event"] == "submitted"}
    assert set(tasks) == {run for one in rows for run in one["runs"]}
    assert len({job.split("_")[0] for job in tasks.values()}) == 1
