"""Boxes and areas of outlines."""

from __future__ import annotations

import math
from collections.abc import Sequence

Box = tuple[float, float, float, float]


def box_of(points: Sequence[float]) -> Box:
    """x, y, width and height of the smallest upright box around points x1, y1, x2, y2, ..."""
    xs, ys = points[::2], points[1::2]
    left, top = min(xs), min(ys)
    return left, top, max(xs) - left, max(ys) - top


def area_of(points: Sequence[float]) -> float:
    """The area inside an outline x1, y1, x2, y2, ..., by the shoelace formula."""
    xs, ys = points[::2], points[1::2]
    pairs = zip(xs, ys, [*xs[1:], xs[0]], [*ys[1:], ys[0]], strict=True)
    return abs(sum(x * next_y - next_x * y for x, y, next_x, next_y in pairs)) / 2


def turned_box(left: float, top: float, right: float, bottom: float, degrees: float) -> list[float]:
    """The four corners of a box that is turned about its centre.

    Args:
        left: Of the box before it is turned, in pixels.
        top: The same.
        right: The same.
        bottom: The same.
        degrees: Clockwise on the screen, as CVAT has it.
    """
    x, y, angle = (left + right) / 2, (top + bottom) / 2, math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    turned = ((x + (u - x) * cos - (v - y) * sin, y + (u - x) * sin + (v - y) * cos) for u, v in corners)
    return [round(side, 3) for point in turned for side in point]


def circle(x: float, y: float, radius: float, points: int = 32) -> list[float]:
    """The outline of a circle.

    Args:
        x: Of its centre, in pixels.
        y: The same.
        radius: In pixels.
        points: So many corners.
    """
    angles = (2 * math.pi * at / points for at in range(points))
    return [round(side, 3) for a in angles for side in (x + radius * math.cos(a), y + radius * math.sin(a))]
