"""Boxes on a picture: a colour for each class, and labels that can be read on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

Row = Sequence[float]
"""x1, y1, x2, y2 in pixels, score (NaN for none), label."""
Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

TITLE = (32, 36, 42)  # behind the name of a detector
GAP = 4  # pixels between two pictures side by side


def side_by_side(
    pixels: np.ndarray,
    found: Mapping[str, Sequence[Row]],
    classes: Mapping[str, Sequence[str]],
    colours: Mapping[str, Colour],
) -> np.ndarray:
    """A picture with what a detector has found in it; of several detectors a picture each, with its name on top.

    Args:
        pixels: (H, W, 3), uint8, BGR.
        found: By detector, the best first.
        classes: By detector, in the order of its labels.
        colours: By class.

    Returns:
        (H', W', 3), uint8, BGR.
    """
    drawn = [draw(pixels, rows, classes[name], colours) for name, rows in found.items()]
    if len(drawn) == 1:
        return drawn[0]
    bars = [_title(name, one.shape[1], text_size(pixels.shape)) for name, one in zip(found, drawn, strict=True)]
    parts = [np.vstack(both) for both in zip(bars, drawn, strict=True)]
    gap = np.full((parts[0].shape[0], GAP, 3), 255, np.uint8)
    return np.hstack([piece for part in parts for piece in (gap, part)][1:])


def draw(pixels: np.ndarray, rows: Sequence[Row], classes: Sequence[str], colours: Mapping[str, Colour]) -> np.ndarray:
    """One picture with its boxes, each with class and score.

    Args:
        pixels: (H, W, 3), uint8, BGR; it is left as it is.
        rows: The detections, the best first.
        classes: In the order of the labels.
        colours: By class.
    """
    from PIL import Image, ImageDraw

    if not len(rows):
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1]))
    pen, size = ImageDraw.Draw(image), text_size(pixels.shape)
    width = max(1, round(size / 7))
    taken: list[tuple[float, float, float, float]] = []
    for row in reversed(rows):  # the best on top
        pen.rectangle(_inside(row, image.size), outline=colours[classes[int(row[5])]], width=width)
    for row in rows:
        name = classes[int(row[5])]
        text = f"{name} {row[4]:.2f}" if row[4] == row[4] else name  # an object that was annotated has no score
        place = _place(pen.textbbox((0, 0), text, font=_font(size), anchor="lt"), row, image.size, taken)
        if place is None:  # no room that is free: the box and its colour stay
            continue
        taken.append(place)
        pen.rectangle(place, fill=colours[name])
        pen.text((place[0] + 2, place[1] + 1), text, font=_font(size), fill=ink(colours[name]), anchor="lt")
    return np.ascontiguousarray(np.asarray(image)[:, :, ::-1])


def _inside(row: Row, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The box within the picture, its corners in order."""
    x1, y1 = (min(max(side, 0.0), most - 1.0) for side, most in zip(row[:2], size, strict=True))
    x2, y2 = (min(max(side, 0.0), most - 1.0) for side, most in zip(row[2:4], size, strict=True))
    return x1, y1, max(x1, x2), max(y1, y2)


def _place(
    text: tuple[float, float, float, float],
    row: Row,
    size: tuple[int, int],
    taken: Sequence[tuple[float, float, float, float]],
) -> tuple[float, float, float, float] | None:
    """Where a label goes: above its box, inside its top, or below it, within the picture and on no other label."""
    width, height = text[2] - text[0] + 4, text[3] - text[1] + 3
    x1, y1, _, y2 = _inside(row, size)
    left = max(0.0, min(x1, size[0] - width))
    for top in (y1 - height, y1 + 1, y2 + 1, y2 - height - 1):
        if top < 0 or top + height > size[1]:
            continue
        place = (left, top, left + width, top + height)
        if not any(_meet(place, other) for other in taken):
            return place
    return None


def _meet(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def ink(colour: Colour) -> Colour:
    """Black or white, whichever is more legible on a colour (by WCAG's contrast)."""
    linear = [
        side / 12.92 if side <= 0.04045 else ((side + 0.055) / 1.055) ** 2.4 for side in (c / 255 for c in colour)
    ]
    light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return (0, 0, 0) if (light + 0.05) / 0.05 >= 1.05 / (light + 0.05) else (255, 255, 255)


def text_size(shape: Sequence[int]) -> int:
    """Height of letters in pixels that can be read on a picture of this height and width."""
    return int(min(40, max(10, max(shape[:2]) / 60)))


def _title(name: str, width: int, size: int) -> np.ndarray:
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (width, size + 8), TITLE)
    ImageDraw.Draw(image).text((4, 4), name, font=_font(size), fill=(255, 255, 255), anchor="lt")
    return np.asarray(image)[:, :, ::-1]


@cache
def _font(size: int) -> Any:
    """DejaVu Sans, which matplotlib brings along: it has the letters of most languages' alphabets."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)
