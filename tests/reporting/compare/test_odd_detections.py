"""Runs that find nothing, nothing right, or give scores beyond 1: nothing is said of them that isn't so."""

from __future__ import annotations

import dataclasses
import io
import json
import math

import numpy as np
import pytest
from drawn_detections import detections
from rich.console import Console

from pkdcli.data.scoring.ground_truth import load_annotations
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.reporting.compare.figures import compared_figures
from pkdcli.reporting.compare.groups import Against, against, grouped
from pkdcli.reporting.compare.rows import compared_rows
from pkdcli.reporting.compare.scored import Scored
from pkdcli.reporting.compare.tables import compared_tables
from pkdcli.reporting.plots.terminal import print_figures


@pytest.fixture(scope="module")
def compared(two):
    """Holds two seeds of a run against the same with other detections."""
    content, base, _ = two

    def hold(**changes) -> Against:
        groups = []
        for loss, changed in (("none", {}), ("pkd", changes)):
            runs = []
            for seed in (0, 1):
                found = dataclasses.replace(detections(content, 5.0, seed), **changed)
                recipe = resolve(Request(scale="tiny", seed=seed, loss=loss))
                runs.append(Scored(f"{loss}-s{seed}", recipe, "val", base.truth, found))
            groups.append(grouped(loss, runs))
        return against(*groups, resamples=20)

    return hold


def nothing(like):
    """The fields of detections without any, in the images of others."""
    return {"counts": np.zeros_like(like.found.counts), "boxes": np.empty((0, 4), np.float32),
            "scores": np.empty(0, np.float32), "labels": np.empty(0, np.int64)}  # fmt: skip


def test_a_run_that_finds_nothing_is_not_called_without_misses_and_well_calibrated(two, compared):
    found = compared(**nothing(two[1]))
    assert found.b.metrics["mAP"] == 0
    assert math.isnan(found.b.errors["Miss"])
    assert math.isnan(found.b.errors["FN"])
    assert {found.b.errors[kind] for kind in ("Cls", "Loc", "Both", "Dupe", "Bkg", "FP")} == {0.0}
    _, _, errors, *_ = compared_tables([found], {"mAP": 99.0})
    (miss,) = [row for row in errors.sections[0] if row[0] == "Miss"]
    assert miss[3:] == ["", "", ""], "neither its own, nor a difference, nor an interval"
    assert errors.notes[1:] == [
        "Miss and FN: what a run that finds nothing loses by them can't be told.",
        f"Expected calibration error: A {found.a.calibration_error:.3f}, B not known (0: scores are as often right).",
        "It is not known without a detection, or where scores are not from 0 to 1.",
    ]
    by_key = {row["key"]: row for row in compared_rows([found])}
    assert (by_key["ece"]["b"], by_key["ece"]["difference"]) == (None, None)
    assert [by_key["FN"][name] for name in ("b", "difference", "seeds_lower")] == [None, None, None]
    captions = " ".join(figure.caption for figure in compared_figures([found]))
    assert "pkd-s0 not known" in captions
    assert "nan" not in captions


def test_scores_beyond_one_cost_the_calibration_alone(two, compared):
    """A detector of one's own may give other scores than probabilities; its metrics are as good as any other's."""
    scores = 7 * detections(two[0], 5.0, 0).scores
    found = compared()
    (run,) = [one for one in found.b.runs if one.recipe.seed == 0]
    odd = dataclasses.replace(run, found=dataclasses.replace(run.found, scores=scores))
    assert odd.metrics == pytest.approx(run.metrics)
    assert math.isnan(odd.calibration()["ece"])
    assert odd.calibration()["bins"] == []
    assert run.calibration()["ece"] > 0


def test_what_falls_behind_makes_up_none_of_a_lead(two, compared):
    metrics, *_ = compared_tables([compared(**nothing(two[1]))], {"mAP": 99.0})
    assert metrics.notes[-1] == "The teacher has 99.0 mAP: B is behind A, and makes up none of its lead."


def test_where_there_is_no_object_no_kind_of_error_costs_anything_that_is_known(two, tmp_path):
    """Without an object there is no AP50 to be lost: zeros would be numbers of nothing, and no chart is in the way."""
    content = two[0]
    (tmp_path / "val.json").write_text(json.dumps(content | {"annotations": []}))
    truth = load_annotations(tmp_path / "val.json")
    runs = [Scored(loss, resolve(Request(scale="tiny", loss=loss)), "val", truth, detections(content, 4, 1))
            for loss in ("none", "pkd")]  # fmt: skip
    found = against(grouped("a", runs[:1]), grouped("b", runs[1:]), resamples=3)
    assert all(math.isnan(value) for value in found.a.errors.values())
    (errors,) = [table for table in compared_tables([found]) if table.title.startswith("Errors")]
    assert {cell for row in errors.sections[0] for cell in row[2:]} == {""}
    text = io.StringIO()
    print_figures(compared_figures([found]), Console(file=text, width=80))
    assert text.getvalue().startswith(
        "Better or worse than none\n95 % intervals over images\nnothing is known to be drawn\n")  # fmt: skip
    assert "nan" not in text.getvalue()


def test_a_class_whose_objects_are_all_in_one_image_has_no_interval(two, tmp_path):
    """Its AP is the same on every resample that has that image: an interval of no width would be certainty of one."""
    content = two[0]
    last = content["images"][-1]["id"]
    kept = [one for one in content["annotations"] if one["category_id"] == 2 or one["image_id"] == last]
    kept.append({**kept[-1], "id": 10_000, "image_id": last, "category_id": 1, "bbox": [5.0, 5.0, 90.0, 90.0]})
    kept = [one for one in kept if one["category_id"] == 2 or one["id"] == 10_000]
    (tmp_path / "val.json").write_text(json.dumps(content | {"annotations": kept}))
    truth = load_annotations(tmp_path / "val.json")
    whole = content | {"annotations": kept}
    found = [detections(whole, noise, 3) for noise in (4.0, 1.0)]
    runs = [Scored(loss, resolve(Request(scale="tiny", loss=loss)), "val", truth, one)
            for loss, one in zip(("none", "pkd"), found, strict=True)]  # fmt: skip
    compared = against(grouped("a", runs[:1]), grouped("b", runs[1:]), resamples=30)
    assert compared.classes["car"].mean > 0
    assert compared.classes["car"].upper == math.inf
    assert math.isfinite(compared.classes["person"].upper)
    same = against(grouped("a", runs[:1]), grouped("b", [dataclasses.replace(runs[0], run="copy")]), resamples=30)
    assert (same.classes["car"].lower, same.classes["car"].upper) == (0, 0), "of a copy it is known"
