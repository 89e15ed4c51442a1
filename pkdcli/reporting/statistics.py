"""The few statistics that a verdict needs: intervals over seeds, a permutation test, a correction for many methods.

All of them are of paired differences: a method's run of a seed minus the baseline's of the same seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean, stdev

CONFIDENCE = 0.95
FEWEST_FOR_PERMUTATION = 5
"""Seeds from which on the permutation test is asked: with four, 2 of 16 signs, its p can't fall below 0.125."""
SAME = 1e-9
"""AP points by which numbers that are the same may differ once they have been added and subtracted."""
MOST_SIGNS = 16
"""Differences up to which every combination of signs is tried (65,536 of them)."""


@dataclass(frozen=True)
class Interval:
    """A mean with the interval that holds the true one with some confidence.

    Attributes:
        mean: In AP points.
        lower: In AP points; minus infinity where one value says nothing of the spread.
        upper: In AP points; infinity likewise.
        count: Values that it is of.
    """

    mean: float
    lower: float
    upper: float
    count: int

    @property
    def half_width(self) -> float:
        """Half of its width in AP points."""
        return (self.upper - self.lower) / 2


def t_interval(differences: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Student's interval of the mean: mean ± t(n - 1) · s / sqrt(n), s with n - 1 in its denominator.

    Args:
        differences: One a seed, in AP points; at least one. Where one is NaN, such as AP_L of data that has no large
            object, nothing is known of the mean either, and all of the interval is NaN.
        confidence: Between 0 and 1.
    """
    mean, count = fmean(differences), len(differences)
    if math.isnan(mean):
        return Interval(mean, mean, mean, count)
    if count == 1:
        return Interval(mean, -math.inf, math.inf, 1)
    half = t_quantile(count - 1, confidence) * stdev(differences) / math.sqrt(count)
    return Interval(mean, mean - half, mean + half, count)


def t_quantile(freedom: int, confidence: float = CONFIDENCE) -> float:
    """How many standard errors an interval reaches to each side.

    Args:
        freedom: Degrees of freedom, values less one.
        confidence: Between 0 and 1.
    """
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + confidence) / 2))


def t_test(differences: Sequence[float]) -> float:
    """The two-sided p-value of Student's paired test that the mean difference is zero.

    It is 1 where nothing is known of the spread: for a single difference, and for several that are all the same, which
    AP that was rounded, or one run under two names, can be and seeds can't.
    """
    from scipy.special import stdtr

    if len(differences) < 2 or all_the_same(differences):
        return 1.0
    spread = stdev(differences) / math.sqrt(len(differences))
    return float(2 * stdtr(len(differences) - 1, -abs(fmean(differences)) / spread))


def all_the_same(differences: Sequence[float]) -> bool:
    """Whether there are several, and they are equal but for the rounding of sums."""
    return len(differences) > 1 and max(differences) - min(differences) < SAME


def permutation_test(differences: Sequence[float]) -> float | None:
    """The two-sided p-value of the sign-flip test, exact; None below five differences, above sixteen, or for a NaN.

    If method and baseline were alike, each difference could as well have had the other sign: p is the share of all
    combinations of signs whose mean is as far from zero as the one that was seen.
    """
    count = len(differences)
    if not FEWEST_FOR_PERMUTATION <= count <= MOST_SIGNS or any(map(math.isnan, differences)):
        return None
    seen = abs(math.fsum(differences))
    # A hair below: sums of the same numbers in another order differ by rounding.
    bound = seen - 1e-9 * max(1.0, seen)
    flips = (abs(math.fsum(s * d for s, d in zip(signs, differences, strict=True))) >= bound
             for signs in product((1, -1), repeat=count))  # fmt: skip
    return sum(flips) / 2**count


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p-values corrected for how many there are, by Holm's step-down method.

    The smallest is multiplied by their number, the next by one less, and so on; none is made smaller than one before
    it, nor larger than 1. Whoever calls a corrected value below 0.05 a gain is wrong about any of them in at most one
    of twenty sweeps.
    """
    corrected: dict[str, float] = {}
    least = 0.0
    for rank, (name, value) in enumerate(sorted(p_values.items(), key=lambda one: one[1])):
        least = max(least, min(1.0, (len(p_values) - rank) * value))
        corrected[name] = least
    return {name: corrected[name] for name in p_values}


def seeds_to_decide(
    differences: Sequence[float], most: int = 100, confidence: float | Callable[[int], float] = CONFIDENCE
) -> int | None:
    """How many more seeds would part the interval from zero, if mean and spread stayed as they are.

    Args:
        differences: One a seed so far, in AP points.
        most: Give up beyond so many.
        confidence: Of the interval; a function of how many seeds it is of where that depends on them.

    Returns:
        0 where the interval does not hold zero as it is; None where a single seed or equal ones tell no spread, or so
        many would not do.
    """
    count = len(differences)
    if count < 2 or all_the_same(differences):
        return None
    mean, spread = abs(fmean(differences)), stdev(differences)
    for more in range(most + 1):
        seeds = count + more
        sure = confidence(seeds) if callable(confidence) else confidence
        if mean > t_quantile(seeds - 1, sure) * spread / math.sqrt(seeds):
            return more
    return None
