"""How far trials are trained, and who goes on."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pkdcli.experiment.tuning.halving import Advance, Done, Propose, Rungs, next_move

TWO = Rungs.of(600, 100)  # 2x at scale tiny


@dataclass(eq=False)
class Trial:
    curve: dict[int, float] = field(default_factory=dict)
    failed: str | None = None
    found: int = 0


@pytest.mark.parametrize(
    ("total", "per_epoch", "multiple", "steps"),
    [
        (600, 100, 1, (100, 200, 300, 600)),
        (90_000, 7_500, 1, (15_000, 30_000, 45_000, 90_000)),  # 1x on COCO: 2, 4 and 6 of 12 epochs
        (180_000, 7_500, 1, (30_000, 60_000, 90_000, 180_000)),
        (300, 100, 1, (50, 100, 150, 300)),  # three epochs: their ends are too few
        (8, 4, 1, (2, 3, 4, 8)),
        (600, 100, 8, (104, 200, 304, 600)),  # a state is saved behind eight steps only
        (2, 2, 1, (1, 2)),
        (1, 1, 1, (1,)),
    ],
)
def test_trials_are_compared_at_a_sixth_a_third_and_half_of_the_run(total, per_epoch, multiple, steps):
    assert Rungs.of(total, per_epoch, multiple).steps == steps


def test_what_a_search_costs():
    # 6 to step 100, 4 on to 200, 3 on to 300, 2 on to 600.
    assert [TWO.count(rung, 6) for rung in range(4)] == [6, 4, 3, 2]
    assert TWO.cost(6) == 600 + 400 + 300 + 600
    assert [TWO.cost(trials) for trials in (1, 2, 7)] == [600, 1200, 2200]
    assert TWO.affordable(0.4 * 8 * 600) == 6  # 40 % of a grid of eight
    assert (TWO.affordable(1199), TWO.affordable(1200), TWO.affordable(599)) == (1, 2, 0)


def test_the_better_trials_go_on_and_the_best_two_to_the_end():
    trials = [Trial() for _ in range(6)]
    assert next_move(TWO, [], 6) == Propose(6)
    for step, values, going in (
        (100, (1, 6, 5, 4, 3, 2), [0, 1, 2, 3, 4, 5]),
        (200, (0, 4, 9, 7, 8, 0), [1, 2, 3, 4]),
        (300, (0, 0, 5, 8, 6, 0), [2, 3, 4]),
        (600, (0, 0, 0, 3, 4, 0), [3, 4]),
    ):
        assert next_move(TWO, trials, 6) == Advance(TWO.steps.index(step), step, [trials[place] for place in going])
        for place in going:
            trials[place].curve[step] = values[place]
    assert next_move(TWO, trials, 6) == Done([trials[4], trials[3]])


def test_more_trials_are_wanted_only_when_the_first_are_known():
    trials = [Trial({100: 5.0}), Trial()]
    assert next_move(TWO, trials, 4) == Advance(0, 100, [trials[1]])
    trials[1].curve[100] = 2.0
    assert next_move(TWO, trials, 4) == Propose(2)
    assert next_move(TWO, trials, 2) == Advance(1, 200, trials)


def test_of_equal_trials_the_earlier_goes_on():
    trials = [Trial({100: 5.0}) for _ in range(6)]
    assert next_move(TWO, trials, 6) == Advance(1, 200, trials[:4])


def test_a_failed_trial_makes_way_for_the_next_best():
    trials = [Trial({100: value}) for value in (9, 8, 7, 6, 5, 4)]
    trials[0].failed = "diverged"
    assert next_move(TWO, trials, 6) == Advance(1, 200, trials[1:5])
    trials = [Trial({100: 1.0, 200: 1.0, 300: value}) for value in (9, 8, 7)]
    trials[1].failed = "diverged"
    assert next_move(TWO, trials, 3) == Advance(3, 600, [trials[0], trials[2]])
    assert next_move(TWO, [Trial(failed="diverged")], 1) == Done([])


def test_a_run_that_was_there_is_compared_where_it_was_measured():
    finished = Trial({300: 20.0, 600: 35.0})  # evaluated after every third epoch
    trials = [finished, *(Trial({100: value}) for value in (9, 8, 7, 6, 5))]
    # It takes nobody's place at 200 steps, which it has passed.
    assert next_move(TWO, trials, 6) == Advance(1, 200, trials[1:5])
    for place, value in ((1, 3), (2, 4), (3, 1), (4, 2)):
        trials[place].curve[200] = value
    assert next_move(TWO, trials, 6) == Advance(2, 300, [trials[1], trials[2], trials[4]])
    for place, value in ((1, 30), (2, 31), (4, 29)):
        trials[place].curve[300] = value
    # At 300 steps it is the worst of four; but what it has come to is known, and free.
    assert next_move(TWO, trials, 6) == Advance(3, 600, [trials[1], trials[2]])
    trials[1].curve[600], trials[2].curve[600] = 33, 34
    assert next_move(TWO, trials, 6) == Done([finished, trials[2], trials[1]])


@pytest.mark.parametrize(("found", "goes_to"), [(0, 100), (50, 100), (51, 200), (150, 200), (240, 300), (251, 600)])
def test_a_run_that_was_there_is_measured_where_all_steps_can_be_averaged(found, goes_to):
    """The mean is over the last fifty steps; those of a run that was begun without it are gone."""
    other, there = Trial({100: 9.0, 200: 19.0, 300: 29.0}), Trial(found=found)
    assert next_move(TWO, [other, there], 2) == Advance(TWO.steps.index(goes_to), goes_to, (
        [there] if goes_to < 600 else [other, there]))  # fmt: skip
