"""A picture as data: what it shows, apart from how it is drawn."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

# Okabe and Ito's colours, which stay apart for every kind of colour vision; their yellow is too pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F", "#000000")
PALE = (3, 4, 5)  # of those, on which text is black
DASHES = ((), (6, 2), (2, 2), (6, 2, 2, 2), (1, 2), (8, 3), (4, 1), (3, 3))
"""Dash patterns beside the colours, in points: a line is told from the others without its colour too."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
PLACES = {"pkd": 0, "mse": 1, "norm-mse": 2, "norm-kl": 3, "baseline": 6, "teacher": 7}
"""What looks alike in every picture, as places in the three above."""


@dataclass(frozen=True)
class Series:
    """One line, or one kind of bars.

    Attributes:
        name: For the legend.
        x: Where; for bars the categories' places are meant.
        y: How much; None for nothing there.
        error: Standard deviations beside y; empty where there are none.
        look: A key of `PLACES`; of those without one, and of several with the same, each gets a look of its own.
        ends: Of `intervals`: lower and upper end of each; None for nothing known.
        labels: What each point is of; empty where its series says all.
    """

    name: str
    x: list[float]
    y: list[float | None]
    error: list[float | None] = field(default_factory=list)
    look: str | None = None
    ends: list[tuple[float, float] | None] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Rule:
    """A horizontal line across a panel, such as the baseline's mAP."""

    name: str
    y: float
    error: float | None = None
    look: str | None = None


@dataclass(frozen=True)
class Scale:
    """One of the axes that a `parallel` panel's lines go through.

    Attributes:
        name: What it is of.
        ticks: (value, label) of each.
        low: The value at its left end.
        high: At its right end.
        log: Whether it is logarithmic.
    """

    name: str
    ticks: list[tuple[float, str]]
    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: Above it.
        x_label: What x is, with its unit.
        y_label: What y is, with its unit.
        series: What is drawn.
        rules: Horizontal lines.
        kind: `lines`; `points`, each by itself; `bars`, standing in groups by category; `shares`, lying and stacked, a
            bar per category; `intervals`, lying, a point and the interval around it per category; `parallel`, parallel
            coordinates: axes lying one below the other (`scales`), through which lines go from the first on.
        categories: Names along the axis of bars, shares and intervals.
        log_x: Whether x is logarithmic.
        log_y: Whether y is.
        points: Whether a line's points are marked.
        y_range: Limits of y; None for what the values need.
        marks: x, y and words that stand above them.
        scales: Of `parallel`: its axes. x of a series is the axis's place; where it falls a new line begins.
    """

    title: str
    x_label: str
    y_label: str
    series: list[Series]
    rules: list[Rule] = field(default_factory=list)
    kind: str = "lines"
    categories: list[str] = field(default_factory=list)
    log_x: bool = False
    log_y: bool = False
    points: bool = False
    y_range: tuple[float, float] | None = None
    marks: list[tuple[float, float, str]] = field(default_factory=list)
    scales: list[Scale] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The legend's: the series, then the rules."""
        return [one.name for one in (*self.series, *self.rules)]

    @property
    def places(self) -> list[int]:
        """The look of each, series first, as a place in `COLOURS`, `DASHES` and `MARKERS`."""
        return list(_places(tuple(one.look for one in (*self.series, *self.rules))))


@lru_cache(maxsize=256)
def _places(looks: tuple[str | None, ...]) -> tuple[int, ...]:
    # The panels of thousands of runs have few looks between them.
    found: list[int | None] = []
    for look in looks:
        place = PLACES.get(look or "")
        found.append(place if place not in found else None)
    rest = iter([*(n for n in range(len(COLOURS)) if n not in found), *range(len(COLOURS)), *range(len(found))])
    return tuple(next(rest) % len(COLOURS) if place is None else place for place in found)


@dataclass(frozen=True)
class Figure:
    """Panels under one title.

    Attributes:
        name: Of its files, without suffix.
        kind: `weights`, `search`, `gains`, `training`, `levels`, `sizes`, `tradeoff`, `run`, or one of a comparison's:
            `differences`, `classes`, `errors`, `calibration`.
        title: Above all.
        caption: What is to be seen, in a sentence or two, for those who can't see it too.
        panels: From left to right.
        group: (pair, schedule, data) it is of; None where not known.
    """

    name: str
    kind: str
    title: str
    caption: str
    panels: list[Panel]
    group: tuple[str | None, ...] = ()


def lanes(panel: Panel) -> tuple[int, list[list[int]]]:
    """How many intervals the fullest category has, and of each category the places of the series that have one."""
    shown = [[place for place, one in enumerate(panel.series) if one.y[n] is not None]
             for n in range(len(panel.categories))]  # fmt: skip
    return max([1, *map(len, shown)]), shown


def threads(series: Series) -> list[list[tuple[int, float]]]:
    """The lines of a series of a `parallel` panel: of each (place of the axis, value) of all axes it reaches."""
    found: list[list[tuple[int, float]]] = []
    for n, (x, y) in enumerate(zip(series.x, series.y, strict=True)):
        if not n or x <= series.x[n - 1]:
            found.append([])
        if y is not None:
            found[-1].append((int(x), y))
    return found


def told(panel: Panel, line: list[tuple[int, float]]) -> str:
    """A line of a `parallel` panel in words: each axis with the label of the value there, or the value.

    Args:
        panel: Where it is.
        line: As `threads` gives it.
    """
    return ", ".join(f"{scale.name} {dict(scale.ticks).get(value) or f'{value:.1f}'}"
                     for scale, value in ((panel.scales[place], value) for place, value in line))  # fmt: skip


def stem(*parts: object) -> str:
    """A file's name from words of any kind."""
    words = (re.sub(r"[^A-Za-z0-9._+-]+", "-", str(part)).strip("-.") for part in parts if part not in (None, ""))
    return "__".join(word for word in words if word)[:150]
