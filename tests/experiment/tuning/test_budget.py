"""What a search may cost, as it is typed and as it is counted."""

from __future__ import annotations

import pytest

from pkdcli.errors import PkdError
from pkdcli.experiment.tuning.budget import Budget, parse
from pkdcli.experiment.tuning.halving import Rungs

TWO = Rungs.of(600, 100)


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("2h", Budget(seconds=7200)),
        ("30m", Budget(seconds=1800)),
        ("30min", Budget(seconds=1800)),
        ("1h30m", Budget(seconds=5400)),
        ("1.5d", Budget(seconds=129600)),
        ("90s", Budget(seconds=90)),
        ("1900steps", Budget(steps=1900)),
        ("1_900 steps", Budget(steps=1900)),
        ("3runs", Budget(runs=3)),
        ("2.5 runs", Budget(runs=2.5)),
    ],
)
def test_a_budget_is_time_or_steps_or_runs(text, budget):
    found = parse(text, None)
    assert (found.seconds, found.steps, found.runs) == (budget.seconds, budget.steps, budget.runs)


@pytest.mark.parametrize("text", ["", "2", "2 hours ago", "h", "-2h", "2h steps", "1e3steps", "nan"])
def test_anything_else_is_refused_with_examples(text):
    with pytest.raises(PkdError, match=r"--budget: .* is no time and no number of steps or runs") as error:
        parse(text, None)
    assert "--budget 1h30m" in error.value.hint
    assert error.value.code == 2


def test_nothing_is_no_budget():
    with pytest.raises(PkdError, match="--budget 0h: that is nothing"):
        parse("0h", None)


def test_how_many_trials_there_is_room_for():
    assert parse("1900steps", None).trials_for(TWO) == 6
    assert parse("1899steps", None).trials_for(TWO) == 5
    assert parse("3runs", None).trials_for(TWO) == 5  # 1,800 steps
    assert parse("3runs", 4).trials_for(TWO) == 4
    assert parse(None, 9).trials_for(TWO) == 9
    assert parse("1h", None).trials_for(TWO) is None  # nobody knows how fast they are
    assert parse("1h", None).trials_for(TWO, rate=2.0) == 5  # 1,800 steps
    # A tenth of the time is gone, in which 90 steps were taken at half the speed.
    assert parse("1h", None).trials_for(TWO, spent=90, rate=2.0, seconds=360) == 4


def test_without_a_budget_it_is_forty_percent_of_a_grid():
    assert Budget().default(TWO, 8, None).trials == 6
    assert Budget().default(TWO, 64, None).trials == 16
    assert Budget().default(TWO, 2, 2).trials == 2
    assert Budget(steps=3000).default(TWO, 8, None) == Budget(steps=3000)


@pytest.mark.parametrize(
    ("text", "rate", "message"),
    [
        ("599steps", None, "--budget 599steps is shorter than one run: a run takes 600 steps."),
        ("0.5runs", None, "--budget 0.5runs is shorter than one run: a run takes 600 steps."),
        ("1runs", None, "--budget 1runs has room for one run, with nothing to compare: a run takes 600 steps."),
        (
            "5m",
            1.0,
            "--budget 5m is shorter than one run: a run takes 600 steps, about 10 minutes at 1 steps a second.",
        ),
    ],
)
def test_a_budget_that_is_shorter_than_one_run_is_refused(text, rate, message):
    with pytest.raises(PkdError) as error:
        parse(text, None).trials_for(TWO, rate=rate)
    assert error.value.message == message
    assert error.value.hint.startswith("The least, two runs, takes 1,200 steps")
