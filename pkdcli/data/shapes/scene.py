"""One picture of the `shapes` data set: a background, distractors and the objects to detect. Integers only."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import numpy as np

from pkdcli.data.shapes.raster import ONE, OUTLINES, SUB, TURN, Stream, cos, fill, sin, turned, twice_area

# What makes the data set easy or hard. A change here changes every picture: give the set a new version and checksum.
SIDE = 160  # width and height of a picture, pixels
OBJECTS = (1, 4)  # objects in a picture
SIZES = {"small": (18, 31, 36), "medium": (33, 88, 38), "large": (97, 112, 26)}  # root of the area, pixels; percent
MAX_LARGE = 2  # large objects in a picture
ASPECT = (85, 118)  # stretch of an outline along its own axis, percent
MAX_HIDDEN = 15  # how much of an object later ones may hide, percent
MARGIN = 6  # least room around an object in a picture, both sides together, pixels
TRIES = 12  # places tried for an object before it is left out
LOW_CONTRAST = 5  # objects that hardly differ from what is behind them, percent
LOW_STEP = (28, 50)  # their difference in a colour channel, levels of 255
HIGH_STEP = 70  # least difference in some channel of all other objects
TEXTURED = 10  # objects with a pattern instead of one colour, percent
TEXTURE_STEP = (15, 45)  # difference between a pattern's two colours
CLUTTER = (0, 2)  # irregular patches of colour behind the objects
SCRIBBLES = (0, 2)  # strokes that belong to no class
STROKES_OVER = 20  # scribbles drawn over the objects rather than under them, percent
# Each class has a usual colour (RGB), as things in photographs have; some objects wear any other.
COLOURS = {
    "circle": (205, 65, 60),
    "square": (60, 85, 205),
    "triangle": (215, 185, 55),
    "star": (65, 175, 80),
    "cross": (185, 70, 195),
    "crescent": (70, 190, 200),
}
USUAL = 95  # objects in their class's usual colour, percent
SPREAD = 28  # how far a channel of the usual colour may be off, levels of 255
NOISE = (1, 4)  # amplitude of the noise on every pixel
SHADE = (0, 30)  # how much darker one side of a picture may be, percent

_Y, _X = np.mgrid[0:SIDE, 0:SIDE].astype(np.int32)


@dataclass(frozen=True)
class Placed:
    """An object in a picture.

    Attributes:
        name: Its class.
        points: Its outline (n, 2) int64, in 1/16 pixel.
        box: x, y, width, height of the pixels of the whole object, hidden ones included.
        twice_area: Twice the outline's area, in 1/256 square pixel.
    """

    name: str
    points: np.ndarray
    box: tuple[int, int, int, int]
    twice_area: int


def compose(stream: Stream) -> tuple[np.ndarray, list[Placed]]:
    """A picture (160, 160, 3) uint8, RGB, and its objects, the one furthest behind first."""
    picture = _background(stream)
    for _ in range(stream.between(*CLUTTER)):
        _paint(picture, stream, *fill(_blob(stream), SIDE, SIDE))
    strokes = [_scribble(stream) for _ in range(stream.between(*SCRIBBLES))]
    over = [stream.chance(STROKES_OVER) for _ in strokes]
    for stroke, later in zip(strokes, over, strict=True):
        if not later:
            _paint(picture, stream, *fill(stroke, SIDE, SIDE))
    placed = _place(stream, _outlines(stream))
    for item, x0, y0, mask in placed:
        _paint(picture, stream, x0, y0, mask, COLOURS[item.name] if stream.chance(USUAL) else None)
    for stroke, later in zip(strokes, over, strict=True):
        if later:
            _paint(picture, stream, *fill(stroke, SIDE, SIDE))
    return _exposed(picture, stream), [item[0] for item in placed]


def _outlines(stream: Stream) -> list[tuple[str, np.ndarray]]:
    """Outlines about the origin at their size and angle, roughly the largest first, so that small ones stay visible."""
    found, large = [], 0
    for _ in range(stream.between(*OBJECTS)):
        draw, size = stream.between(0, 99), ""
        for size, (_, _, percent) in SIZES.items():  # noqa: B007
            if draw < percent:
                break
            draw -= percent
        if size == "large":
            large += 1
            size = "large" if large <= MAX_LARGE else "small"
        low, high, _ = SIZES[size]
        side = stream.between(low * SUB, high * SUB)
        name = list(COLOURS)[stream.between(0, len(COLOURS) - 1)]
        points = np.array(OUTLINES[name], dtype=np.int64)
        points[:, 0] = points[:, 0] * stream.between(*ASPECT) // 100
        scale = isqrt(2 * side * side * ONE * ONE // twice_area(points))
        points = turned(points, stream.between(0, TURN - 1)) * scale >> 14
        while (points.max(axis=0) - points.min(axis=0)).max() > (SIDE - MARGIN) * SUB:
            points = points * 31 // 32
        found.append((side * side * stream.between(2, 8), name, points))
    return [(name, points) for _, name, points in sorted(found, key=lambda item: -item[0])]


def _place(stream: Stream, outlines: list[tuple[str, np.ndarray]]) -> list[tuple[Placed, int, int, np.ndarray]]:
    """Put outlines one over the other, wholly inside the picture, so that none is hidden too much by later ones."""
    owner = np.zeros((SIDE, SIDE), dtype=np.int64)  # 0: nobody, i: object i of `placed`, counted from 1
    placed: list[tuple[Placed, int, int, np.ndarray]] = []
    full = visible = np.zeros(0, dtype=np.int64)
    for name, points in outlines:
        # Drawn once, then moved by whole pixels, which leaves the mask as it is.
        corner = [stream.between(0, SUB - 1) for _ in range(2)]
        points = points - points.min(axis=0) + np.array(corner, dtype=np.int64)
        left, top, mask = fill(points, SIDE, SIDE)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        mask = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        height, width = mask.shape
        left, top = left + int(columns[0]), top + int(rows[0])
        for _ in range(TRIES):
            x0, y0 = stream.between(1, SIDE - width - 1), stream.between(1, SIDE - height - 1)
            behind = owner[y0 : y0 + height, x0 : x0 + width]
            seen = visible - np.bincount(behind[mask], minlength=len(placed) + 1)[1:]
            if (seen * 100 >= full * (100 - MAX_HIDDEN)).all():
                behind[mask] = len(placed) + 1
                moved = points + np.array([(x0 - left) * SUB, (y0 - top) * SUB], dtype=np.int64)
                placed.append((Placed(name, moved, (x0, y0, width, height), twice_area(moved)), x0, y0, mask))
                full, visible = np.append(full, mask.sum()), np.append(seen, mask.sum())
                break
    return placed


def _colour(stream: Stream) -> np.ndarray:
    return stream.octets(3)


def _step(stream: Stream, colour: np.ndarray, low: int, high: int) -> np.ndarray:
    """A colour that differs from `colour` by `low` to `high` in each channel, away from the ends of the scale."""
    signs = [1 if stream.chance(50) else -1 for _ in range(3)]
    steps = np.array([stream.between(low, high) for _ in range(3)], dtype=np.int32) * signs
    outside = (colour + steps < 0) | (colour + steps > 255)
    return (colour + np.where(outside, -steps, steps)).clip(0, 255).astype(np.int32)


def _pattern(stream: Stream, kind: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How much of a second colour each pixel has, 0 to 256, the shape of `x`: stripes, checks, dots, a slope, grain."""
    angle, period = stream.between(0, TURN - 1), stream.between(3, 14)
    along = ((x * cos(angle) + y * sin(angle)) >> 10) + stream.between(0, 999) + 16 * 4 * SIDE
    across = ((y * cos(angle) - x * sin(angle)) >> 10) + 16 * 4 * SIDE
    if kind == 0:
        return (along // (16 * period) & 1) * 256
    if kind == 1:
        return ((along // (16 * period) ^ across // (16 * period)) & 1) * 256
    if kind == 2:
        u, v = along % (16 * period) - 8 * period, across % (16 * period) - 8 * period
        return (u * u + v * v < 30 * period * period) * 256
    if kind == 3:
        first, last = int(along.min()), int(along.max())
        return (along - first) * 256 // max(last - first, 1)
    grain = stream.between(1, 3)
    cells = stream.octets((SIDE // grain + 1) ** 2).reshape(SIDE // grain + 1, -1)
    return cells[y // grain, x // grain]


def _paint(
    picture: np.ndarray,
    stream: Stream,
    x0: int,
    y0: int,
    mask: np.ndarray,
    usual: tuple[int, int, int] | None = None,
) -> None:
    """Colour the pixels of `mask`, about `usual` or at some contrast with what is there, plain or with a pattern."""
    y, x = (part.astype(np.int32) for part in mask.nonzero())
    if not len(y):
        return
    y, x = y + y0, x + x0
    at, pixels = y * SIDE + x, picture.reshape(-1, 3)
    mean = (pixels.take(at, axis=0).sum(axis=0) // len(at)).astype(np.int32)
    if usual is not None:
        off = [stream.between(-SPREAD, SPREAD) for _ in range(3)]
        first = (np.array(usual, dtype=np.int32) + off).clip(0, 255).astype(np.int32)
    elif stream.chance(LOW_CONTRAST):
        first = _step(stream, mean, *LOW_STEP)
    else:
        first = _colour(stream)
        while np.abs(first - mean).max() < HIGH_STEP:
            first = _colour(stream)
    if not stream.chance(TEXTURED):
        pixels[at] = first
        return
    second = _step(stream, first, *TEXTURE_STEP)
    share = _pattern(stream, stream.between(0, 4), x, y)
    pixels[at] = first + ((second - first) * share[:, None] >> 8)


def _clouds(stream: Stream, cell: int) -> np.ndarray:
    """Smooth random hills, (160, 160), 0 to 256: random heights every `cell` pixels, joined linearly."""
    knots = SIDE // cell + 2
    heights = stream.octets(knots * knots).reshape(knots, knots)
    at, part = np.arange(SIDE, dtype=np.int32) // cell, np.arange(SIDE, dtype=np.int32) % cell
    rows = heights[at] * (cell - part)[:, None] + heights[at + 1] * part[:, None]
    return (rows[:, at] * (cell - part) + rows[:, at + 1] * part) // (cell * cell)


def _background(stream: Stream) -> np.ndarray:
    colour = _colour(stream)
    second = _step(stream, colour, 5, 30)
    kind = stream.between(0, 6)
    share = _clouds(stream, 48) if kind > 4 else _pattern(stream, kind, _X, _Y)
    third = _step(stream, colour, 5, 30)
    over = _clouds(stream, (8, 16, 32, 64)[stream.between(0, 3)])
    # One channel at a time: an inner loop of length three would cost numpy more than all the rest. In C order, because
    # `_paint` writes through a flat view.
    picture = np.empty((SIDE, SIDE, 3), dtype=np.int32)
    for channel, (one, two, three) in enumerate(zip(colour, second, third, strict=True)):
        plane = one + ((two - one) * share >> 8)
        picture[..., channel] = plane + ((three - plane) * over >> 8)
    return picture


def _blob(stream: Stream) -> np.ndarray:
    """An irregular patch, like none of the classes."""
    corners = stream.between(7, 11)
    radius = stream.between(6, 60) * SUB
    middle = [stream.between(0, SIDE * SUB) for _ in range(2)]
    points = []
    for corner in range(corners):
        angle = corner * TURN // corners + stream.between(0, TURN // corners // 2)
        reach = radius * stream.between(35, 100) // 100
        points.append((middle[0] + (reach * cos(angle) >> 14), middle[1] + (reach * sin(angle) >> 14)))
    return np.array(points, dtype=np.int64)


def _scribble(stream: Stream) -> np.ndarray:
    """The outline of a curved stroke."""
    x, y = (stream.between(0, SIDE * SUB) for _ in range(2))
    angle, bend, half = stream.between(0, TURN - 1), stream.between(-14, 14), stream.between(SUB // 2, 3 * SUB)
    left, right = [], []
    for _ in range(stream.between(4, 14)):
        across = (-sin(angle) * half >> 14, cos(angle) * half >> 14)
        left.append((x + across[0], y + across[1]))
        right.append((x - across[0], y - across[1]))
        length = stream.between(3, 14) * SUB
        x, y = x + (cos(angle) * length >> 14), y + (sin(angle) * length >> 14)
        angle += bend + stream.between(-10, 10)
    return np.array(left + right[::-1], dtype=np.int64)


def _exposed(picture: np.ndarray, stream: Stream) -> np.ndarray:
    """The picture under uneven light, with noise, (160, 160, 3) uint8."""
    shade = _pattern(stream, 3, _X, _Y) * stream.between(*SHADE) // 100
    amplitude = stream.between(*NOISE)
    planes = 1 if stream.chance(50) else 3
    noise = (stream.octets(SIDE * SIDE * planes).reshape(planes, SIDE, SIDE) - 128) * amplitude >> 7
    light = 256 - shade
    done = np.empty(picture.shape, dtype=np.uint8)
    for channel in range(3):
        done[..., channel] = ((picture[..., channel] * light >> 8) + noise[channel % planes]).clip(0, 255)
    return done
