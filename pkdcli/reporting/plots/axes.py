"""Where the lines of a panel are drawn: axes, their ticks, and places in units of the picture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from pkdcli.reporting.plots.figure import Panel
from pkdcli.runs.record import plain

WIDTH, HEIGHT = 400, 260
LEFT, RIGHT, TOP, BOTTOM = 58, 10, 10, 44


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, about so many.

    Args:
        low: Where the axis begins.
        high: Where it ends.
        count: About so many.
    """
    if not high > low:
        return [low]
    raw = (high - low) / count
    magnitude = 10 ** math.floor(math.log10(raw))
    step = next(m for m in (1, 2, 5, 10) if m * magnitude >= raw * 0.999) * magnitude
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten from `low` to `high`; powers alone over many decades.

    Args:
        low: Where the axis begins, above 0.
        high: Where it ends.
    """
    few = high / low > 1e4
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [m * 10.0**n for n in decades for m in ((1,) if few else (1, 2, 5))]
    return [value for value in found if low * 0.999 <= value <= high * 1.001]


@dataclass(frozen=True)
class Axes:
    """Where the lines of a panel are drawn; coordinates in units of the picture, rounded to a tenth where written.

    Attributes:
        ends: The values at the left, right, bottom and top ends of the axes, as text.
        x_ticks: (x, label) of each.
        y_ticks: (y, label) of each.
        rules: (place of its look, y) of each.
        lines: (place of its look, name, x, y) of each.
        errors: (place of its look, x, lower y, upper y) of each.
        bands: (place of its look, lower y, upper y) of each rule that has a deviation.
    """

    ends: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    rules: list[tuple[int, float]]
    lines: list[tuple[int, str, list[float], list[float]]]
    errors: list[tuple[int, float, float, float]]
    bands: list[tuple[int, float, float]] = field(default_factory=list)


BOX = f"{LEFT},{WIDTH - RIGHT},{HEIGHT - BOTTOM},{TOP}"
"""The axes' left, right, bottom and top."""


def axes(panel: Panel) -> Axes | None:
    """The places of all that a panel of lines shows; None where it shows nothing."""
    # The lines of a panel mostly have one list of x in common.
    xs = [x for one in {id(one.x): one.x for one in panel.series}.values() for x in one]
    known = [[y for y in one.y if y is not None] for one in panel.series]
    ys = [*itertools.chain.from_iterable(known), *(rule.y for rule in panel.rules)]
    if not xs or not ys:
        return None
    # No error bar ends beyond the axes, but below 0 where they are logarithmic.
    spread = [(y, error) for one in panel.series if one.error for y, error in zip(one.y, one.error, strict=True)]
    spread += [(rule.y, rule.error) for rule in panel.rules]
    reach = [end for y, error in spread if y is not None and error for end in (y - error, y + error)]
    ys += [end for end in reach if end > 0 or not panel.log_y]
    ys += [y for _, y, _ in panel.marks]
    low, high = panel.y_range or _padded(min(ys), max(ys), panel.log_y, 0.14 if panel.marks else 0.06)
    left, right = _ends(min(xs), max(xs), panel)
    x = Axis(left, right, LEFT, WIDTH - RIGHT, panel.log_x)
    y = Axis(low, high, HEIGHT - BOTTOM, TOP, panel.log_y)
    weights = panel.points and panel.x_label == "loss weight"
    at = tuple(sorted(set(xs))) if weights and len(set(xs)) <= 8 else None
    lines, errors = [], []
    across: dict[tuple[float, ...], list[float]] = {}
    places = panel.places
    for place, one, at_y in zip(places, panel.series, known, strict=False):
        at_x = one.x
        if len(at_y) < len(one.y):
            at_x = [a for a, b in zip(one.x, one.y, strict=True) if b is not None]
        key = tuple(at_x)
        if key not in across:
            across[key] = x.all(at_x)
        lines.append((place, one.name, across[key], y.all(at_y)))
        errors += [
            (place, x(a), y(b - error), y(b + error))
            for a, b, error in zip(one.x, one.y, one.error, strict=False)
            if b is not None and error
        ]
    rules = list(zip(places[len(panel.series) :], panel.rules, strict=True))
    spread_rules = [(n, one.y, one.error) for n, one in rules if one.error and (one.error < one.y or not panel.log_y)]
    return Axes(
        ends=",".join(f"{value:.6g}" for value in (left, right, low, high)),
        x_ticks=_x_ticks(left, right, panel.log_x, at),
        y_ticks=[(y(tick), tick_label(tick)) for tick in (log_ticks(low, high) if panel.log_y else ticks(low, high))],
        rules=[(n, y(rule.y)) for n, rule in rules],
        lines=lines,
        errors=errors,
        bands=[(n, y(middle - error), y(middle + error)) for n, middle, error in spread_rules],
    )


@lru_cache(maxsize=256)
def _x_ticks(left: float, right: float, log: bool, at: tuple[float, ...] | None) -> list[tuple[float, str]]:
    # Most runs of a page are as long as the others.
    x = Axis(left, right, LEFT, WIDTH - RIGHT, log)
    found = at if at is not None else log_ticks(left, right) if log else ticks(left, right)
    return [(x(tick), tick_label(tick)) for tick in found]


class Axis:
    """From values to places between `start` and `end`."""

    def __init__(self, low: float, high: float, start: float, end: float, log: bool) -> None:
        self.low, high = (math.log10(low), math.log10(high)) if log else (low, high)
        self.span = high - self.low or 1.0
        self.start, self.end, self.log = start, end, log

    def __call__(self, value: float) -> float:
        return self.all([value])[0]

    def all(self, values: Sequence[float]) -> list[float]:
        """The places of many values."""
        start, length, low, span = self.start, self.end - self.start, self.low, self.span
        if self.log:
            values = list(map(math.log10, values))
        return [start + length * (value - low) / span for value in values]


def beside(panel: Panel) -> list[list[float]]:
    """By how many widths of a marker each point is drawn to the right, of each series, so that none hides another.

    Those at the same x whose y are within a twentieth of all stand in a row around their place.
    """
    every = [(x, y, n, k) for n, one in enumerate(panel.series)
             for k, (x, y) in enumerate(zip(one.x, one.y, strict=True)) if y is not None]  # fmt: skip
    near = 0.05 * (max(y for _, y, _, _ in every) - min(y for _, y, _, _ in every)) if every else 0.0
    rows: list[list[tuple[float, float, int, int]]] = []
    for point in sorted(every):
        last = rows[-1][-1] if rows else None
        if last is not None and last[0] == point[0] and point[1] - last[1] <= near:
            rows[-1].append(point)
        else:
            rows.append([point])
    moved = [[0.0] * len(one.x) for one in panel.series]
    for row in rows:
        for place, (_, _, n, k) in enumerate(sorted(row, key=lambda point: point[2])):
            moved[n][k] = place - (len(row) - 1) / 2
    return moved


def _padded(low: float, high: float, log: bool, share: float) -> tuple[float, float]:
    if log:
        return low / 1.15, high * 1.15
    pad = share * (high - low) or abs(high) * 0.1 or 1.0
    return (0.0 if 0 <= low <= 0.3 * high else low - pad), high + pad


def _ends(low: float, high: float, panel: Panel) -> tuple[float, float]:
    if panel.kind == "points":
        return 0.0, high * 1.18
    if high == low:
        return 0.0, high * 1.1 or 1.0
    if not panel.points:
        return low, high
    if panel.log_x:
        return low / 1.3, high * 1.3
    pad = 0.06 * (high - low)
    return low - pad, high + pad


def tick_label(value: float) -> str:
    """The number at a tick."""
    return plain(float(f"{value:.4g}")) if abs(value) >= 1e-4 or value == 0 else f"{value:.0e}"
