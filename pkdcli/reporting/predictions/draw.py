"""Boxes on a picture: a colour for each class, and labels that can be read on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
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
    if not len(rows):
        return pixels
    drawn, size = pixels.copy(), text_size(pixels.shape)
    taken = np.zeros(pixels.shape[:2], bool)
    for row in reversed(rows):  # the best on top
        _frame(drawn, _inside(row, pixels.shape), colours[classes[int(row[5])]], max(1, round(size / 7)))
    for row in rows:
        name = classes[int(row[5])]
        label = _label(name, f" {row[4]:.2f}" if row[4] == row[4] else "", size, colours[name])
        place = _place(label.shape[:2], _inside(row, pixels.shape), taken)
        if place is not None:  # else no room is free: the box and its colour stay
            drawn[place] = label
            taken[place] = True
    return drawn


def _frame(pixels: np.ndarray, box: tuple[int, int, int, int], colour: Colour, width: int) -> None:
    """The sides of a box, drawn inwards."""
    x1, y1, x2, y2 = box
    bgr = colour[::-1]
    across, down = min(width, x2 - x1 + 1), min(width, y2 - y1 + 1)
    pixels[y1 : y1 + down, x1 : x2 + 1] = bgr
    pixels[y2 + 1 - down : y2 + 1, x1 : x2 + 1] = bgr
    pixels[y1 : y2 + 1, x1 : x1 + across] = bgr
    pixels[y1 : y2 + 1, x2 + 1 - across : x2 + 1] = bgr


def _inside(row: Row, shape: Sequence[int]) -> tuple[int, int, int, int]:
    """The box within the picture, its corners in order, in whole pixels."""
    most = (shape[1] - 1, shape[0] - 1)
    x1, y1 = (min(max(int(side), 0), end) for side, end in zip(row[:2], most, strict=True))
    x2, y2 = (min(max(int(side), 0), end) for side, end in zip(row[2:4], most, strict=True))
    return x1, y1, max(x1, x2), max(y1, y2)


def _place(size: Sequence[int], box: tuple[int, int, int, int], taken: np.ndarray) -> tuple[slice, slice] | None:
    """Where a label goes: above its box, inside its top, or below it, within the picture and on no other label.

    Args:
        size: Its height and width.
        box: As `_inside` tells it.
        taken: (H, W), where labels are already.
    """
    height, width = size
    x1, y1, _, y2 = box
    left = max(0, min(x1, taken.shape[1] - width))
    if left + width > taken.shape[1]:
        return None
    for top in (y1 - height, y1 + 1, y2 + 1, y2 - height - 1):
        place = slice(top, top + height), slice(left, left + width)
        if top >= 0 and top + height <= taken.shape[0] and not taken[place].any():
            return place
    return None


def _label(name: str, score: str, size: int, colour: Colour) -> np.ndarray:
    """A label (h, w, 3), BGR."""
    letters = np.concatenate([_letters(name, size), _letters(score, size)], 1)
    under, over = np.array(colour[::-1], np.float32), np.array(ink(colour), np.float32)
    label = np.empty((letters.shape[0] + 2, letters.shape[1] + 4, 3), np.uint8)
    label[:] = colour[::-1]
    label[1:-1, 2:-2] = under + letters[:, :, None] * (over - under)
    return label


@lru_cache(maxsize=1024)  # class names, and a hundred scores: drawing letters takes most of a label's time
def _letters(text: str, size: int) -> np.ndarray:
    """How much of each pixel a text covers: (h, w), 0 to 1; all texts of a size are equally high."""
    from PIL import Image, ImageDraw

    font = _font(size)
    above, below = font.getmetrics()
    image = Image.new("L", (max(1, round(font.getlength(text))), above + below))
    ImageDraw.Draw(image).text((0, above), text, font=font, fill=255, anchor="ls")
    return np.asarray(image, np.float32) / 255


@cache
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
