"""What a run wrote while it trained, as columns: losses, learning rate, metrics and the measurements of the levels."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import msgspec

from pkdcli.runs.paths import RunPaths
from pkdcli.runs.record import METRICS
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
        rungs: mAP in AP points of the mean of the weights where trials of a search were compared, by steps.
        level_step: Steps of the measurements of the levels.
        levels: By the student's level the columns `MEASURES` (see `pkdcli.engine.train.hooks.diagnostics`).
    """

    step: list[int] = field(default_factory=list)
    loss: Column = field(default_factory=list)
    detection: Column = field(default_factory=list)
    distillation: Column = field(default_factory=list)
    lr: Column = field(default_factory=list)
    val_step: list[int] = field(default_factory=list)
    val: dict[str, Column] = field(default_factory=lambda: {name: [] for name in METRICS})
    rungs: dict[int, float] = field(default_factory=dict)
    level_step: list[int] = field(default_factory=list)
    levels: dict[int, dict[str, Column]] = field(default_factory=dict)


def read_curves(folder: Path | str) -> Curves:
    """The curves of a run directory; empty ones where there is no metrics.jsonl."""
    curves = Curves()
    kinds: dict[str, list[dict]] = {"train": [], "val": [], "levels": [], "rung": []}
    for record in _records(RunPaths(Path(folder)).metrics):
        step, kind = record.get("iter"), record.get("kind")
        if type(step) is int and type(kind) is str and kind in kinds:
            kinds[kind].append(record)
    train, val, levels, rungs = map(_Columns, kinds.values())
    curves.step, curves.val_step, curves.level_step = train.step, val.step, levels.step
    _add_train(curves, train)
    curves.val = {name: val.of(name) for name in METRICS}
    curves.rungs = {step: mAP for step, mAP in zip(rungs.step, rungs.of("mAP"), strict=True) if mAP is not None}
    _add_levels(curves, levels)
    return curves


def _records(path: Path) -> Iterable[dict]:
    try:
        return _LINES.decode_lines(path.read_bytes())
    except (OSError, msgspec.MsgspecError, RecursionError):
        return read_jsonl(path)  # which passes over what is not whole


class _Columns:
    """The values of records by key: turned over all at once where the records have the same keys, as most have."""

    def __init__(self, records: list[dict]) -> None:
        self.step: list[int] = [record["iter"] for record in records]
        self.keys = list(dict.fromkeys(map(tuple, records)))
        if len(self.keys) == 1:
            self._values = dict(zip(self.keys[0], zip(*map(dict.values, records), strict=True), strict=True))
        else:
            names = dict.fromkeys(itertools.chain.from_iterable(self.keys))
            self._values = {name: tuple(record.get(name) for record in records) for name in names}

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def of(self, name: str) -> Column:
        """A value of every record as `number` has it; a column of floats, as most are, without a look at each."""
        values = self._values.get(name)
        if values is None:
            return [None] * len(self.step)
        if set(map(type, values)) == {float} and sum(map(abs, values)) < 1e300:
            return list(values)
        return list(map(number, values))


def _add_train(curves: Curves, columns: _Columns) -> None:
    curves.lr, curves.loss = columns.of("lr"), columns.of("loss")
    parts = [columns.of(name) for name in columns if name.startswith("distill.") and "loss" in name]
    if not parts:
        curves.distillation = [None] * len(curves.step)
    elif all(map(_whole, parts)):
        curves.distillation = list(map(sum, zip(*parts, strict=True)))
    else:
        known = ([part for part in row if part is not None] for row in zip(*parts, strict=True))
        curves.distillation = [sum(row) if row else None for row in known]
    pairs = zip(curves.loss, curves.distillation, strict=True)
    curves.detection = [None if total is None else total - (part or 0.0) for total, part in pairs]


def _add_levels(curves: Curves, columns: _Columns) -> None:
    for keys in columns.keys:
        for level in _levels_in(keys):
            if level not in curves.levels:
                curves.levels[level] = {name: columns.of(f"level{level}.{name}") for name in MEASURES}


@lru_cache(maxsize=256)
def _levels_in(keys: tuple[str, ...]) -> list[int]:
    return sorted({int(match[1]) for name in keys if (match := _LEVEL.fullmatch(name))})


def _whole(column: Column) -> bool:
    """Whether a column has no gap: `sum` refuses None, and is done many times sooner than `None in column`."""
    try:
        sum(column)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


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
    return thinned_alike(steps, [column], points)[0]


def thinned_alike(
    steps: Sequence[float], columns: Iterable[Column], points: int
) -> list[tuple[list[float], list[float]]]:
    """Several columns over the same steps, each as `thinned` has it; those without gaps share one list of x.

    Args:
        steps: x of each value.
        columns: The values of each column; None is passed over.
        points: At least 3.
    """
    shared = _thinned(steps, points)
    found = []
    for column in columns:
        if _whole(column):
            found.append((shared, _thinned(column, points)))
        else:
            known = [(x, y) for x, y in zip(steps, column, strict=True) if y is not None]
            found.append((_thinned([x for x, _ in known], points), _thinned([y for _, y in known], points)))
    return found


def _thinned(values: Sequence[float], points: int) -> list[float]:
    if len(values) <= points:
        return list(values)
    inner = values[1:-1]
    return [values[0], *[sum(inner[part]) / count for part, count in _bins(len(inner), points)], values[-1]]


@lru_cache(maxsize=256)
def _bins(count: int, points: int) -> list[tuple[slice, int]]:
    edges = [round(count * n / (points - 2)) for n in range(points - 1)]
    return [(slice(a, b), b - a) for a, b in itertools.pairwise(edges) if b > a]
