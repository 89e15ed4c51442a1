"""What a search may try: round values, spread over its ranges, none twice."""

from __future__ import annotations

import pytest

from pkdcli.experiment.tuning.space import Choice, Range, Space

WEIGHTS = Range("weight", 1.0, 100.0)
LEVELS = Choice("loss.levels", ("index", "stride"))


@pytest.mark.parametrize(
    ("low", "high", "ladder"),
    [
        (1, 100, [1, 3, 10, 30, 100]),
        (0.01, 1, [0.01, 0.03, 0.1, 0.3, 1]),
        (5, 20, [5, 7, 10, 15, 20]),
        (2, 4, [2, 3, 4]),
        (7.5, 8.5, [7.5, 8.5]),  # 8 is within a tenth of both ends
        (0.95, 105, [0.95, 3, 10, 30, 105]),
    ],
)
def test_the_first_values_are_round_and_have_both_ends(low, high, ladder):
    assert Range("weight", low, high).ladder() == ladder


@pytest.mark.parametrize(
    ("value", "without", "nearest"),
    [(12.0, (), 10.0), (12.5, (), 15.0), (0.1, (), 1.0), (500, (), 100.0), (12.0, (10.0,), 15.0), (44.0, (40.0,), 50)],
)
def test_a_suggestion_becomes_the_nearest_round_value_that_is_free(value, without, nearest):
    assert WEIGHTS.nearest(value, without) == nearest


def test_where_all_values_are_taken_there_is_none():
    assert Range("weight", 2, 4).nearest(3, (2, 3, 4)) is None


@pytest.mark.parametrize(("count", "weights"), [(2, [1, 100]), (3, [1, 10, 100]), (5, [1, 3, 10, 30, 100])])
def test_few_trials_are_spread_over_the_whole_range(count, weights):
    assert Space((WEIGHTS,)).design(count, 0) == [{"weight": weight} for weight in weights]


def test_choices_alone_are_all_tried():
    space = Space((LEVELS, Choice("student.lr", ("0.01", "0.02"))))
    assert (space.size, space.grid, space.first(10)) == (4, 4, 4)
    assert [tuple(one.values()) for one in space.design(4, 0)] == [
        ("index", "0.01"),
        ("index", "0.02"),
        ("stride", "0.01"),
        ("stride", "0.02"),
    ]
    assert len(space.design(3, 0)) == 3


def test_several_axes_meet_in_another_order_for_each_seed_and_the_same_for_one():
    space = Space((WEIGHTS, LEVELS))
    assert space.grid == 16
    designs = [space.design(5, seed) for seed in (0, 0, 1, 2, 3)]
    assert designs[0] == designs[1]
    assert len({str(one) for one in designs}) > 1
    for design in designs:
        assert [one["weight"] for one in design] == [1, 3, 10, 30, 100]
        assert {one["loss.levels"] for one in design} == {"index", "stride"}


def test_a_trial_that_was_made_makes_way_for_its_neighbour():
    space = Space((Range("weight", 2, 4), LEVELS))
    tried = [{"weight": 3.0, "loss.levels": "index"}]
    assert space.settled({"weight": 3.1, "loss.levels": "stride"}, tried) == {"weight": 3.0, "loss.levels": "stride"}
    assert space.settled({"weight": 3.1, "loss.levels": "index"}, tried) == {"weight": 4, "loss.levels": "index"}
    tried += [{"weight": 2, "loss.levels": "index"}, {"weight": 4, "loss.levels": "index"}]
    assert space.settled({"weight": 3.1, "loss.levels": "index"}, tried) is None


@pytest.mark.parametrize(
    ("tried", "gaps"),
    [
        # The better side first. By ratio 5.5 is amid 3 and 10; of 1 and 3 both 1.5 and 2 are as near to the middle.
        ({1.0: 14.6, 3.0: 16.1, 10.0: 15.0, 30.0: 11.8, 100.0: 6.8}, [5.0, 2.0]),
        ({1.0: 15.2, 3.0: 16.1, 10.0: 15.0, 30.0: 11.8}, [2.0, 5.0]),
        ({1.0: 2.4, 3.0: 2.2, 10.0: 1.2}, [2.0]),  # at the end of the range
        ({30.0: 1.0, 100.0: 2.0}, [50.0]),
        ({3.0: 16.0, 5.0: 17.0, 7.0: 16.0}, [4.0, 6.0]),  # no coarser value is left there
        ({3.0: 16.0, 4.0: 17.0, 5.0: 16.0}, []),
        ({10.0: 1.0}, []),
    ],
)
def test_the_gaps_beside_the_best(tried, gaps):
    assert WEIGHTS.gaps(tried) == gaps


def test_finer_values_are_taken_when_the_round_ones_are_used_up():
    few = Range("weight", 3.0, 10.0)
    assert few.nearest(6.1) == 7.0
    assert few.nearest(6.1, without=[3.0, 5.0, 7.0, 10.0]) == 6.0
