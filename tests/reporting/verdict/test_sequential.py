"""The test that may be looked at after every seed: its bounds, against counting, integrals and drawing lots."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from pkdcli.reporting.statistics import t_interval, t_test
from pkdcli.reporting.verdict.sequential import FIRST, MOST, chance, level_at, sequential_interval, sequential_p

TRIALS = 20_000


def p_values(differences):
    """p of the t-test of the first n of each row, n = 2, 3, ...: (trials, seeds) -> (trials, seeds - 1)."""
    count = np.arange(1, differences.shape[1] + 1)
    sums, squares = differences.cumsum(1), (differences**2).cumsum(1)
    spread = np.sqrt((squares - sums**2 / count)[:, 1:] / (count - 1)[1:])
    t = (sums / np.sqrt(count))[:, 1:] / spread
    return 2 * stats.t.sf(np.abs(t), count[1:] - 1)


def crossed(differences, first, last):
    """Whether any look from `first` to `last` seeds decides, for each row."""
    levels = np.array([level_at(count, first) for count in range(first, last + 1)])
    return (p_values(differences)[:, first - 2 : last - 1] < levels).any(1)


@pytest.fixture(scope="module")
def nothing():
    """Paired differences of methods that do nothing: (trials, 30)."""
    return np.random.default_rng(0).normal(0, 0.7, (TRIALS, 30))


def sure(share, trials=TRIALS):
    """Four standard errors of a share that was counted."""
    return 4 * math.sqrt(share * (1 - share) / trials)


@pytest.mark.parametrize(("first", "last"), [(3, 4), (3, 10), (3, 30), (5, 10), (5, 30)])
def test_looking_after_every_seed_fools_one_time_in_twenty_at_most(nothing, first, last):
    expected = chance(level_at(first, first), first, last)
    assert expected < 0.05
    assert crossed(nothing, first, last).mean() == pytest.approx(expected, abs=sure(expected))


def test_an_ordinary_test_after_every_seed_fools_far_more_often(nothing):
    """What the bounds are for: p < 0.05 at any of 3 to 10 seeds is found in one of six."""
    assert 0.14 < (p_values(nothing)[:, 1:9] < 0.05).any(1).mean() < 0.2


def test_all_looks_together_have_the_chance_that_was_asked_for():
    for first, total in ((3, 0.05), (5, 0.05 / 4)):
        assert chance(level_at(first, first, total), first, MOST) == pytest.approx(total, rel=1e-5)


def test_levels_at_three_to_ten_seeds():
    found = [level_at(count) for count in (3, 4, 5, 10, 20)]
    assert found == pytest.approx([0.0222, 0.0144, 0.0103, 0.00364, 0.00129], rel=0.005)


def test_one_look_is_the_t_test_itself():
    assert [chance(level, first, first) for level, first in ((0.05, 3), (0.01, 8))] == [0.05, 0.01]


@pytest.mark.parametrize(("first", "scale"), [(3, 0.05), (3, 0.3), (6, 0.02)])
def test_two_looks_by_an_integral_over_mean_and_spread(first, scale):
    """The same chance another way: over the first look's mean and variance, then the next difference's tails."""
    second = scale * (first / (first + 1)) ** 1.5
    t_first, t_second = (stats.t.isf(level / 2, count - 1) for level, count in ((scale, first), (second, first + 1)))

    x = np.linspace(-12, 12, 1201)
    inside = []
    for variance in np.linspace(1e-4, 8, 121):
        end = t_first * math.sqrt(variance / first)
        mean = np.linspace(-end, end, 121)[:, None]
        total = first * mean + x
        squares = (first - 1) * variance + first * mean**2 + x**2
        deviation = np.sqrt(np.maximum(squares - total**2 / (first + 1), 1e-300) / first)
        beyond = np.abs(total) / math.sqrt(first + 1) / deviation > t_second
        late = np.sum(stats.norm.pdf(x) * beyond, axis=1) * (x[1] - x[0])  # one more difference takes t that far
        density = stats.chi2.pdf((first - 1) * variance, first - 1) * (first - 1)
        inside.append(density * integrate.trapezoid(late * stats.norm.pdf(mean[:, 0], scale=first**-0.5), mean[:, 0]))
    found = scale + integrate.trapezoid(inside, np.linspace(1e-4, 8, 121))
    assert chance(scale, first, first + 1) == pytest.approx(found, rel=0.02)


@pytest.mark.parametrize(("times", "least"), [(2.0, 0.97), (1.2, 0.60)])
def test_power_at_ten_seeds(times, least):
    """A gain twice its spread over seeds is found by ten seeds nearly always, of 1.2 times it in six of ten."""
    gains = np.random.default_rng(1).normal(times, 1.0, (TRIALS, 10))
    found = crossed(gains, FIRST, 10).mean()
    assert least < found < least + 0.05
    # By five seeds, at half of the cost, a gain of three times its spread.
    assert crossed(np.random.default_rng(2).normal(3.0, 1.0, (TRIALS, 5)), FIRST, 5).mean() > 0.9


def two_heaps(random, shape):
    return random.choice((-1.0, 1.0), shape) + random.normal(0, 0.2, shape)


@pytest.mark.parametrize(
    ("draw", "from_three", "from_six"),
    [
        (lambda random, shape: random.uniform(-1, 1, shape), 0.076, 0.053),
        (lambda random, shape: random.standard_t(3, shape), 0.030, 0.025),  # heavy tails
        (lambda random, shape: random.exponential(1, shape) - 1, 0.149, 0.120),  # lopsided
        (two_heaps, 0.229, 0.053),
    ],
)
def test_gains_that_are_not_normal(draw, from_three, from_six):
    """How often there is a false verdict by twelve seeds: the limits that docs/is-my-gain-real.md names."""
    gains = draw(np.random.default_rng(3), (TRIALS, 12))
    assert crossed(gains, 3, 12).mean() == pytest.approx(from_three, abs=sure(from_three))
    assert crossed(gains, 6, 12).mean() == pytest.approx(from_six, abs=sure(from_six))


def test_the_intervals_of_all_looks_hold_the_true_mean_together():
    random = np.random.default_rng(4)
    missed = 0
    for one in random.normal(1.3, 0.7, (1000, 8)).tolist():
        intervals = [sequential_interval(one[:count]) for count in range(3, 9)]
        missed += any(not found.lower <= 1.3 <= found.upper for found in intervals)
    expected = chance(level_at(3), 3, 8)
    assert missed / 1000 == pytest.approx(expected, abs=sure(expected, 1000))


def test_the_interval_is_students_at_the_looks_level():
    gains = [1.0, 1.4, 0.9, 1.2]
    found = sequential_interval(gains)
    expected = stats.t.interval(1 - level_at(4), 3, loc=np.mean(gains), scale=stats.sem(gains))
    assert (found.lower, found.upper) == pytest.approx(expected)
    assert found.half_width > t_interval(gains).half_width
    before = sequential_interval(gains[:2])
    assert (before.mean, before.lower, before.upper) == (pytest.approx(1.2), -math.inf, math.inf)


def test_p_is_the_chance_that_any_look_is_so_strong():
    gains = [1.0, 1.4, 0.9, 1.2]
    found = [sequential_p(gains[:count]) for count in range(1, 5)]
    assert found[:2] == [1.0, 1.0]
    assert found[2] == pytest.approx(chance(t_test(gains[:3])))
    assert found[3] == pytest.approx(chance(t_test(gains[:4]) * (4 / 3) ** 1.5))


def test_p_is_below_five_hundredths_where_the_interval_leaves_zero():
    random = np.random.default_rng(5)
    words = []
    for one in random.normal(0.9, 0.3, (24, 4)).tolist():
        found = sequential_interval(one)
        words.append(found.lower > 0 or found.upper < 0)
        assert (sequential_p(one) < 0.05) == words[-1]
    assert len(set(words)) == 2


def test_equal_gains_decide_nothing():
    assert sequential_p([0.5] * 6) == 1.0
