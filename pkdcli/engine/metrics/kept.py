"""What the last evaluation has found beside its metrics: the detections, written down, and the AP of each class."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.runner import Runner

from pkdcli.data.scoring import predictions


def write(runner: Runner, path: Path, split: str = "val") -> None:
    """Write down what the last evaluation has found, if its metric has kept it.

    Args:
        runner: It has just evaluated; with another metric than `PkdCocoMetric` nothing is written.
        path: The file, written by the first process.
        split: The split that was evaluated.
    """
    if not is_main_process():
        return
    for metric in runner.val_loop.evaluator.metrics:
        if getattr(metric, "kept", None) is not None:
            predictions.write(path, dataclasses.replace(metric.kept, split=split))


def by_class(runner: Runner) -> dict[str, float] | None:
    """AP points by the name of the class, NaN for one without objects; None where nobody knows.

    Args:
        runner: It has just evaluated; in other processes than the first nothing is known.
    """
    for metric in runner.val_loop.evaluator.metrics:
        if getattr(metric, "by_class", None) is not None:
            return dict(metric.by_class)
    return None
