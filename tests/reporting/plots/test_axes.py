"""Ticks of axes: round numbers inside them, and none outside."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkdcli.reporting.plots.axes import Axis, log_ticks, tick_label, ticks


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (-5, 5, [-4, -2, 0, 2, 4]),
        (1, 1, [1]),
        (2, 1, [2]),
    ],
)
def test_ticks(low, high, found):
    assert ticks(low, high) == found


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_even_few_and_within_the_axis(low, length):
    high = low + length
    found = ticks(low, high)
    assert 2 <= len(found) <= 6
    steps = [b - a for a, b in itertools.pairwise(found)]
    assert max(steps) == pytest.approx(min(steps), rel=1e-3)
    assert low - 1e-6 * length - 1e-9 <= found[0] <= found[-1] <= high + 1e-6 * length + 1e-9


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [(1, 100, [1, 2, 5, 10, 20, 50, 100]), (0.3, 3, [0.5, 1, 2]), (1, 1e5, [10**n for n in range(6)])],
)
def test_log_ticks(low, high, found):
    assert log_ticks(low, high) == pytest.approx(found)


@pytest.mark.parametrize(
    ("value", "label"),
    [(0, "0"), (2.0, "2"), (0.30000000000000004, "0.3"), (-12.5, "-12.5"), (1e-4, "0.0001"), (2e-5, "2e-05")],
)
def test_a_ticks_number_is_short(value, label):
    assert tick_label(value) == label


def test_a_logarithmic_axis_puts_the_geometric_mean_in_the_middle_and_one_of_no_length_stays_finite():
    assert Axis(1, 100, 50, 150, True).all([1, 10, 100]) == pytest.approx([50, 100, 150])
    assert Axis(0, 4, 200, 0, False).all([0, 1, 4]) == [200, 150, 0]
    assert math.isfinite(Axis(3, 3, 0, 100, False)(3))
