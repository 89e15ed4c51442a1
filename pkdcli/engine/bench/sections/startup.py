"""Section `startup`: what commands and workers take until they do something."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from pkdcli.engine.bench.measure import Section, elsewhere, interleaved
from pkdcli.errors import ExitCode, PkdError
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import columns
from pkdcli.runs.store import read_jsonl, write_json, write_text

FIRST_STEP = 8.0  # seconds from launch, on two cores
REPORT = 2.0  # seconds for 1,000 runs
PATIENCE = 600.0  # seconds for a worker to take its first step
_POLL = 0.02


def startup(recipe: Recipe, repeat: int, runs: int, folder: Path) -> Section:
    """Time a worker from its launch to its first step, `pkd --help`, and `pkd report` over some runs.

    Args:
        recipe: Of a run on drawn pictures; its student is trained alone.
        repeat: Rounds.
        runs: Finished runs that the report reads.
        folder: For run directories.
    """
    section = Section("startup", "From launch to work")
    alone = baseline(recipe)
    _fill(alone, folder / "many", runs)
    cpu: list[float] = []
    pieces = {
        "worker, launch to first step": lambda: cpu.append(first_step(alone, folder / f"run{len(cpu)}")),
        "pkd --help": _quiet("-m", "pkdcli", "--help"),
        f"pkd report of {runs} runs": _quiet("-m", "pkdcli", "report", "--runs", str(folder / "many")),
    }
    section.time(interleaved(pieces, repeat, warmup=1, read=elsewhere()))
    medians = [timing["median"] for timing in section.timings]
    section.number("worker, launch to first step", medians[0], "s", at_most=FIRST_STEP)
    section.number("the same in processor time", sorted(cpu[1:])[(len(cpu) - 1) // 2], "s")
    section.number(f"pkd report of {runs} runs", medians[2], "s", at_most=REPORT if runs >= 1000 else None)
    return section


def baseline(recipe: Recipe) -> Recipe:
    """The recipe's student alone, one step, without loader processes."""
    content = recipe.model_dump()
    content |= {"role": "baseline", "teacher": None, "max_iters": 1, "val_images": 1, "workers": 0, "init": "scratch",
                "loss": {"name": "none", "type": "none"}, "pretrained": False, "adapters": {}}  # fmt: skip
    return Recipe.model_validate(content)


def first_step(recipe: Recipe, folder: Path) -> float:
    """Start a worker, wait until its first step is recorded, and end it; returns its seconds of processor time.

    Args:
        recipe: Of the run; see `baseline`.
        folder: Becomes the run's.

    Raises:
        PkdError: It ended without a step.
    """
    paths = RunPaths(folder)
    write_text(paths.recipe, yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))
    write_json(paths.job, {"cache": os.environ.get("PKD_CACHE") or str(folder / "cache"), "teacher": None})
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(folder / "log.txt", "wb") as log:
        command = [sys.executable, "-m", "pkdcli.engine.worker", str(folder)]
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + PATIENCE
            while not any(one.get("kind") == "train" for one in read_jsonl(paths.metrics)):
                if process.poll() is not None or time.monotonic() > deadline:
                    last = (folder / "log.txt").read_text(errors="replace").splitlines()[-5:]
                    raise PkdError("a worker took no step.", "\n".join(last), ExitCode.RUN_FAILED)
                time.sleep(_POLL)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _quiet(*words: str) -> Callable[[], object]:
    command: Sequence[str] = [sys.executable, *words]
    return lambda: subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)


def _fill(recipe: Recipe, root: Path, count: int) -> None:
    """Finished runs for the report, which differ in their seeds."""
    known = columns(recipe, "")
    metrics = {"mAP": 30.0, "AP50": 50.0, "AP75": 31.0, "AP_S": 20.0, "AP_M": 30.0, "AP_L": 40.0}
    for seed in range(count):
        paths = RunPaths(root / f"fcos50__baseline__s{seed}")
        result = {**known, "run": paths.run, "seed": seed, "metrics": metrics, "split": "val", "epoch": 12}
        paths.root.mkdir(parents=True)
        write_json(paths.result, result)
        write_json(paths.status, {**known, "run": paths.run, "seed": seed, "state": "done"})
