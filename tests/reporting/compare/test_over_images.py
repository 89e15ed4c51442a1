"""The interval that a plot shows for a single seed is that of `pkd compare`."""

from __future__ import annotations

import pytest

from pkdcli.reporting.compare import scored
from pkdcli.reporting.compare.groups import Group, against
from pkdcli.reporting.plots import gains


@pytest.fixture
def record(two, tmp_path, monkeypatch):
    """A record of the second run, whose baseline is the first; both have kept what they found."""
    runs = {run.run: run for run in two[1:]}
    for name in runs:
        (tmp_path / name).mkdir()
        (tmp_path / name / "predictions.npz").touch()
    monkeypatch.setattr(scored, "score", lambda paths, cache: runs[paths.run])
    return {"path": str(tmp_path / "run-2"), "baseline": "run-1", "data": "mine"}


def test_a_single_seeds_interval_is_that_of_compare(record, two):
    found = gains.by_images()(record)
    a, b = (Group(run.run, (run,)) for run in two[1:])
    expected = against(a, b, gains.RESAMPLES).metrics["mAP"].by_images
    assert (found.mean, found.lower, found.upper) == pytest.approx((expected.mean, expected.lower, expected.upper))
    assert found.upper - found.lower > 1
    assert found.count == 40


def test_it_is_left_out_where_there_are_many_images_or_runs(record, monkeypatch, tmp_path):
    monkeypatch.setattr(gains, "MANY_RUNS", 1)
    over_images = gains.by_images()
    assert over_images(record) is not None
    assert over_images(record) is None  # one is as many as there may be
    gains._measured.cache_clear()
    monkeypatch.setattr(gains, "MANY_IMAGES", 39)
    assert gains.by_images()(record) is None


def test_it_is_left_out_where_a_run_has_kept_nothing(record, tmp_path):
    (tmp_path / "run-1" / "predictions.npz").unlink()
    assert gains.by_images()(record) is None


def test_what_pkd_eval_has_kept_will_do(record, tmp_path):
    (tmp_path / "run-1" / "predictions.npz").unlink()
    (tmp_path / "run-1" / "eval").mkdir()
    (tmp_path / "run-1" / "eval" / "mine-val.predictions.npz").touch()
    assert gains.by_images()(record) is not None
