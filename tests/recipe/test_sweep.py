"""A sweep's axes become its runs."""

from __future__ import annotations

import pytest

from pkdcli.errors import PkdError
from pkdcli.recipe import library
from pkdcli.recipe.axes.grid import axes as parse_grid
from pkdcli.recipe.resolve import Request
from pkdcli.recipe.sweep import Grid, expand

TINY = Request(scale="tiny")


def runs(base=TINY, **axes):
    return [
        (r.pair, r.loss.name, r.loss.weight, r.loss.temperature, r.schedule.name, r.seed)
        for r in expand(base, Grid(**axes))
    ]


def test_the_cards_sweep_is_a_baseline_and_three_weights():
    where = ("2x", 0)
    assert runs(losses=["mse"], weights=[10, 30, 50]) == [
        ("gfl101-fcos50", "none", None, None, *where),
        ("gfl101-fcos50", "mse", 10, None, *where),
        ("gfl101-fcos50", "mse", 30, None, *where),
        ("gfl101-fcos50", "mse", 50, None, *where),
    ]


def test_the_ablation_over_temperatures():
    found = runs(losses=["norm-kl"], weights=[10], temperatures=[1, 10, 50])
    assert [(loss, weight, t) for _, loss, weight, t, _, _ in found] == [
        ("none", None, None),
        ("norm-kl", 10, 1),
        ("norm-kl", 10, 10),
        ("norm-kl", 10, 50),
    ]


def test_temperatures_apply_to_the_losses_that_have_one():
    found = runs(losses=["mse", "norm-kl"], weights=[10], temperatures=[1, 2], baseline=False)
    assert [(loss, t) for _, loss, _, t, _, _ in found] == [("mse", None), ("norm-kl", 1), ("norm-kl", 2)]


def test_temperatures_for_none_are_refused():
    with pytest.raises(PkdError, match=r"--temperatures: mse has no temperature."):
        runs(losses=["mse"], temperatures=[1])


def test_every_seed_and_schedule_has_its_baseline_first():
    found = runs(losses=["pkd", "mse"], schedules=["1x", "2x"], seeds=[0, 1])
    assert len(found) == 12
    assert [(loss, schedule, seed) for _, loss, _, _, schedule, seed in found[:6]] == [
        ("none", "1x", 0),
        ("pkd", "1x", 0),
        ("mse", "1x", 0),
        ("none", "1x", 1),
        ("pkd", "1x", 1),
        ("mse", "1x", 1),
    ]


def test_each_pair_has_its_own_alpha_and_schedule():
    pairs = library.names("pairs")
    found = runs(losses=["pkd"], pairs=pairs, baseline=False)
    assert [pair for pair, *_ in found] == pairs
    kinds = {p.name: library.load("detectors", p.teacher).kind for p in library.load_all("pairs")}
    assert all(weight == {"two-stage": 6, "one-stage": 10}[kinds[pair]] for pair, _, weight, *_ in found)


def test_pairs_that_share_a_student_share_its_baseline():
    found = runs(losses=["pkd"], pairs=["gfl101-fcos50", "maskswin-fcos50"], schedules=["1x"])
    assert [(pair, loss) for pair, loss, *_ in found] == [
        ("gfl101-fcos50", "none"),
        ("gfl101-fcos50", "pkd"),
        ("maskswin-fcos50", "pkd"),
    ]


def test_nothing_runs_twice():
    assert len(runs(losses=["mse", "mse"], weights=[10, 10.0, 30], seeds=[0, 0])) == 3


def test_loss_none_among_the_losses_is_the_baseline_once():
    assert [loss for _, loss, *_ in runs(losses=["none", "pkd", "none"], weights=[10])] == ["none", "pkd"]


def test_without_baseline():
    assert [loss for _, loss, *_ in runs(losses=["mse"], baseline=False)] == ["mse"]


def test_what_is_set_for_loss_and_teacher_is_not_set_for_the_baseline():
    base = Request(scale="tiny", sets=("loss.stat_chunk=batch", "teacher.lr=0.5", "schedule.gamma=0.5"))
    baseline, distilled = expand(base, Grid(losses=["pkd"]))
    assert (baseline.teacher, baseline.schedule.gamma) == (None, 0.5)
    assert (distilled.loss.stat_chunk, distilled.teacher.lr, distilled.schedule.gamma) == ("batch", 0.5, 0.5)


def test_a_wrong_word_among_right_ones_is_refused():
    with pytest.raises(PkdError, match="unknown loss 'mze'"):
        runs(losses=["pkd", "mze"])


@pytest.mark.parametrize(
    ("axes", "keys", "told"),
    [
        (
            {"losses": ["none"], "weights": [1, 2]},
            (),
            "--weights: loss none is the baseline and takes no weight.\nLeave them out, or name a loss.",
        ),
        (
            {"losses": ["mse"], "weights": [1]},
            ("loss.weight=2,3",),
            "--weights and --grid loss.weight list the same key twice.\nLeave out one of the two.",
        ),
        (
            {"losses": ["norm-kl"], "temperatures": [1]},
            ("loss.temperature=2,3",),
            "--temperatures and --grid loss.temperature list the same key twice.\nLeave out one of the two.",
        ),
        ({"seeds": [0]}, ("seed=1,2",), "--seeds and --grid seed list the same key twice.\nLeave out one of the two."),
    ],
)
def test_lists_that_would_say_nothing_or_be_passed_over_are_refused(axes, keys, told):
    with pytest.raises(PkdError) as caught:
        expand(Request(scale="tiny"), Grid(**axes, keys=parse_grid(keys)))
    assert str(caught.value) == told
