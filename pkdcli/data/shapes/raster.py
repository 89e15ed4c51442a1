"""Integer drawing: random words, sines and filled polygons that are the same bits on every machine.

Nothing here touches a floating-point number, so a picture does not depend on the processor, the C library or the
version of numpy. Lengths are in 1/16 pixel (`SUB`), angles in 1/240 turn (`TURN`), sines and unit outlines in
1/16384 (`ONE`). The centre of pixel (x, y) lies at (x + 1/2, y + 1/2), as in COCO.
"""

from __future__ import annotations

import numpy as np

SUB = 16
TURN = 240
ONE = 1 << 14

_QUARTER = (
    0, 429, 857, 1285, 1713, 2139, 2563, 2986, 3406, 3825, 4240, 4653, 5063, 5469, 5872, 6270, 6664, 7053, 7438, 7818,
    8192, 8561, 8923, 9280, 9630, 9974, 10311, 10641, 10963, 11278, 11585, 11885, 12176, 12458, 12733, 12998, 13255,
    13502, 13741, 13970, 14189, 14399, 14598, 14788, 14968, 15137, 15296, 15444, 15582, 15709, 15826, 15931, 16026,
    16110, 16182, 16244, 16294, 16333, 16362, 16378, 16384,
)  # fmt: skip


def sin(angle: int) -> int:
    """The sine of `angle` (1/240 turn), in 1/16384."""
    angle %= TURN
    if angle >= TURN // 2:
        return -sin(angle - TURN // 2)
    return _QUARTER[min(angle, TURN // 2 - angle)]


def cos(angle: int) -> int:
    """The cosine of `angle` (1/240 turn), in 1/16384."""
    return sin(angle + TURN // 4)


_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15
_MIX1 = 0xBF58476D1CE4E5B9
_MIX2 = 0x94D049BB133111EB


def mix(word: int) -> int:
    """SplitMix64's output function (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators")."""
    word = ((word ^ (word >> 30)) * _MIX1) & _MASK
    word = ((word ^ (word >> 27)) * _MIX2) & _MASK
    return word ^ (word >> 31)


class Stream:
    """A SplitMix64 stream of random words; single draws and arrays of draws come from the same sequence."""

    def __init__(self, *key: int) -> None:
        self._state = 0
        for part in key:
            self._state = mix((self._state + _GAMMA + part) & _MASK)

    def word(self) -> int:
        """The next 64 bits."""
        self._state = (self._state + _GAMMA) & _MASK
        return mix(self._state)

    def between(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included.

        Args:
            low: The least.
            high: The greatest.
        """
        return low + (self.word() >> 11) % (high - low + 1)

    def chance(self, percent: int) -> bool:
        """True in `percent` of 100 cases."""
        return self.between(0, 99) < percent

    def octets(self, count: int) -> np.ndarray:
        """`count` integers from 0 to 255, (count,) int32."""
        words = -(-count // 8)
        state = np.arange(1, words + 1, dtype=np.uint64) * np.uint64(_GAMMA) + np.uint64(self._state)
        self._state = (self._state + words * _GAMMA) & _MASK
        state = (state ^ (state >> np.uint64(30))) * np.uint64(_MIX1)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(_MIX2)
        state ^= state >> np.uint64(31)
        return state.astype("<u8").view(np.uint8)[:count].astype(np.int32)


def twice_area(points: np.ndarray) -> int:
    """Twice the area of a simple polygon (n, 2), in the square of its unit; the shoelace formula."""
    ends = np.concatenate([points[1:], points[:1]])
    return abs(int((points[:, 0] * ends[:, 1] - ends[:, 0] * points[:, 1]).sum()))


def turned(points: np.ndarray, angle: int) -> np.ndarray:
    """Points turned about the origin.

    Args:
        points: (n, 2) int64, x before y.
        angle: In 1/240 of a turn, from x towards y.

    Returns:
        (n, 2) int64.
    """
    s, c = sin(angle), cos(angle)
    x, y = points[:, 0], points[:, 1]
    return np.stack([x * c - y * s, x * s + y * c], axis=1) >> 14


def fill(points: np.ndarray, width: int, height: int) -> tuple[int, int, np.ndarray]:
    """The pixels whose centre is inside a polygon, by the even-odd rule.

    Args:
        points: (n, 2) int64, in 1/16 pixel.
        width: Of the canvas, in pixels; what lies outside is cut off.
        height: Of the canvas, in pixels.

    Returns:
        x0, y0 and a boolean mask (h, w): the window of the canvas that holds the polygon.
    """
    half = SUB // 2
    low, high = points.min(axis=0), points.max(axis=0)
    x0, y0 = (min(max(int(v) // SUB, 0), size) for v, size in zip(low, (width, height), strict=True))
    x1, y1 = (min(max(int(v) // SUB + 1, 0), size) for v, size in zip(high, (width, height), strict=True))
    if x1 <= x0 or y1 <= y0:
        return x0, y0, np.zeros((0, 0), dtype=bool)
    ends = np.concatenate([points[1:], points[:1]])
    upward = (ends[:, 1] < points[:, 1])[:, None]
    start, stop = np.where(upward, ends, points), np.where(upward, points, ends)
    centre = np.arange(y0, y1, dtype=np.int64) * SUB + half
    edge, row = np.nonzero((start[:, 1:] <= centre) & (centre < stop[:, 1:]))
    dx, dy = (stop - start)[edge].T
    # The first pixel of the row whose centre is at the crossing or right of it: everything from there on changes sides.
    crossing = start[edge, 0] * dy + (centre[row] - start[edge, 1]) * dx
    column = -((half * dy - crossing) // (SUB * dy)) - x0
    columns = x1 - x0 + 1
    flips = np.bincount(row * columns + np.clip(column, 0, columns - 1), minlength=(y1 - y0) * columns)
    mask = (np.cumsum(flips.reshape(y1 - y0, columns), axis=1) & 1).astype(bool)
    return x0, y0, mask[:, :-1]


def _arc(first: int, last: int, step: int, radius: int = ONE, shift: int = 0) -> list[tuple[int, int]]:
    stop = last + (1 if step > 0 else -1)
    return [(shift + (cos(a) * radius >> 14), sin(a) * radius >> 14) for a in range(first, stop, step)]


def _percent(*points: tuple[int, int]) -> list[tuple[int, int]]:
    return [(x * ONE // 100, y * ONE // 100) for x, y in points]


def _star() -> list[tuple[int, int]]:
    outer, inner = _arc(0, 239, 48), _arc(24, 239, 48, ONE * 46 // 100)
    return [point for pair in zip(outer, inner, strict=True) for point in pair]


OUTLINES: dict[str, list[tuple[int, int]]] = {
    "circle": _arc(0, 239, 6),
    "square": _arc(30, 239, 60),
    "triangle": _arc(0, 239, 80),
    "hexagon": _arc(0, 239, 40),
    "star": _star(),
    "cross": _percent(
        (-30, -100), (30, -100), (30, -30), (100, -30), (100, 30), (30, 30),
        (30, 100), (-30, 100), (-30, 30), (-100, 30), (-100, -30), (-30, -30),
    ),
    # The inner arc is that of a circle through the outer arc's two ends.
    "crescent": [*_arc(30, 210, 6), *_arc(180, 60, -6, ONE * 72 // 100, ONE * 59 // 100)],
    "arrow": _percent((100, 0), (10, 85), (10, 32), (-100, 32), (-100, -32), (10, -32), (10, -85)),
}  # fmt: skip
"""The classes and their outlines, about the origin, within about one unit of `ONE` of it."""
