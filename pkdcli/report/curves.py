"""What a run wrote while it trained, as columns: losses, learning rate, metrics and the measurements of the levels."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby, repeat
from pathlib import Path

import msgspec

from pkdcli.runs.collect import METRICS
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_jsonl

MEASURES = ("loss", "r", "grad_share", "top10_share")
_LEVEL = re.compile(rf"level(\d+)\.({'|'.join(MEASURES)})")

_LINES = msgspec.json.Decoder(dict)

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
    kinds: dict[str, list[dict]] = {"train": [], "val": [], "levels": []}
    for record in _records(RunPaths(Path(folder)).metrics):
        step, kind = record.get("iter"), record.get("kind")
        if isinstance(step, int) and not isinstance(step, bool) and isinstance(kind, str) and kind in kinds:
            kinds[kind].append(record)
    _add_train(curves, kinds["train"])
    curves.val_step = [record["iter"] for record in kinds["val"]]
    curves.val = {name: _column(kinds["val"], name) for name in METRICS}
    _add_levels(curves, kinds["levels"])
    return curves


def _records(path: Path) -> Iterable[dict]:
    try:
        return _LINES.decode_lines(path.read_bytes())
    except (OSError, msgspec.MsgspecError, RecursionError):
        return read_jsonl(path)  # which passes over what is not whole


def _add_train(curves: Curves, records: list[dict]) -> None:
    curves.step = [record["iter"] for record in records]
    curves.lr, curves.loss = _column(records, "lr"), _column(records, "loss")
    for keys, group in groupby(records, key=tuple):
        members = list(group)
        names = [name for name in keys if name.startswith("distill.") and "loss" in name]
        rows = zip(*(_column(members, name) for name in names), strict=True) if names else repeat((), len(members))
        for row in rows:
            known = row if None not in row else [part for part in row if part is not None]
            curves.distillation.append(sum(known) if known else None)
    pairs = zip(curves.loss, curves.distillation, strict=True)
    curves.detection = [None if total is None else total - (part or 0.0) for total, part in pairs]


def _add_levels(curves: Curves, records: list[dict]) -> None:
    curves.level_step = [record["iter"] for record in records]
    for keys in dict.fromkeys(map(tuple, records)):
        for level in sorted({int(match[1]) for name in keys if (match := _LEVEL.fullmatch(name))}):
            if level not in curves.levels:
                curves.levels[level] = {name: _column(records, f"level{level}.{name}") for name in MEASURES}


def _column(records: list[dict], name: str) -> Column:
    """A value of every record as `number` has it; a column of floats, as most are, without a look at each."""
    values = [record.get(name) for record in records]
    if set(map(type, values)) == {float} and sum(map(abs, values)) < 1e300:
        return values
    return list(map(number, values))


def number(value: object) -> float | None:
    """A finite number, else None."""
    if type(value) is float and -1e300 < value < 1e300:
        return value
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
    if None in column:
        known = [(x, y) for x, y in zip(steps, column, strict=True) if y is not None]
        steps, column = [x for x, _ in known], [y for _, y in known]
    return list(_thin(tuple(steps), points)), _thinned(column, points)


def _thinned(values: Sequence[float], points: int) -> list[float]:
    if len(values) <= points:
        return list(values)
    inner = values[1:-1]
    return [values[0], *(sum(inner[a:b]) / (b - a) for a, b in _bins(len(inner), points)), values[-1]]


@lru_cache(maxsize=256)
def _thin(steps: tuple[float, ...], points: int) -> tuple[float, ...]:
    # All lines of a run, and most runs, have their steps in common.
    return tuple(_thinned(steps, points))


@lru_cache(maxsize=256)
def _bins(count: int, points: int) -> list[tuple[int, int]]:
    edges = [round(count * n / (points - 2)) for n in range(points - 1)]
    return [(a, b) for a, b in itertools.pairwise(edges) if b > a]
