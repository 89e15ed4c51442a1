"""The statistics of a verdict against scipy's and against counting by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pkdcli.reporting.statistics import (
    holm,
    permutation_test,
    seeds_to_decide,
    t_interval,
    t_test,
)

SAMPLES = [[0.4, 0.9], [1.0, -0.5, 0.2], [2.1, 1.7, 2.6, 1.9, 2.2], [0.0, 0.1, -0.1, 0.05, 0.02, -0.3, 0.2]]


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_interval_and_the_test_are_students(sample):
    found = t_interval(sample)
    expected = stats.t.interval(0.95, len(sample) - 1, loc=np.mean(sample), scale=stats.sem(sample))
    assert (found.lower, found.upper) == pytest.approx(expected, rel=1e-12)
    assert (found.mean, found.count) == (pytest.approx(np.mean(sample)), len(sample))
    assert t_test(sample) == pytest.approx(stats.ttest_1samp(sample, 0).pvalue, rel=1e-12)


def test_one_seed_says_nothing_of_the_spread():
    found = t_interval([3.0])
    assert (found.mean, found.lower, found.upper) == (3.0, -math.inf, math.inf)
    assert t_test([3.0]) == 1.0
    assert seeds_to_decide([3.0]) is None


def test_of_what_no_seed_has_nothing_is_known():
    """AP_L where no object is large."""
    nothing = [math.nan] * 5
    assert all(map(math.isnan, (t_interval(nothing).mean, t_interval(nothing).lower, t_interval(nothing).half_width)))
    assert all(map(math.isnan, (t_interval([math.nan]).lower, t_interval([1.0, math.nan]).upper)))
    assert permutation_test(nothing) is None


@pytest.mark.parametrize("sample", SAMPLES[2:])
def test_the_permutation_test_is_scipys_exact_one(sample):
    expected = stats.permutation_test(
        (sample,), lambda x, axis: np.sum(x, axis=axis), permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert permutation_test(sample) == pytest.approx(expected)


def test_five_differences_of_one_sign_can_reach_one_in_sixteen():
    assert permutation_test([1.0, 2.0, 3.0, 4.0, 5.0]) == 2 / 32
    assert permutation_test([1.0, 2.0, 3.0, 4.0]) is None


def test_holm_against_the_textbook():
    # Smallest times 4, next times 3, ...; never falling: 0.03 * 2 = 0.06 stays above 0.04 * 1.
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert holm({"a": 0.7, "b": 0.9}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_more_seeds_are_counted_until_the_interval_leaves_zero():
    sample = [0.2, 1.0, 0.3]
    more = seeds_to_decide(sample)
    mean, spread = np.mean(sample), np.std(sample, ddof=1)

    def half(count):
        return stats.t.ppf(0.975, count - 1) * spread / math.sqrt(count)

    assert mean > half(3 + more)
    assert mean <= half(3 + more - 1)
    assert seeds_to_decide([1.0, 1.1, 0.9]) == 0
    assert seeds_to_decide([5.0, -5.1]) is None


def test_false_gains_are_as_rare_as_promised():
    """Of two methods that are alike, 5 % are called different: by t at any number of seeds, at most so by signs."""
    random = np.random.default_rng(0)
    trials = random.normal(0, 0.7, (2000, 5))
    by_t = np.mean([t_test(one.tolist()) < 0.05 for one in trials])
    by_signs = np.mean([permutation_test(one.tolist()) <= 2 / 32 for one in trials])
    # Three standard errors of a share of 2,000 around 5 % and around 2 of 32.
    assert abs(by_t - 0.05) < 3 * math.sqrt(0.05 * 0.95 / 2000)
    assert abs(by_signs - 2 / 32) < 3 * math.sqrt(2 / 32 * 30 / 32 / 2000)
