"""What a checkpoint's labels mean: by the names of its classes, not by their places, it is measured on a data set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.runner import Runner

from pkdcli.engine.checkpoint import among, classes_of, in_order_of, told_by_mmdet, with_classes
from pkdcli.errors import PkdError
from pkdcli.recipe.schema import Data

Orders = list[list[str | None]]
"""The classes of a data set in the order of a checkpoint's labels: one, or two where it can't be known which.

None stands for a class of the checkpoint that the data set has not.
"""

SHOWN = 4  # names of classes that a message gives


def orders_of(weights: Path, data: Data) -> tuple[Orders, list[str]]:
    """In what order a checkpoint's labels may stand for the classes of a data set, and what is to be said of that.

    Args:
        weights: The checkpoint.
        data: With its classes.

    Raises:
        PkdError: It was not trained for one of them.
    """
    theirs, ours = classes_of(weights), list(data.classes or [])
    if theirs is None:
        return [ours], [f"{weights} names no classes: its labels are taken in the order of {data.name}, {some(ours)}."]
    ordered = in_order_of(theirs, ours)
    if ordered is None and (some_of_them := among(theirs, ours)) is not None:
        left = [name for name, known in zip(theirs, some_of_them, strict=True) if known is None]
        said = f"labels are matched by the names in {weights}; what it finds of {some(left)} is left out."
        return [some_of_them], [said]
    if ordered is None:
        raise PkdError(
            f"{weights} was trained for other classes than those of data set {data.name}: {some(theirs)} instead of "
            f"{some(ours)}.",
            "Evaluate it on data with its classes, all or some in whatever order, or give a checkpoint trained on this "
            "data's.",
        )
    if ordered == ours:
        return [ours], []
    if told_by_mmdet(weights):
        return [ordered, ours], []
    return [ordered], [f"labels are matched by the names in {weights}: {some(ordered)}."]


def as_many_classes(config: dict[str, Any], data: Data, weights: Path) -> None:
    """Have a detector that is built for a data set know as many classes as a checkpoint names.

    Args:
        config: The whole config of a detector alone; changed in place where the numbers differ.
        data: With its classes.
        weights: The checkpoint.

    Raises:
        PkdError: It can't be read.
    """
    theirs = classes_of(weights)
    if theirs is not None and len(theirs) != len(data.classes or []):
        with_classes(config["model"], len(theirs))


def measure(runner: Runner, orders: Orders, weights: Path) -> tuple[dict[str, float], list[str | None], list[str]]:
    """Evaluate a detector whose labels stand for classes in one of several orders.

    Args:
        runner: With the weights loaded.
        orders: Of `orders_of`. In each of several the detector is evaluated, and the best one is right: with labels
            mixed up hardly anything is found.
        weights: The checkpoint, for the words.

    Returns:
        The metrics, the order that they are of, and what is to be said.
    """
    found = [_evaluated(runner, order) for order in orders]
    best = max(range(len(orders)), key=lambda place: _points(found[place]))
    if len(orders) == 1:
        return found[0], orders[0], []
    if best < len(orders) - 1:
        _evaluated(runner, orders[best])  # the detections that are kept are the last ones
    by_name, by_place = (f"{metrics['mAP']:.1f}" for metrics in found)
    said = (
        f"mmdet numbers labels by the file that it trains on, whatever the order of the names that it notes down: with "
        f"the labels of {weights} as {some(orders[0])} (its names) it has {by_name} mAP, as {some(orders[1])} (the "
        f"data's order) {by_place}; the higher is taken."
    )
    return found[best], orders[best], [said]


def _evaluated(runner: Runner, order: list[str | None]) -> dict[str, float]:
    evaluator = runner.val_loop.evaluator
    known = [name for name in order if name is not None]
    meta = {**(evaluator.dataset_meta or {}), "classes": tuple(known)}
    if len(known) < len(order):
        meta["places"] = [-1 if name is None else known.index(name) for name in order]
    evaluator.dataset_meta = meta
    return runner.val()


def _points(metrics: dict[str, float]) -> float:
    return -1.0 if math.isnan(metrics["mAP"]) else metrics["mAP"]


def some(names: Sequence[str]) -> str:
    """The first few names, and how many there are."""
    return ", ".join(names[:SHOWN]) + (f", ... ({len(names)})" if len(names) > SHOWN else "")
