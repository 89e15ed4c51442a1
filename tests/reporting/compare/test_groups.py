"""Groups of seeds held against each other, pair by pair, and the tables of it."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from drawn_detections import data_set, detections
from scipy import stats

from pkdcli.config.teacher import teacher_recipe
from pkdcli.data.scoring.ground_truth import load_annotations
from pkdcli.data.scoring.predictions import Detections
from pkdcli.errors import PkdError
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.reporting.compare.figures import compared_figures
from pkdcli.reporting.compare.groups import Group, against, grouped
from pkdcli.reporting.compare.resamples import resampled
from pkdcli.reporting.compare.rows import DATA_COLUMNS, compared_rows
from pkdcli.reporting.compare.scored import Scored
from pkdcli.reporting.compare.tables import compared_tables


def run(base: Scored, name: str, seed: int, noise: float = 0.0, **recipe) -> Scored:
    """A run whose boxes are those of another, moved a little."""
    random = np.random.default_rng(100 + seed)
    found: Detections = base.found
    boxes = found.boxes + random.normal(0, noise, found.boxes.shape).astype(np.float32)
    moved = dataclasses.replace(found, boxes=boxes)
    return Scored(name, resolve(Request(scale="tiny", seed=seed, **recipe)), "val", base.truth, moved)


@pytest.fixture(scope="module")
def groups(two):
    _, a, b = two
    first = grouped("base", [run(a, f"base-s{seed}", seed, 1.0, loss="none") for seed in (2, 0, 1)])
    second = grouped("pkd", [run(b, f"pkd-s{seed}", seed, 1.0, loss="pkd") for seed in (0, 1, 3)])
    return first, second


def test_pairs_have_equal_seeds(groups):
    found = against(*groups, resamples=0)
    assert [(a.run, b.run) for a, b in found.pairs] == [("base-s0", "pkd-s0"), ("base-s1", "pkd-s1")]
    metric = found.metrics["mAP"]
    differences = [b.metrics["mAP"] - a.metrics["mAP"] for a, b in found.pairs]
    assert found.differences["mAP"] == pytest.approx(differences)
    expected = stats.t.interval(0.95, 1, loc=np.mean(differences), scale=stats.sem(differences))
    assert (metric.by_seeds.lower, metric.by_seeds.upper) == pytest.approx(expected)
    assert metric.b - metric.a == pytest.approx(np.mean(differences))
    assert found.p_value is None
    assert found.alone == ["base-s2", "pkd-s3"]
    of_classes = [found.b.by_class[name] - found.a.by_class[name] for name in ("car", "person")]
    assert np.mean(of_classes) == pytest.approx(metric.by_images.mean), "the classes are of the same runs as mAP"
    assert "Left out, having no partner of the same seed: base-s2, pkd-s3." in compared_tables([found])[0].notes


def test_the_interval_over_images_is_of_the_mean_over_pairs(groups):
    found = against(*groups, resamples=200, seed=3)
    runs = [one for one, _ in found.pairs] + [other for _, other in found.pairs]
    drawn = resampled(runs, 200, seed=3).metrics["mAP"]
    half = stats.t.ppf(0.975, 39) * np.std((drawn[2:] - drawn[:2]).mean(axis=0), ddof=1)
    assert found.metrics["mAP"].by_images.half_width == pytest.approx(half)
    assert 0 < found.better <= 1
    assert list(found.classes) == ["car", "person"]
    mean = np.mean([interval.mean for interval in found.classes.values()])
    assert mean == pytest.approx(found.metrics["mAP"].by_images.mean)
    cars = resampled(runs, 200, seed=3).classes["car"]
    half = stats.t.ppf(0.975, 39) * np.std((cars[2:] - cars[:2]).mean(axis=0), ddof=1)
    assert found.classes["car"].half_width == pytest.approx(half)


def test_a_single_pair_needs_no_common_seed(two):
    _, a, b = two
    found = against(grouped("a", [run(a, "a", 4)]), grouped("b", [run(b, "b", 7)]), resamples=0)
    assert len(found.pairs) == 1
    assert math.isinf(found.metrics["mAP"].by_seeds.upper)


def test_no_common_seed_is_said(two):
    _, a, b = two
    first = grouped("a", [run(a, f"a{seed}", seed) for seed in (0, 1)])
    second = grouped("b", [run(b, f"b{seed}", seed) for seed in (2, 3)])
    with pytest.raises(PkdError, match="a has seeds 0, 1 and b seeds 2, 3: none is in both"):
        against(first, second)


def test_a_word_for_two_recipes_is_no_group(two):
    _, a, _ = two
    with pytest.raises(PkdError, match="'x' means runs that differ in more than their seeds: x1 and x2"):
        grouped("x", [run(a, "x1", 0, loss="mse"), run(a, "x2", 1, loss="pkd")])
    with pytest.raises(PkdError, match="x1 and x2"):
        grouped("x", [run(a, "x1", 0, loss="mse"), run(a, "x2", 0, loss="mse")])


def test_the_tables_say_what_the_rows_hold(groups):
    found = [against(*groups, resamples=50)]
    taught_by = Group("teacher", (groups[1].runs[2],))
    rows = compared_rows(found, {"mAP": 99.0}, taught_by)
    assert all(set(row) <= set(DATA_COLUMNS) for row in rows)
    by_key = {(row["kind"], row["key"]): row for row in rows}
    assert by_key["metric", "mAP"]["difference"] == pytest.approx(found[0].metrics["mAP"].by_images.mean)
    metrics, classes, errors, *more = compared_tables(found, {"mAP": 99.0})
    *confusions, images = more  # these detections take no class for another
    assert [table.title for table in confusions] in ([], ["Most frequent confusions"])
    assert metrics.sections[0][0][3] == f"{by_key['metric', 'mAP']['difference']:+.1f}"
    share = 100 * (found[0].b.metrics["mAP"] - found[0].a.metrics["mAP"]) / (99 - found[0].a.metrics["mAP"])
    assert f"The teacher has 99.0 mAP: B makes up {share:.0f} % of its lead over A." in metrics.notes
    assert {row[0] for row in classes.sections[0]} == {"car", "person"}
    assert [row[0] for row in errors.sections[0]] == ["Cls", "Loc", "Both", "Dupe", "Bkg", "Miss", "FP", "FN"]
    row = by_key["metric", "mAP"]
    assert (row["teacher"], row["recovered"], row["p_value"]) == (99.0, pytest.approx(share / 100), None)
    assert (row["better"], by_key["metric", "AP50"].get("better")) == (found[0].better, None)
    assert [(row["key"], row["a"], row["b"]) for row in rows if row["kind"] == "pair"] == [
        ("0", "base-s0", "pkd-s0"), ("1", "base-s1", "pkd-s1")]  # fmt: skip
    assert by_key["pair", "1"]["difference"] == found[0].differences["mAP"][1]
    assert by_key["error", "Loc"]["teacher"] == taught_by.errors["Loc"]
    assert by_key["class", "car"]["teacher"] == taught_by.by_class["car"]
    surest = by_key["calibration", "ece"]
    assert (surest["a"], surest["teacher"]) == (found[0].a.calibration_error, taught_by.calibration_error)
    assert images.title == "Images where they differ most (AP50 of the image, seed 0)"
    assert len(images.sections[0]) <= 6
    (pairs,) = [[[run.errors()["points"]["Loc"] for run in pair] for pair in one.pairs] for one in found]
    gains = [b - a for a, b in pairs]
    low, high = stats.t.interval(0.95, 1, loc=np.mean(gains), scale=stats.sem(gains))
    row = by_key["error", "Loc"]
    assert (row["seeds_lower"], row["seeds_upper"]) == pytest.approx((low, high))
    assert row["difference"] == pytest.approx(np.mean(gains))
    assert "images_lower" not in row, "over images the kinds have none, and it is said"
    assert errors.columns[-1] == "95 % over seeds"
    assert errors.sections[0][1][-1] == f"{low:+.1f} to {high:+.1f}"
    assert errors.notes[0] == "Below zero: B makes fewer of them. These have no interval over images."


def test_one_pair_has_no_interval_of_its_errors(two):
    _, a, b = two
    found = against(grouped("a", [run(a, "a", 4)]), grouped("b", [run(b, "b", 4)]), resamples=0)
    (errors,) = [one for one in compared_tables([found]) if one.title.startswith("Errors")]
    assert errors.columns == ["kind", "what it is", "A", "B", "B - A"]
    (row,) = [one for one in compared_rows([found]) if (one["kind"], one["key"]) == ("error", "Loc")]
    assert (row["seeds_lower"], row["seeds_upper"]) == (None, None)


def a_teacher():
    """A teacher's recipe."""
    return teacher_recipe(resolve(Request(scale="tiny")))


def notes(a: Scored, b: Scored, teacher=None) -> list[str]:
    return compared_tables([against(grouped("a", [a]), grouped("b", [b]), resamples=0)], teacher)[0].notes


def test_what_differs_besides_the_method_is_said(two):
    _, a, b = two
    found = notes(run(a, "a", 0, loss="none"), run(b, "b", 3, loss="pkd", schedule="1x"))
    assert found[1:] == [
        "Their seeds differ, 0 and 3: some of the difference is luck of the seed.",
        "They differ in more than the method: schedule.name, schedule.epochs, schedule.milestones.",
    ]
    assert len(notes(run(a, "a", 0, loss="none"), run(b, "b", 0, loss="pkd"))) == 1
    other = notes(run(a, "a", 0, loss="none"), run(b, "b", 0, pair="gfl101-gfl50", schedule="2x", amp=True))
    assert other[1:] == ["They differ in more than the method: student, amp."]
    teacher = dataclasses.replace(a, recipe=a_teacher())
    assert len(notes(teacher, run(b, "b", 0))) == 1


def test_a_teacher_without_a_lead_is_said(two):
    _, a, b = two
    runs = run(a, "a", 0, loss="none"), run(b, "b", 0, loss="pkd")
    assert notes(*runs, {"mAP": 1.5})[-1] == "The teacher has 1.5 mAP: no lead over A."
    assert len(notes(*runs, {"mAP": runs[0].metrics["mAP"]})) == 1, "A is the teacher itself"


def test_where_there_is_no_object_there_is_no_lead_to_speak_of(tmp_path):
    content = data_set(3)
    (tmp_path / "val.json").write_text(json.dumps(content | {"annotations": []}))
    truth = load_annotations(tmp_path / "val.json")
    runs = [Scored(loss, resolve(Request(scale="tiny", loss=loss)), "val", truth, detections(content, 4, 1))
            for loss in ("none", "pkd")]  # fmt: skip
    assert len(notes(*runs, {"mAP": 50.0})) == 1


def test_sizes_that_no_object_has_are_left_open_with_several_seeds(tmp_path):
    """All objects are small: there is neither AP_M nor AP_L, over images or seeds."""
    content = data_set(12)
    for one in content["annotations"]:
        one["bbox"][2:] = [20.0, 20.0]
        one["area"] = 400.0
    (tmp_path / "val.json").write_text(json.dumps(content))
    truth = load_annotations(tmp_path / "val.json")

    def group(name, noise, loss):
        runs = [Scored(f"{name}-s{seed}", resolve(Request(scale="tiny", seed=seed, loss=loss)), "val", truth,
                       detections(content, noise, 10 * seed + 1)) for seed in range(5)]  # fmt: skip
        return grouped(name, runs)

    found = against(group("base", 4, "none"), group("pkd", 1, "pkd"), resamples=20)
    (table, *_), rows = compared_tables([found]), compared_rows([found])
    assert table.sections[0][5] == ["AP_L", "", "", "", "", ""]
    (large,) = [row for row in rows if row["key"] == "AP_L"]
    assert {value for name, value in large.items() if name not in ("against", "kind", "key")} == {None}
    assert found.p_value == 2 / 32
    both = compared_figures([found])[0].panels
    assert [panel.title for panel in both] == ["95 % intervals over images", "95 % intervals over seeds"]
    assert both[1].series[0].ends[0] == pytest.approx((found.metrics["mAP"].by_seeds.lower,
                                                       found.metrics["mAP"].by_seeds.upper))  # fmt: skip
    assert (both[1].series[0].y[5], both[1].series[0].ends[5]) == (None, None)


def test_confusions_have_their_sign(two):
    _, a, b = two
    found = against(grouped("a", [run(a, "a", 0)]), grouped("b", [run(b, "b", 0)]), resamples=0)
    object.__setattr__(found, "a", Counted([[9, 1.0, 0], [2.0, 9, 0], [0, 0, 0]], found.a))
    object.__setattr__(found, "b", Counted([[9, 1.4, 0], [2.0, 9, 0], [0, 0, 0]], found.b))
    (table,) = [one for one in compared_tables([found]) if one.title == "Most frequent confusions"]
    assert table.sections[0] == [["person", "car", "2", "2", "0"], ["car", "person", "1", "1.4", "+0.4"]]


class Counted(Group):
    """A group whose classes are confused as told."""

    def __init__(self, matrix, like: Group):
        super().__init__(like.word, like.runs)
        self.__dict__["confusion"] = np.array(matrix)
