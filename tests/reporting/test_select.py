"""Filters, and mean and deviation over seeds."""

from __future__ import annotations

import numpy as np
import pytest

from pkdcli.errors import PkdError
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.reporting.select import MEAN_COLUMNS, choose, mean_over_seeds, parse_where
from pkdcli.runs.status import columns


def names(records):
    return [record["run"] for record in records]


def test_where_is_key_and_value():
    assert parse_where(["scale=tiny", "run=a=b", "loss="]) == [("scale", "tiny"), ("run", "a=b"), ("loss", "")]


def test_a_wrong_key_gets_the_nearest():
    with pytest.raises(PkdError) as caught:
        parse_where(["wieght=10"])
    assert caught.value.message == "--where wieght=10: unknown column 'wieght'."
    assert caught.value.hint.startswith("Did you mean 'weight'? Allowed: AP50, AP75, ")
    with pytest.raises(PkdError, match="not of the form key=value"):
        parse_where(["weight"])


def test_conditions_on_one_key_are_alternatives_and_on_several_all_hold(record):
    records = [
        record("a", weight=10.0),
        record("b", weight=30.0),
        record("c", weight=0.5, seed=1),
        record("d", role="baseline"),
    ]
    assert names(choose(records, [("weight", "10"), ("weight", "30.0")])) == ["a", "b"]
    assert names(choose(records, [("weight", ".5"), ("seed", "1")])) == ["c"]
    assert names(choose(records, [("weight", "10"), ("seed", "1")])) == []
    assert names(choose(records, [])) == ["a", "b", "c", "d"]


def test_a_pair_brings_the_baselines_it_is_measured_against(record):
    records = [
        record("base", role="baseline", pair="maskswin-fcos50"),
        record("base-1x", role="baseline", pair="maskswin-fcos50", schedule="1x"),
        record("run", baseline="base"),
        record("other", pair="maskswin-fcos50", baseline="base"),
    ]
    assert names(choose(records, [("pair", "gfl101-fcos50")])) == ["base", "run"]
    assert names(choose(records, [("pair", "gfl101-fcos50"), ("role", "distill")])) == ["run"]


def test_a_value_that_no_run_has_gets_the_nearest(record):
    records = [record("a", loss="mse"), record("b", loss="norm-kl"), record("c", loss="norm-kl")]
    with pytest.raises(PkdError) as caught:
        choose(records, [("loss", "norm-k")])
    assert caught.value.message == "no run here has loss 'norm-k'."
    assert caught.value.hint == "Did you mean 'norm-kl'? The runs have: mse, norm-kl."
    with pytest.raises(PkdError, match="None states its temperature"):
        choose(records, [("temperature", "50")])


def test_mean_and_sample_deviation_equal_numpys(record):
    rng = np.random.default_rng(0)
    values = {w: rng.uniform(10, 50, size=(5, 2)) for w in (10.0, 30.0)}
    records = [
        record(f"{w}-{s}", mAP=mAP, gain=gain, seed=s, weight=w, teacher_mAP=70.0)
        for w, pairs in values.items()
        for s, (mAP, gain) in enumerate(pairs.tolist())
    ]
    means = mean_over_seeds(records)
    assert [(mean["weight"], mean["n"], mean["seeds"]) for mean in means] == [(w, 5, "0 1 2 3 4") for w in values]
    for mean, pairs in zip(means, values.values(), strict=True):
        assert (mean["mAP"], mean["gain"]) == pytest.approx(tuple(np.mean(pairs, axis=0)), rel=1e-13)
        assert (mean["mAP_std"], mean["gain_std"]) == pytest.approx(tuple(np.std(pairs, axis=0, ddof=1)), rel=1e-12)
        assert (mean["teacher_mAP"], mean["teacher_mAP_std"]) == (70.0, 0.0)
        assert mean["AP_S"] is None
    assert set(MEAN_COLUMNS) <= set(means[0])


def test_one_seed_has_no_deviation(record):
    (mean,) = mean_over_seeds([record(mAP=30.0, gain=2.0, seed=7)])
    assert (mean["mAP"], mean["mAP_std"], mean["n"], mean["seeds"], mean["seed"]) == (30.0, None, 1, "7", 7)


def test_a_mean_needs_every_seed(record):
    gains = [5.0, 6.0, None]
    (mean,) = mean_over_seeds([record(str(seed), seed=seed, gain=gain) for seed, gain in enumerate(gains)])
    assert (mean["mAP"], mean["gain"], mean["gain_std"]) == (30.0, None, None)


def test_unfinished_runs_are_left_out(record):
    assert mean_over_seeds([record(mAP=None)]) == []
    (mean,) = mean_over_seeds([record("a", seed=0), record("b", seed=1, mAP=None)])
    assert mean["n"] == 1


def test_whatever_differs_but_the_seed_parts_the_groups(record):
    changes = [
        {"weight": 30.0},
        {"temperature": 5},
        {"schedule": "1x"},
        {"batch": 16},
        {"epoch": 18},
        {"scale": "paper"},
    ]
    changes += [{"experiment": "x"}, {"init": "inherit"}, {"stat_chunk": "batch"}, {"pair": "a-b"}, {"split": "test"}]
    records = [record("run"), *(record(f"run{n}", **change) for n, change in enumerate(changes))]
    assert len(mean_over_seeds(records)) == 1 + len(changes)


def test_runs_that_repeat_a_seed_are_not_averaged(record):
    records = [record("a", mAP=30.0), record("b", mAP=32.0), record("c", mAP=40.0, weight=30.0)]
    assert [(mean["run"], mean["mAP"], mean["n"]) for mean in mean_over_seeds(records)] == [
        *(("a", 30.0, 1), ("b", 32.0, 1), ("c", 40.0, 1))
    ]


def test_a_baseline_is_one_experiment_for_every_pair_unless_each_pair_has_its_own(record):
    a, b = "gfl101-fcos50", "maskswin-fcos50"
    shared = [record("0", role="baseline", pair=a), record("1", role="baseline", pair=b, seed=1, mAP=32.0)]
    assert [(mean["n"], mean["mAP"]) for mean in mean_over_seeds(shared)] == [(2, 31.0)]
    own = [*shared, record("2", role="baseline", pair=b, mAP=34.0)]
    assert [(mean["pair"], mean["n"], mean["mAP"]) for mean in mean_over_seeds(own)] == [(a, 1, 30.0), (b, 2, 33.0)]


def test_real_runs_of_several_seeds_are_averaged(record):
    """The columns that runs write: their hash of what a baseline must share holds the seed, and must not part them."""
    recipes = [resolve(Request(scale="tiny", seed=seed)) for seed in (0, 1)]
    recipes.append(resolve(Request(scale="tiny", seed=2, sets=("student.lr=0.5",))))
    records = [record(mAP=30.0 + one.seed) | columns(one, f"run{one.seed}") for one in recipes]
    means = mean_over_seeds(records)
    # The third differs in what no column tells.
    assert [(mean["seeds"], mean["mAP"]) for mean in means] == [("0 1", 30.5), ("2", 32.0)]
