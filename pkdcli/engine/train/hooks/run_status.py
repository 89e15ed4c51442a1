"""The one writer of a run's status.json."""

from __future__ import annotations

from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.runner import Runner

from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import Status


def status_of(runner: Runner) -> Status:
    """The one writer of a runner's status.json: a second one would not know what the first has written."""
    if not hasattr(runner, "pkd_status"):
        runner.pkd_status = Status(RunPaths(Path(runner.work_dir)))
    return runner.pkd_status


def say_phase(runner: Runner, phase: str) -> None:
    """Write down what a run is at: `data`, `weights`, `train`, `evaluate` or `finish`.

    Args:
        runner: The run's.
        phase: One of these words.
    """
    if is_main_process():
        status_of(runner).write(phase=phase)
