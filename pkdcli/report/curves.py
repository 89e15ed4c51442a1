"""What a run wrote while it trained, as columns: losses, learning rate, metrics and the measurements of the levels."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pkdcli.runs.collect import METRICS
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_jsonl

MEASURES = ("loss", "r", "grad_share", "top10_share")
_LEVEL = re.compile(rf"level(\d+)\.({'|'.join(MEASURES)})")

Column = list[float | None]


@dataclass
class Curves:
    """Columns over steps; a value that was not recorded, or is no number, is None.

    Attributes:
        step: Steps of the records of losses.
        loss: The whole training loss.
        detection: The detector's own part of it.
        distillation: The weighted distillation loss over all levels; None without a teacher.
        lr: Learning rate.
        val_step: Steps of the evaluations.
        val: Each metric at those, in AP points.
        level_step: Steps of the measurements of the levels.
        levels: By the student's level the columns `MEASURES` (see `pkdcli.engine.diagnostics`).
    """

    step: list[int] = field(default_factory=list)
    loss: Column = field(default_factory=list)
    detection: Column = field(default_factory=list)
    distillation: Column = field(default_factory=list)
    lr: Column = field(default_factory=list)
    val_step: list[int] = field(default_factory=list)
    val: dict[str, Column] = field(default_factory=lambda: {name: [] for name in METRICS})
    level_step: list[int] = field(default_factory=list)
    levels: dict[int, dict[str, Column]] = field(default_factory=dict)


def read_curves(folder: Path | str) -> Curves:
    """The curves of a run directory; empty ones where there is no metrics.jsonl."""
    curves = Curves()
    for record in read_jsonl(RunPaths(Path(folder)).metrics):
        step = record.get("iter")
        if not isinstance(step, int) or isinstance(step, bool):
            continue
        kind = record.get("kind")
        if kind == "train":
            _add_train(curves, step, record)
        elif kind == "val":
            curves.val_step.append(step)
            for name in METRICS:
                curves.val[name].append(number(record.get(name)))
        elif kind == "levels":
            _add_levels(curves, step, record)
    return curves


def _add_train(curves: Curves, step: int, record: dict) -> None:
    curves.step.append(step)
    curves.lr.append(number(record.get("lr")))
    total = number(record.get("loss"))
    parts = [number(value) for name, value in record.items() if name.startswith("distill.") and "loss" in name]
    known = [part for part in parts if part is not None]
    distillation = sum(known) if known else None
    curves.loss.append(total)
    curves.distillation.append(distillation)
    curves.detection.append(None if total is None else total - (distillation or 0.0))


def _add_levels(curves: Curves, step: int, record: dict) -> None:
    found: dict[int, dict[str, float | None]] = {}
    for name, value in record.items():
        if match := _LEVEL.fullmatch(name):
            found.setdefault(int(match[1]), {})[match[2]] = number(value)
    curves.level_step.append(step)
    before = len(curves.level_step) - 1
    for level in sorted(found.keys() | curves.levels.keys()):
        columns = curves.levels.setdefault(level, {name: [None] * before for name in MEASURES})
        for name in MEASURES:
            columns[name].append(found.get(level, {}).get(name))


def number(value: object) -> float | None:
    """A finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < 1e300 and math.isfinite(value) else None


def mean(column: Column) -> float | None:
    """The mean of what is known of a column."""
    known = [value for value in column if value is not None]
    return sum(known) / len(known) if known else None


def thinned(steps: Sequence[float], column: Column, points: int) -> tuple[list[float], list[float]]:
    """A column without its gaps, brought down to so many points: the first, the last, and means of what lies between.

    Args:
        steps: x of each value.
        column: The values; None is passed over.
        points: At least 3.
    """
    known = [(x, y) for x, y in zip(steps, column, strict=True) if y is not None]
    if len(known) > points:
        inner = known[1:-1]
        edges = [round(len(inner) * n / (points - 2)) for n in range(points - 1)]
        bins = [inner[a:b] for a, b in itertools.pairwise(edges) if b > a]
        middle = [(sum(x for x, _ in one) / len(one), sum(y for _, y in one) / len(one)) for one in bins]
        known = [known[0], *middle, known[-1]]
    return [x for x, _ in known], [y for _, y in known]
