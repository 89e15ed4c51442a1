"""A t-test that may be looked at after every seed: its bounds are found exactly, for any number of looks.

Whoever adds seeds until an ordinary test says "significant" is wrong far more often than one time in twenty: each look
is another chance to be fooled. Here the level of the look at n seeds is a · (n0 / n)^1.5, n0 being the seeds of the
first look, and a is chosen so that all looks up to `MOST` seeds together have the chance that was asked for. The levels
do not depend on where one means to stop, so whoever has stopped undecided may go on later.

How the chance is found: let S be the sum of n differences and Q the sum of their squares. Where there is no true
difference, U = S / sqrt(Q) tells all that the t-tests so far do, and the next one follows from it alone:
U' = U cos(w) + sin(w), where sqrt(n) tan(w) has Student's t-distribution with n degrees of freedom, whatever came
before (normal differences are assumed, as by every t-test; their spread drops out). So the chance to cross a bound
later is a function of U, and is worked out from the last look back to the first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from pkdcli.reporting.statistics import CONFIDENCE, Interval, t_interval, t_test

if TYPE_CHECKING:
    import numpy as np

FIRST = 3
"""Seeds at the first look, where nothing else is said."""
MOST = 100
"""Seeds at the last look there can be."""
_DECAY = 1.5
"""How fast later looks get stricter: near 1, much is kept for late looks; near 2, the first ones get nearly all."""
_GRID, _NODES = 128, 16


def level_at(seeds: int, first: int = FIRST, total: float = 1 - CONFIDENCE) -> float:
    """The level of the ordinary t-test that is done at one of the looks.

    Args:
        seeds: How many there are at this look.
        first: Seeds at the first look.
        total: The chance of a false verdict that all looks together may have.
    """
    return _scale(first, total) * _share(seeds, first)


def sequential_interval(differences: Sequence[float], first: int = FIRST) -> Interval:
    """An interval of the mean that holds however often one has looked: 95 % of all such series never miss it.

    Args:
        differences: One a seed so far, in AP points.
        first: Seeds at the first look; with fewer nothing is looked at, and the ends are infinite.
    """
    count = len(differences)
    if count < first:
        mean = t_interval(differences).mean
        return Interval(mean, -math.inf, math.inf, count)
    return t_interval(differences, 1 - level_at(count, first))


def sequential_p(differences: Sequence[float], first: int = FIRST) -> float:
    """The two-sided p-value of the look at these differences; 1 before the first look.

    Where there is no true difference, the p-values of all looks stay above 0.05 in 95 % of all series: whichever look
    one stops at, its p-value means what it says.

    Args:
        differences: One a seed so far, in AP points.
        first: Seeds at the first look.
    """
    count = len(differences)
    if not first <= count <= MOST:
        return 1.0
    p_value = t_test(differences)
    return 0.0 if p_value == 0 else chance(p_value / _share(count, first), first)


def chance(scale: float, first: int = FIRST, last: int = MOST) -> float:
    """How often any look has a p-value below scale · (first / n)^1.5, where there is no true difference.

    Args:
        scale: The level of the first look.
        first: Seeds there, at least 2.
        last: Seeds at the last look.
    """
    import numpy as np
    from scipy.special import gammaln

    if scale >= 1:
        return 1.0
    later, grid = None, None
    for count in range(last - 1, first - 1, -1):
        later, grid = _one_look_earlier(count, _bound(count + 1, scale * _share(count + 1, first)),
                                        _bound(count, scale * _share(count, first)), later, grid)  # fmt: skip
    if later is None:
        return scale
    # At the first look U / sqrt(n) has the density c (1 - w^2)^((n - 3) / 2).
    nodes, weights = np.polynomial.legendre.leggauss(128)
    end = np.arcsin(min(1.0, grid[-1] / math.sqrt(first)))
    angle = (nodes + 1) * end / 2
    density = np.exp(gammaln(first / 2) - gammaln((first - 1) / 2)) / math.sqrt(math.pi) * np.cos(angle) ** (first - 2)
    inside = np.interp(math.sqrt(first) * np.sin(angle), grid, later)
    return scale + float(np.sum(weights * inside * density) * end)


def _share(count: int, first: int) -> float:
    return (first / count) ** _DECAY


@lru_cache(maxsize=256)
def _scale(first: int, total: float) -> float:
    """The level of the first look with which all looks together have so large a chance."""

    def off(logarithm: float) -> float:
        return math.log(chance(math.exp(logarithm), first) / total)

    # The chance rises nearly as fast as the level, so that the secant is there in three steps.
    before, here = math.log(0.4 * total), math.log(0.45 * total)
    wrong_before, wrong = off(before), off(here)
    while abs(wrong) > 1e-6 and here != before:
        before, wrong_before, here = here, wrong, here - wrong * (here - before) / (wrong - wrong_before)
        wrong = off(here)
    return math.exp(here)


def _bound(count: int, level: float) -> float:
    """|U| from which on the t-test of so many differences is below a level."""
    from scipy.special import stdtrit

    t = -stdtrit(count - 1, level / 2)
    return float(math.sqrt(count) * t / math.sqrt(count - 1 + t * t))


def _one_look_earlier(
    count: int, bound: float, end: float, later: np.ndarray | None, grid: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The chance to cross from the look at count + 1 on, for U at the look at `count`, on a grid from 0 to its bound.

    Args:
        count: Differences at this look.
        bound: Of the next look.
        end: Of this one.
        later: The chance from the look after the next one on, (128,); None where the next is the last.
        grid: |U| at the next look that it is known for, (128,).
    """
    import numpy as np
    from scipy.special import gammaln, stdtr

    def below(angle):  # the chance of an angle less than this
        return stdtr(count, math.sqrt(count) * np.tan(np.clip(angle, -math.pi / 2 + 1e-12, math.pi / 2 - 1e-12)))

    # Evenly spread in the angle whose tangent is t, since near a bound everything depends on t.
    here = math.sqrt(count) * np.sin(np.linspace(0.0, math.asin(min(1.0, end / math.sqrt(count))), _GRID))
    turn = np.arctan(here)  # U cos(w) + sin(w) = sqrt(1 + U^2) sin(w + turn)
    length = np.sqrt(1 + here**2)
    edge = np.arcsin(np.minimum(bound / length, 1.0))
    # It is inside the bounds for w from low to high, crosses above them, and is inside again beyond `back`: a new
    # difference so large that the spread grows faster than the mean.
    low, high = np.maximum(-edge - turn, -math.pi / 2), np.minimum(edge - turn, math.pi / 2)
    back = np.minimum(math.pi - edge - turn, math.pi / 2)
    found = below(back) - below(high) + below(low)
    if later is None:
        return found, here
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    constant = np.exp(gammaln((count + 1) / 2) - gammaln(count / 2)) / math.sqrt(math.pi)
    far = min(math.pi / 2, 9 / math.sqrt(count))  # nothing to speak of lies further out
    for start, stop in ((np.clip(low, -far, far), np.clip(high, -far, far)), (back, np.full_like(back, math.pi / 2))):
        half = (stop - start)[:, None] / 2
        angle = start[:, None] + half * (nodes + 1)
        value = np.abs(length[:, None] * np.sin(angle + turn[:, None]))
        density = constant * np.cos(angle) ** (count - 1)
        found += np.sum(weights * half * density * np.interp(value, grid, later), axis=1)
    return found, here
