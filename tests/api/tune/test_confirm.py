"""Finalists of a search are held against each other as `pkd compare` holds runs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import pkdcli
from pkdcli.api.tune.confirm import judge
from pkdcli.experiment.tuning.confirm import Confirmed
from pkdcli.launch.outcome import Watcher
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_object


def runs_of(paths, values):
    return tuple(
        SimpleNamespace(run=f"{paths.run}-{seed}", total=4, curve={4: value}, planned=SimpleNamespace(paths=paths))
        for seed, value in enumerate(values, start=1)
    )


def finalist(name):
    return SimpleNamespace(run=name, total=4, curve={4: 0.0})


def test_the_interval_over_images_is_that_of_compare(lab, monkeypatch):
    monkeypatch.setenv("PKD_CACHE", str(lab.cache))
    names = [lab.run("gfl101-fcos50__mse"), lab.run("gfl101-fcos50__pkd")]
    reached = [read_object(one / "result.json")["metrics"]["mAP"] for one in names]
    runs = tuple(runs_of(RunPaths(one), [mAP]) for one, mAP in zip(names, reached, strict=True))
    finalists = [finalist("mse"), finalist("pkd")]
    order, lead, confirmation = judge(finalists, Confirmed((1,), runs, 8, 3.0), Watcher())
    other, best = sorted((0, 1), key=lambda at: (reached[at], -at))
    assert order == [finalists[best], finalists[other]]
    (row,) = pkdcli.compare(str(names[other]), str(names[best]), runs=lab.runs).found
    by_images = row.metrics["mAP"].by_images
    assert lead == pytest.approx((by_images.mean, by_images.lower, by_images.upper), abs=1e-6)
    assert confirmation.by_seeds is None


def test_the_interval_over_seeds_is_student_s_of_the_paired_differences(tmp_path):
    """Differences of 1, 2 and 3: 2 ± 4.30265 · 1 / sqrt(3). What keeps no detections has no interval over images."""
    told = []
    watcher = Watcher()
    watcher.on_note = told.append
    runs = runs_of(RunPaths(tmp_path / "a"), [30.0, 31.0, 32.0]), runs_of(RunPaths(tmp_path / "b"), [31.0, 33.0, 35.0])
    finalists = [finalist("a"), finalist("b")]
    order, lead, confirmation = judge(finalists, Confirmed((1, 2, 3), runs, 24, 3.04), watcher)
    assert order == [finalists[1], finalists[0]]
    assert lead == (2.0, None, None)
    assert confirmation.means == {"b": 33.0, "a": 31.0}
    assert confirmation.by_seeds == pytest.approx((2 - 2.48414, 2 + 2.48414), abs=1e-5)
    assert (confirmation.seeds, confirmation.steps, confirmation.seconds) == ((1, 2, 3), 24, 3.0)
    (note,) = told
    assert note.startswith("no interval over images: ")


def test_of_equal_means_the_search_s_own_order_stands(tmp_path):
    runs = runs_of(RunPaths(tmp_path / "a"), [30.0, 32.0]), runs_of(RunPaths(tmp_path / "b"), [32.0, 30.0])
    finalists = [finalist("a"), finalist("b")]
    assert judge(finalists, Confirmed((1, 2), runs, 0, 0.0), Watcher())[0] == finalists
    alone, lead, confirmation = judge(finalists[:1], Confirmed((1, 2), runs[:1], 0, 0.0), Watcher())
    assert (alone, lead, confirmation.by_seeds) == (finalists[:1], None, None)
