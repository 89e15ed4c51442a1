"""A real sweep whose students share a teacher, against the same students each in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

MICRO = ("--scale", "tiny", "--epochs", "2", "--batch-size", "4", "--workers", "0", "--set", "scale.teacher.epochs=1")

pytestmark = pytest.mark.slow


def weights(runs: Path) -> dict[str, dict]:
    """The student of each run, by its loss and weight."""
    import torch

    files = {path.parent.name.split("__")[1]: path for path in runs.glob("*/student.pth")}
    return {name: torch.load(path, weights_only=False)["state_dict"] for name, path in files.items()}


def assert_same(ours: dict[str, dict], theirs: dict[str, dict]) -> None:
    import torch

    assert ours.keys() == theirs.keys()
    for name, state in ours.items():
        assert state.keys() == theirs[name].keys()
        assert all(torch.equal(tensor, theirs[name][key]) for key, tensor in state.items()), name


def status(runs: Path, name: str) -> dict:
    (path,) = runs.glob(f"*__{name}__*/status.json")
    return json.loads(path.read_text())


def test_two_processes_share_and_one_diverges(pkd, micro, tmp_path):
    words = ("sweep", "--loss", "mse", "--weights", "10,1e40", "--procs", "2", "--data", micro, *MICRO)
    answers = [
        pkd(*words, *more, "--runs", tmp_path / folder)
        for folder, more in (("together", ("--share-teacher",)), ("alone", ("--no-share-teacher",)))
    ]
    assert [answer.code for answer in answers] == [1, 1], answers
    found = [weights(tmp_path / folder) for folder in ("together", "alone")]
    assert sorted(found[0]) == ["baseline", "mse-w10"]
    assert_same(*found)
    for folder in ("together", "alone"):
        failed = status(tmp_path / folder, "mse-w1e+40")
        assert failed["state"] == "failed"
        assert failed["error"]["message"].startswith("training diverged: the loss is inf at step 1")
    (log,) = (tmp_path / "together").glob("*mse-w10*/log.txt")
    assert "shares images and teacher with fcos50__baseline" in log.read_text()


def test_a_killed_group_ends_as_if_nothing_had_happened(pkd, micro, tmp_path):
    knobs = ("--epochs", "8", "--val-interval", "8", "--set", "checkpoint_iters=3")
    words = ("sweep", "--loss", "pkd,mse", "--weights", "10", "--data", micro, *MICRO, *knobs)
    runs = tmp_path / "together"

    def kill():
        deadline = time.monotonic() + 400
        while time.monotonic() < deadline:
            for path in runs.glob("*pkd-w10*/metrics.jsonl"):
                steps = [json.loads(line) for line in path.read_text().splitlines()]
                if any(record["kind"] == "train" and record["iter"] >= 7 for record in steps):
                    os.kill(status(runs, "pkd-w10")["pid"], signal.SIGKILL)
                    return
            time.sleep(0.05)

    thread = threading.Thread(target=kill)
    thread.start()
    answer = pkd(*words, "--retries", "1", "--runs", runs)
    thread.join()
    assert answer.code == 0, answer.err
    assert answer.err.count("killed by SIGKILL") == 3
    assert pkd(*words, "--no-share-teacher", "--runs", tmp_path / "alone").code == 0
    assert_same(weights(runs), weights(tmp_path / "alone"))
    for path in runs.glob("*/metrics.jsonl"):
        starts = [json.loads(line)["iter"] for line in path.read_text().splitlines() if '"start"' in line]
        assert len(starts) == 2
        assert 0 < starts[1] < 32
