"""Curves and boxes of thousands of runs in few bytes, for the page's script to draw (charts.js reads them).

A number stands as two characters, and whatever several runs have in common stands in the page once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

from pkdcli.reporting.plots.axes import axes
from pkdcli.reporting.plots.figure import DASHES, Panel

# Characters that neither JSON nor HTML has to write in another way.
_DIGITS = "".join(chr(code) for code in range(35, 127) if chr(code) not in "&'<>\\")
BASE = len(_DIGITS)
LARGEST = BASE * BASE - 1
_PAIRS = [a + b for a in _DIGITS for b in _DIGITS]


def pack(numbers: Iterable[int]) -> str:
    """Whole numbers from 0 to `LARGEST`, two characters each."""
    return "".join(map(_PAIRS.__getitem__, numbers))


def tenths(values: Iterable[float]) -> str:
    """Coordinates in tenths, as they are written in an SVG."""
    numbers = [round(10 * value) for value in values]
    if numbers and not 0 <= min(numbers) <= max(numbers) <= LARGEST:  # beyond the picture
        numbers = [min(max(number, 0), LARGEST) for number in numbers]
    return pack(numbers)


def packed_boxes(boxes: Sequence[Sequence[float]]) -> str | Sequence[Sequence[float]]:
    """Detections of an image: x1, y1, x2, y2, label, score in hundredths; as they are where one does not fit."""
    rows = [*chain.from_iterable(boxes)]
    rows[5::6] = [round(100 * score) for score in rows[5::6]]
    return pack(rows) if not rows or 0 <= min(rows) <= max(rows) <= LARGEST else boxes


class PackedPanel(NamedTuple):
    """A panel of lines on its own: positions packed, all else as text.

    Attributes:
        texts: Title, x label, y label.
        ends: The values at the ends of the axes.
        logs: `log_x,log_y`.
        x_ticks: Positions, labels.
        y_ticks: Positions, labels.
        lines: (look, name, x, y) of each.
        rules: [look, y in tenths] of each.
        points: Whether points are marked, 1 or 0.
        names: The legend's.
    """

    texts: tuple[str, str, str]
    ends: str
    logs: str
    x_ticks: tuple[str, str]
    y_ticks: tuple[str, str]
    lines: list[tuple[int, str, str, str]]
    rules: list[list[int]]
    points: int
    names: list[str]


def packed_panel(panel: Panel) -> PackedPanel | None:
    """A panel of lines as it is kept; None where it shows nothing."""
    found = axes(panel)
    if found is None:
        return None
    across = {key: tenths(xs) for key, xs in {id(one[2]): one[2] for one in found.lines}.items()}
    return PackedPanel(
        (panel.title, panel.x_label, panel.y_label),
        found.ends,
        f"{int(panel.log_x)},{int(panel.log_y)}",
        (tenths(x for x, _ in found.x_ticks), " ".join(label for _, label in found.x_ticks)),
        (tenths(y for y, _ in found.y_ticks), " ".join(label for _, label in found.y_ticks)),
        [(place, name, across[id(xs)], tenths(ys)) for place, name, xs, ys in found.lines],
        [[place, round(10 * y)] for place, y in found.rules],
        int(panel.points),
        [rule.name for rule in panel.rules],
    )


class Charts:
    """The panels of runs as the script draws them.

    Attributes:
        words: Texts that panels name by their place: titles, labels, ticks, names, the x of lines.
    """

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    @property
    def words(self) -> list[str]:
        """The texts."""
        return list(self._places)

    def add(self, panel: Panel) -> list[Any]:
        """A panel of lines, as `put` gives it."""
        return self.put(packed_panel(panel))

    def put(self, panel: PackedPanel | None) -> list[Any]:
        """A packed panel of lines.

        Returns:
            Title, x label, y label (places in `words`), ends of the axes, `log_x,log_y`, ticks of x and of y
            (positions packed, then labels; places in `words` for x), lines (look, name, x, y packed), rules (look, y in
            tenths), whether points are marked, and the legend's names.
        """
        if panel is None:
            return []
        word = self._word
        for _, _, xs, _ in panel.lines:
            word(xs)
        lines = [[place, word(name), word(xs), ys] for place, name, xs, ys in panel.lines]
        positions, labels = panel.y_ticks
        return [
            *map(word, panel.texts),
            panel.ends,
            panel.logs,
            *map(word, panel.x_ticks),
            positions,
            word(labels),
            lines,
            panel.rules,
            panel.points,
            [word(name) for name in panel.names],
        ]

    def shared(self) -> dict[str, Any]:
        """What the script needs beside the panels."""
        return {"words": self.words, "digits": _DIGITS, "dashes": [" ".join(map(str, dash)) for dash in DASHES]}

    def _word(self, text: str) -> int:
        return self._places.setdefault(text, len(self._places))
