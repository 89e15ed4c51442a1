"""The real worker on the micro data set: two processes of this machine, and a sweep on a real Slurm.

Runs are caught at a step that their records show, and stopped there, so no test depends on how fast a machine is.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pkdcli.runs.store import read_json, read_jsonl

MICRO = ("--scale", "tiny", "--epochs", "2", "--batch-size", "4", "--workers", "0", "--set", "scale.teacher.epochs=1")
SLURM = ("--launcher", "slurm", "--partition", "test", "--time", "20", "--cpus-per-process", "1")
PER_EPOCH = 4  # steps

pytestmark = pytest.mark.slow


def status(pkd):
    """What `pkd status` says, by the middle of the runs' names."""
    answer = pkd("status", "--json")
    assert answer.code == 0, answer.err
    records = map(json.loads, answer.out.splitlines())
    return {record["run"].split("__")[1]: record for record in records}


def records(folder, kind):
    return [record for record in read_jsonl(folder / "metrics.jsonl") if record["kind"] == kind]


def caught(runs: Path, *beginnings: str, step: int) -> list[tuple[Path, int]]:
    """Stop runs (SIGSTOP) once they have taken so many steps; their folders, and their processes."""
    found: dict[str, tuple[Path, int]] = {}
    deadline = time.monotonic() + 400
    while len(found) < len(beginnings) and time.monotonic() < deadline:
        for beginning in set(beginnings) - set(found):
            with suppress(StopIteration, IndexError):
                folder = next(runs.glob(f"*__{beginning}*"))
                assert (read_json(folder / "status.json") or {}).get("state") in (None, "queued", "running"), folder
                if records(folder, "train")[-1]["iter"] >= step:
                    pid = read_json(folder / "status.json")["pid"]
                    os.kill(pid, signal.SIGSTOP)
                    found[beginning] = folder, pid
        time.sleep(0.005)
    assert set(found) == set(beginnings), {path.name: read_json(path / "status.json") for path in runs.glob("*__*")}
    assert not [folder for folder, _ in found.values() if (folder / "result.json").exists()]
    return [found[beginning] for beginning in beginnings]


def pending(pid: int, number: signal.Signals) -> bool:
    """Whether a signal waits for a stopped process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return any(int(line.split()[1], 16) >> (number - 1) & 1 for line in lines if line.startswith(("ShdPnd", "SigPnd")))


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never happened")


def test_two_processes_of_this_machine_train_a_run(pkd, micro, tmp_path):
    answer = pkd("train", "--loss", "none", "--procs", "2", "--data", micro, *MICRO)
    assert answer.code == 0, answer.err
    (run,) = (tmp_path / "runs").iterdir()
    result = json.loads((run / "result.json").read_text())
    assert (result["batch"], result["epoch"]) == (4, 2)
    assert records(run, "train")[-1]["iter"] == 2 * PER_EPOCH


def test_a_sweep_on_a_cluster_loses_tasks_and_is_resumed(cluster, pkd, micro, tmp_path):
    """One task is cancelled and one killed; both finish after `pkd resume`, and the report is complete."""
    words = ("--weights", "10,30,50", "--max-parallel", "2", "--data", micro, *MICRO, "--epochs", "6")
    answer = pkd("sweep", "--loss", "mse", *words, *SLURM)
    assert answer.code == 0, answer.err
    runs = tmp_path / "runs"
    (cancelled, _), (killed, pid) = caught(runs, "mse-w10", "mse-w30", step=PER_EPOCH + 1)
    found = status(pkd)
    assert [found[name]["state"] for name in ("mse-w10", "mse-w30", "mse-w50")] == ["running", "running", "queued"]
    cluster.slurm("scancel", found["mse-w10"]["job"])  # which wakes it too
    os.kill(pid, signal.SIGKILL)
    cluster.wait(*(one["job"] for one in found.values() if one["job"]), seconds=400)
    found = status(pkd)
    assert {name: one["state"] for name, one in found.items()} == {
        **{"teacher": "done", "baseline": "done", "mse-w50": "done"},
        **{"mse-w10": "interrupted", "mse-w30": "failed"},
    }
    assert found["mse-w10"]["reason"].startswith("cancelled: scancel, or the cluster")
    assert found["mse-w30"]["reason"].startswith("killed by SIGKILL")
    assert 0 < len(found["mse-w30"]["log"]) <= 40
    answer = pkd("resume", "--all", "--wait")
    assert answer.code == 0, answer.err
    assert {one["state"] for one in status(pkd).values()} == {"done"}
    for folder in (cancelled, killed):
        first, second = (record["iter"] for record in records(folder, "start"))
        assert first == 0 < PER_EPOCH <= second < 6 * PER_EPOCH
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
    assert pkd("train", "--loss", "none", "--data", micro, *MICRO, "--epochs", "6", *SLURM).code == 0
    ((run, pid),) = caught(tmp_path / "runs", "baseline", step=PER_EPOCH + 1)
    job = status(pkd)["baseline"]["job"]
    cluster.slurm("scancel", "--signal=USR1", job)
    until(lambda: pending(pid, signal.SIGUSR1))
    os.kill(pid, signal.SIGCONT)
    cluster.wait(job, seconds=400)
    assert status(pkd)["baseline"]["state"] == "done"
    first, second = (record["iter"] for record in records(run, "start"))
    assert first == 0 < PER_EPOCH < second < 6 * PER_EPOCH
    assert read_json(run / "task.json")["restarts"] == 1
