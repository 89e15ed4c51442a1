"""The integer drawing against plain, slow references."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Outline

from pkdcli.data.shapes.raster import ONE, OUTLINES, SUB, TURN, Stream, cos, fill, sin, turned, twice_area


def test_sines_are_the_rounded_ones():
    for angle in range(-TURN, 2 * TURN):
        assert sin(angle) == round(ONE * math.sin(2 * math.pi * angle / TURN)), angle
        assert cos(angle) == round(ONE * math.cos(2 * math.pi * angle / TURN)), angle


def test_stream_is_splitmix64():
    stream = Stream()
    stream._state = 1234567
    # The published first outputs of SplitMix64 for this seed.
    assert [stream.word() for _ in range(5)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_octets_are_the_bytes_of_the_same_words():
    one, other = Stream(3, 1, 4), Stream(3, 1, 4)
    expected = b"".join(one.word().to_bytes(8, "little") for _ in range(3))
    assert bytes(other.octets(21).tolist()) == expected[:21]
    assert other.word() == one.word()


def test_streams_of_different_keys_differ():
    words = {Stream(*key).word() for key in [(), (0,), (0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]}
    assert len(words) == 7


def test_between_reaches_both_ends_and_nothing_else():
    stream = Stream(5)
    assert {stream.between(-2, 3) for _ in range(300)} == {-2, -1, 0, 1, 2, 3}


def test_chance_is_a_percentage():
    stream = Stream(6)
    assert 2300 < sum(stream.chance(25) for _ in range(10000)) < 2700
    assert not any(stream.chance(0) for _ in range(500))
    assert all(stream.chance(100) for _ in range(500))


def _inside(points: list[tuple[int, int]], x: int, y: int) -> bool:
    """Even-odd rule for a pixel's centre, in fractions; on an edge, what is right of the edge is inside."""
    px, py = Fraction(2 * x + 1, 2) * SUB, Fraction(2 * y + 1, 2) * SUB
    odd = False
    for (x1, y1), (x2, y2) in zip(points, points[1:] + points[:1], strict=True):
        if (y1 <= py) != (y2 <= py):
            odd ^= x1 + (py - y1) * Fraction(x2 - x1, y2 - y1) <= px
    return odd


# Beyond the canvas of 12 x 9 pixels on every side, and often right on the centres of pixels.
_corners = st.lists(st.tuples(st.integers(-40, 250), st.integers(-40, 190)), min_size=3, max_size=9)
_on_centres = st.lists(
    st.tuples(st.integers(-2, 13), st.integers(-2, 10)).map(lambda p: (p[0] * SUB + 8, p[1] * SUB + 8)),
    min_size=3,
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(_corners, _on_centres))
def test_fill_is_the_even_odd_rule(points):
    x0, y0, mask = fill(np.array(points, dtype=np.int64), 12, 9)
    drawn = np.zeros((9, 12), dtype=bool)
    drawn[y0 : y0 + mask.shape[0], x0 : x0 + mask.shape[1]] = mask
    assert drawn.tolist() == [[_inside(points, x, y) for x in range(12)] for y in range(9)]


def test_neighbours_share_no_pixel_and_leave_none_out():
    square = np.array([(0, 0), (160, 0), (160, 160), (0, 160)], dtype=np.int64)
    lower, upper = square[[0, 2, 3]], square[[0, 1, 2]]
    total = np.zeros((10, 10), dtype=int)
    for part in (lower, upper):
        x0, y0, mask = fill(part, 10, 10)
        total[y0 : y0 + mask.shape[0], x0 : x0 + mask.shape[1]] += mask
    assert (total == 1).all()


@pytest.mark.parametrize("offset", [(-500, 0), (0, -500), (5000, 0), (0, 5000)])
def test_a_polygon_outside_the_canvas_has_no_pixels(offset):
    points = np.array([(0, 0), (160, 0), (160, 160)], dtype=np.int64) + offset
    assert fill(points, 20, 20)[2].sum() == 0


@pytest.mark.parametrize("name", OUTLINES)
@pytest.mark.parametrize("angle", [1, 7, 101])
def test_classes_are_drawn_as_matplotlib_sees_them(name, angle):
    points = turned(np.array(OUTLINES[name], dtype=np.int64), angle) * (40 * SUB) // ONE + 64 * SUB + 3
    x0, y0, mask = fill(points, 128, 128)
    drawn = np.zeros((128, 128), dtype=bool)
    drawn[y0 : y0 + mask.shape[0], x0 : x0 + mask.shape[1]] = mask
    centres = np.stack(np.meshgrid(np.arange(128) + 0.5, np.arange(128) + 0.5), axis=-1).reshape(-1, 2)
    seen = Outline(points / SUB).contains_points(centres).reshape(128, 128)
    # What lies right on an edge is neither in nor out for matplotlib; the rule for it is tested above.
    start, stop = points[:, None], np.roll(points, -1, axis=0)[:, None]
    along, to = stop - start, (centres * SUB).astype(np.int64) - start
    on_edge = (along[..., 0] * to[..., 1] == along[..., 1] * to[..., 0]).any(axis=0).reshape(128, 128)
    assert (drawn == seen)[~on_edge].all()
    assert on_edge.mean() < 0.2


def test_area_of_known_polygons():
    assert twice_area(np.array([(0, 0), (4, 0), (4, 3), (0, 3)])) == 24
    assert twice_area(np.array([(0, 3), (4, 0), (0, 0)])) == 12


def test_turning_a_quarter():
    points = np.array([(ONE, 0), (0, ONE)], dtype=np.int64)
    assert turned(points, TURN // 4).tolist() == [[0, ONE], [-ONE, 0]]


def test_outlines_are_of_one_size():
    assert list(OUTLINES) == ["circle", "square", "triangle", "hexagon", "star", "cross", "crescent", "arrow"]
    for name, outline in OUTLINES.items():
        radius = max(math.hypot(x, y) for x, y in outline) / ONE
        assert 0.9 < radius < 1.1, name
