"""Panels placed by hand, in inches: pictures of equal size in rows and columns, with room for what is written there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


class Box(NamedTuple):
    """A place on a page, in inches from its upper left corner."""

    left: float
    top: float
    width: float
    height: float


class Page:
    """An empty figure of so many inches.

    Args:
        width: In inches.
        height: In inches.
    """

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height))
        FigureCanvasAgg(self.figure)
        self.width, self.height = width, height

    def axes(self, box: Box) -> Axes:
        """Axes whose frame (without ticks and labels) has that place."""
        bottom = self.height - box.top - box.height
        size = (box.left / self.width, bottom / self.height, box.width / self.width, box.height / self.height)
        return self.figure.add_axes(size)


class Tiles(NamedTuple):
    """Rows and columns of pictures.

    Attributes:
        left: Of the first column, in inches.
        top: Of the first row.
        width: Of a picture.
        heights: Of the pictures in each row.
        gap: Between columns.
        below: Under each row, for what is written there.
        beside: Between the first column, the images, and the others, besides the gap.
    """

    left: float
    top: float
    width: float
    heights: Sequence[float]
    gap: float
    below: float
    beside: float = 0.0

    def place(self, row: int, column: int) -> Box:
        """Where a picture goes.

        Args:
            row: From 0.
            column: From 0; the images stand in the first.
        """
        top = self.top + sum(self.heights[:row]) + row * self.below
        left = self.left + column * (self.width + self.gap) + (self.beside if column else 0.0)
        return Box(left, top, self.width, self.heights[row])

    def bottom(self) -> float:
        """Where the last row ends, with what is written under it."""
        return self.top + sum(self.heights) + len(self.heights) * self.below

    def under(self, first: int, last: int, height: float) -> Box:
        """A place under some columns, so many inches high.

        Args:
            first: The first column.
            last: The last column.
            height: In inches.
        """
        left, right = self.place(0, first).left, self.place(0, last).left + self.width
        return Box(left, self.bottom(), right - left, height)
