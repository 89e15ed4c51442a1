"""Several methods that get one seed after another: who is decided when, and how often wrongly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pkdcli.reporting.statistics import t_test
from pkdcli.reporting.verdict.judge import GO, INCONCLUSIVE, NO_GO, NOT_JUDGED
from pkdcli.reporting.verdict.seed_by_seed import SeedBySeed
from pkdcli.reporting.verdict.sequential import level_at

TRIALS = 20_000


def test_a_sweep_of_methods_that_do_nothing_has_a_verdict_in_one_of_twenty():
    """Three methods that share their baseline's luck, looked at after 3 to 12 seeds: any of them called real."""
    random, count = np.random.default_rng(0), np.arange(1, 13)
    gains = random.normal(0, 0.5, (3, TRIALS, 12)) - random.normal(0, 0.5, (TRIALS, 12))
    sums, squares = gains.cumsum(2), (gains**2).cumsum(2)
    t = (sums / np.sqrt(count))[..., 2:] / np.sqrt(((squares - sums**2 / count) / np.maximum(count - 1, 1))[..., 2:])
    p_values = 2 * stats.t.sf(np.abs(t), count[2:] - 1)
    levels = np.array([level_at(seeds, 3, 0.05 / 3) for seeds in range(3, 13)])
    wrong = (p_values < levels).any((0, 2)).mean()
    assert 0.02 < wrong < 0.05
    # Without the correction for three of them it would be twice as often.
    uncorrected = (p_values < np.array([level_at(seeds) for seeds in range(3, 13)])).any((0, 2)).mean()
    assert uncorrected > 0.08


def by_steps(gains, seeds):
    """After how many seeds each method is decided, worked out by levels in place of p-values."""
    decided = {}
    for count in range(3, seeds + 1):
        known = {key: t_test(values[:count]) for key, values in gains.items() if key not in decided}
        for key in sorted(known, key=known.__getitem__):  # the clearest first: it makes it easier for the next
            if known[key] >= level_at(count, 3, 0.05 / (len(gains) - len(decided))):
                break
            decided[key] = count
    return decided


def test_who_is_decided_when(record):
    random = np.random.default_rng(6)
    seen = set()
    for _ in range(5):
        gains = {key: (true + random.normal(0, 0.5, 7)).tolist() for key, true in (("a", 2.0), ("b", -1.2), ("c", 0.0))}
        judged = SeedBySeed({key: record(key) for key in gains})
        for count in range(3, 8):
            verdicts = judged.look({key: dict(enumerate(values)) for key, values in gains.items()}, range(count))
        expected = by_steps(gains, 7)
        assert judged.decided == expected
        assert judged.open == [key for key in gains if key not in expected]
        for key, verdict in zip(gains, verdicts, strict=True):
            good = sum(gains[key][: expected.get(key, 7)]) > 0
            assert verdict.word == (INCONCLUSIVE if key not in expected else GO if good else NO_GO)
            assert len(verdict.gains) == expected.get(key, 7)
        seen |= set(expected.values())
    assert len(seen) > 2


def test_a_method_that_is_stopped_says_why_and_gets_no_seed(record):
    judged = SeedBySeed({"a": record("a"), "b": record("b")}, stopped={"a": "it failed.", "b": "it failed too."})
    first, second = judged.look({"a": {0: 1.0, 1: 1.2}, "b": {}}, [0, 1, 2])
    assert (first.word, first.why, first.p_value) == (INCONCLUSIVE, "it failed.", None)
    assert math.isinf(first.interval.upper)
    assert (second.word, second.why) == (NOT_JUDGED, "it failed too.")
    assert judged.open == []


@pytest.mark.parametrize(("gains", "why"), [
    ({0: 1.0, 1: 1.2}, "the first look is at 3 seeds."),
    ({0: 0.1, 1: -0.1, 2: 0.0}, "100 seeds would not tell at this spread: the difference is too small."),
])  # fmt: skip
def test_what_would_decide_it(record, gains, why):
    (found,) = SeedBySeed({"a": record("a")}).look({"a": gains}, sorted(gains))
    assert (found.word, found.why) == (INCONCLUSIVE, why)


def test_what_one_method_alone_would_pass_several_do_not(record):
    """The gains of pkd at scale tiny after three seeds, beside those of a method that does nothing."""
    gains = {"pkd": {0: 4.54, 1: 6.69, 2: 7.18}, "other": {0: 0.5, 1: -0.4, 2: 0.1}}
    alone = SeedBySeed({"pkd": record("pkd")}).look({"pkd": gains["pkd"]}, range(3))[0]
    assert alone.word == GO
    among = SeedBySeed({key: record(key) for key in gains}).look(gains, range(3))[0]
    assert (among.word, among.interval) == (INCONCLUSIVE, alone.interval)
    assert among.why == (
        "decided by itself, but not among so many methods (Holm); about 1 more seed would decide it, at this spread."
    )
