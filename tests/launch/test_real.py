"""The real worker on the micro data set: two processes of this machine, and a sweep on a real Slurm."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

MICRO = ("--scale", "tiny", "--epochs", "2", "--batch-size", "4", "--workers", "0", "--set", "scale.teacher.epochs=1")
SLURM = ("--launcher", "slurm", "--partition", "test", "--time", "20", "--cpus-per-process", "1")

pytestmark = pytest.mark.slow


def status(pkd):
    """What `pkd status` says, by the middle of the runs' names."""
    answer = pkd("status", "--json")
    assert answer.code == 0, answer.err
    records = map(json.loads, answer.out.splitlines())
    return {record["run"].split("__")[1]: record for record in records}


def until(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError("it never happened")


def test_two_processes_of_this_machine_train_a_run(pkd, micro, tmp_path):
    answer = pkd("train", "--loss", "none", "--procs", "2", "--data", micro, *MICRO)
    assert answer.code == 0, answer.err
    (run,) = (tmp_path / "runs").iterdir()
    result = json.loads((run / "result.json").read_text())
    assert (result["batch"], result["epoch"]) == (4, 2)
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [record["iter"] for record in records if record["kind"] == "train"][-1] == 8


def test_a_sweep_on_a_cluster_loses_tasks_and_is_resumed(cluster, pkd, micro, tmp_path):
    """One task is cancelled and one killed; both finish after `pkd resume`, and the report is complete."""
    # Long enough to be caught at it, on a quick machine too.
    length = ("--epochs", "40", "--val-interval", "40")
    words = ("--weights", "10,30,50", "--max-parallel", "2", "--data", micro, *MICRO, *length)
    answer = pkd("sweep", "--loss", "mse", *words, *SLURM)
    assert answer.code == 0, answer.err
    first = until(lambda: (one := status(pkd).get("mse-w10", {})).get("phase") == "train" and one)
    cluster.slurm("scancel", first["job"])
    second = until(lambda: (one := status(pkd).get("mse-w30", {})).get("phase") == "train" and one)
    folder = next((tmp_path / "runs").glob("*mse-w30*"))
    os.kill(json.loads((folder / "status.json").read_text())["pid"], signal.SIGKILL)
    cluster.wait(first["job"], second["job"], status(pkd)["mse-w50"]["job"], seconds=400)
    found = status(pkd)
    assert {name: one["state"] for name, one in found.items()} == {
        **{"teacher": "done", "baseline": "done", "mse-w50": "done"},
        **{"mse-w10": "interrupted", "mse-w30": "failed"},
    }
    assert found["mse-w30"]["reason"].startswith("killed by SIGKILL")
    assert 0 < len(found["mse-w30"]["log"]) <= 40
    answer = pkd("resume", "--all", "--wait")
    assert answer.code == 0, answer.err
    assert {one["state"] for one in status(pkd).values()} == {"done"}
    rows = json.loads(pkd("report", "--format", "json").out)
    rows = rows if isinstance(rows, list) else rows["runs"]
    assert {row["loss"]: row["state"] for row in rows} == {"none": "done", "mse": "done"}
    assert len([row for row in rows if row["gain"] is not None]) == 3


def test_two_nodes_of_two_processes_train_a_run(cluster, pkd, micro, tmp_path):
    words = ("--nodes", "2", "--procs", "2", "--wait", "--data", micro, *MICRO)
    answer = pkd("train", "--loss", "none", *words, *SLURM, timeout=900)
    assert answer.code == 0, answer.err
    (run,) = (path for path in (tmp_path / "runs").iterdir() if not path.name.startswith("."))
    assert json.loads((run / "result.json").read_text())["epoch"] == 2
    assert status(pkd)["baseline"]["where"].startswith("node1, process ")


def test_usr1_requeues_a_run_which_goes_on(cluster, pkd, micro, tmp_path):
    words = ("--data", micro, *MICRO, "--epochs", "80", "--val-interval", "80")
    assert pkd("train", "--loss", "none", *words, *SLURM).code == 0
    one = until(lambda: (found := status(pkd)["baseline"])["epoch"] and found["epoch"] > 2 and found)
    cluster.slurm("scancel", "--signal=USR1", one["job"])
    cluster.wait(one["job"], seconds=400)
    assert status(pkd)["baseline"]["state"] == "done"
    (run,) = (path for path in (tmp_path / "runs").iterdir() if not path.name.startswith("."))
    starts = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    starts = [record["iter"] for record in starts if record["kind"] == "start"]
    assert len(starts) == 2
    assert starts[0] == 0 < starts[1]
