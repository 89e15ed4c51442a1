"""A table's lines joined with runs and literature: means over seeds, gains, differences, signs and ranks."""

from __future__ import annotations

import math
import statistics

import pandas as pd
import pytest

from pkdcli.config.teacher import teacher_recipe
from pkdcli.recipe import library
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.resolve import Request
from pkdcli.recipe.table import expand
from pkdcli.reporting.published import read_published
from pkdcli.reporting.tables.reproduced import groups, not_comparable, spearman
from pkdcli.runs.record import METRICS


def ran(mAP, **changes):
    metrics = {"mAP": mAP, "AP50": mAP + 20, "AP75": mAP + 1, "AP_S": None, "AP_M": mAP, "AP_L": mAP + 5}
    return {**metrics, "state": "done", "error": None, "smoke": None, **changes}


def failed(message="loss is NaN at step 3."):
    return {**dict.fromkeys(METRICS), "state": "failed", "error": message, "smoke": None}


class Fixture:
    """A table whose runs reached what the test says."""

    def __init__(self, name="table8", seeds=(0,), only=("gfl101-fcos50",), **request):
        self.table = library.load("tables", name)
        self.lines = expand(self.table, Request(**{"scale": "tiny", **request}), seeds, only)
        self.found = {}

    def teacher(self, mAP=70.0):
        for line in self.lines:
            self.found[run_id(teacher_recipe(line.recipe))] = ran(mAP)

    def set(self, number, record, seed=0):
        self.found[run_id(self.lines[number].runs[seed])] = record

    def baseline(self, number, record, seed=0):
        self.found[run_id(self.lines[number].baselines[seed])] = record

    def filled(self):
        return groups(self.table, self.lines, self.found, read_published())


def test_groups_follow_the_table_and_hold_teacher_baseline_and_lines():
    fixture = Fixture(only=())
    fixture.teacher()
    found = fixture.filled()
    assert [(g.baseline["pair"], g.baseline["schedule"], [line["weight"] for line in g.lines]) for g in found] == [
        ("fcosx101-retina50", "1x", [5, 10, 20]),
        ("fcosx101-retina50", "2x", [5, 10, 20]),
        ("gfl101-fcos50", "1x", [50, 70]),
        ("gfl101-fcos50", "2x", [10, 30, 50, 70, 80]),
        ("retinax101-retina50", "2x", [5, 10, 15]),
        ("maskswin-faster50", "2x", [3, 5, 6, 10]),
    ]
    assert [group.teacher["mAP"] for group in found] == [70.0] * 6


def test_a_line_joins_its_own_published_number_and_its_baseline_that_of_its_pair():
    one, two = Fixture().filled()
    assert [(line["paper_mAP"], line["paper_gain"]) for line in one.lines] == [(38.7, 2.1), (39.2, 2.6)]
    assert [line["paper_mAP"] for line in two.lines] == [41.5, 42.5, 42.7, 43.0, 42.9]
    assert (one.baseline["paper_mAP"], two.baseline["paper_mAP"]) == (36.6, 39.1)
    assert [line["paper_rank"] for line in two.lines] == [5, 4, 3, 1, 2]


def test_table7_joins_teacher_and_student_by_name():
    first, second = Fixture("table7", only=()).filled()
    assert [record["paper_mAP"] for record in first.records] == [40.8, 37.4, 40.9]
    assert [record["paper_AP_S"] for record in second.records] == [28.0, 23.3, 25.1]
    assert [line["paper_gain"] for group in (first, second) for line in group.lines] == [3.5, 2.9]


def test_a_row_may_name_the_pair_under_which_its_numbers_were_published():
    (group,) = Fixture("table8-plain", only=()).filled()
    assert [record["paper_mAP"] for record in group.records] == [None, 36.6, 38.7, 39.2]


def test_gain_is_over_the_baseline_of_the_same_seed():
    fixture = Fixture("table7", seeds=(0, 1, 2), only=("gfl101-gfl50",))
    ours, alone = (30.5, 32.0, 29.25), (15.0, 18.5, 16.0)
    for seed in (0, 1, 2):
        fixture.set(0, ran(ours[seed]), seed)
        fixture.baseline(0, ran(alone[seed]), seed)
    (group,) = fixture.filled()
    (line,) = group.lines
    assert (line["mAP"], line["mAP_std"]) == pytest.approx((sum(ours) / 3, statistics.stdev(ours)), abs=1e-12)
    gains = [a - b for a, b in zip(ours, alone, strict=True)]
    by_hand = math.sqrt(sum((gain - sum(gains) / 3) ** 2 for gain in gains) / 2)
    assert (line["gain"], line["gain_std"]) == pytest.approx((sum(gains) / 3, by_hand), abs=1e-12)
    assert (line["n"], line["seeds"], line["AP_S"], line["AP_S_std"]) == (3, "0 1 2", None, None)
    assert group.baseline["mAP_std"] == pytest.approx(statistics.stdev(alone), abs=1e-12)


def test_one_seed_has_no_deviation():
    fixture = Fixture("table7", only=("gfl101-gfl50",))
    fixture.set(0, ran(30.0))
    (line,) = fixture.filled()[0].lines
    assert (line["mAP"], line["mAP_std"], line["gain"], line["gain_std"]) == (30.0, None, None, None)


def test_a_failed_seed_leaves_the_mean_of_the_others_and_says_so():
    fixture = Fixture("table7", seeds=(0, 1), only=("gfl101-gfl50",))
    fixture.set(0, ran(30.0))
    fixture.set(0, failed(), 1)
    fixture.baseline(0, ran(15.0))
    fixture.baseline(0, ran(18.0), 1)
    (line,) = fixture.filled()[0].lines
    assert (line["mAP"], line["mAP_std"], line["n"], line["gain"]) == (30.0, None, 1, 15.0)
    assert (line["state"], line["error"]) == ("failed", "loss is NaN at step 3.")
    assert line["unfinished"] == [(run_id(fixture.lines[0].runs[1]), "failed", "loss is NaN at step 3.")]


def test_a_failed_line_has_no_number_and_its_group_no_rank():
    fixture = Fixture()
    fixture.baseline(0, ran(15.0))
    fixture.set(0, failed())
    fixture.set(1, ran(30.0))
    one, two = fixture.filled()
    assert [(line["mAP"], line["state"], line["gain"], line["rank"]) for line in one.lines] == [
        (None, "failed", None, None), (30.0, "done", 15.0, None),
    ]  # fmt: skip
    assert [line["paper_rank"] for line in one.lines] == [2, 1]
    assert one.correlation is None
    assert {line["state"] for line in two.lines} == {"not started"}


def test_signs_and_ranks():
    fixture = Fixture()
    for number, mAP in enumerate((30.0, 14.0, 31.0, 35.0, 33.0, 32.0, 34.0)):
        fixture.set(number, ran(mAP))
        fixture.baseline(number, ran(15.0))
    one, two = fixture.filled()
    assert [line["sign"] for line in one.lines] == ["same", "different"]
    assert [line["rank"] for line in one.lines] == [1, 2]
    assert one.correlation == -1.0
    assert [line["rank"] for line in two.lines] == [5, 1, 3, 4, 2]
    # Ranks by mAP 5 1 3 4 2 against the paper's 5 4 3 1 2: 1 - 6 * (9 + 9) / (5 * 24).
    assert two.correlation == pytest.approx(1 - 6 * 18 / 120, abs=1e-12)
    assert {line["rank_correlation"] for line in two.lines} == {two.correlation}


def test_a_smoke_run_has_neither_sign_nor_rank():
    fixture = Fixture(only=("gfl101-fcos50",), max_iters=2)
    for number in range(7):
        fixture.set(number, ran(30.0 + number, smoke="2 steps, 8 images"))
        fixture.baseline(number, ran(15.0, smoke="2 steps, 8 images"))
    for group in fixture.filled():
        assert {(line["sign"], line["rank"], line["rank_correlation"]) for line in group.lines} == {(None, None, None)}
        assert None not in {line["paper_rank"] for line in group.lines}


def test_a_gain_of_zero_has_the_sign_of_no_gain():
    fixture = Fixture("table7", only=("gfl101-gfl50",))
    fixture.set(0, ran(15.0))
    fixture.baseline(0, ran(15.0))
    (line,) = fixture.filled()[0].lines
    assert (line["gain"], line["sign"]) == (0.0, "different")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [([1.0, 2.0, 3.0], [3.0, 1.0, 2.0]), ([1.0, 1.0, 2.0, 5.0], [4.0, 2.0, 2.0, 7.0]), ([3.0, 1.0], [0.1, 0.2])],
)
def test_spearman_is_pandas_s(ours, theirs):
    expected = pd.DataFrame({"a": ours, "b": theirs}).corr(method="spearman").loc["a", "b"]
    assert spearman(ours, theirs) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("ours", "theirs"), [([], []), ([1.0], [2.0]), ([1.0, 1.0], [1.0, 2.0])])
def test_spearman_of_one_pair_or_a_constant_side_is_unknown(ours, theirs):
    assert spearman(ours, theirs) is None


def test_the_difference_is_filled_at_scale_paper_on_coco():
    fixture = Fixture("table7", scale="paper", only=("gfl101-gfl50",))
    fixture.teacher(44.7)
    fixture.baseline(0, ran(40.0))
    fixture.set(0, ran(43.25))
    (group,) = fixture.filled()
    differences = [record["difference_mAP"] for record in group.records]
    assert differences == pytest.approx([-0.2, -0.2, 0.15], abs=1e-9)
    assert group.lines[0]["difference_AP50"] == pytest.approx(63.25 - 60.9, abs=1e-9)
    assert group.lines[0]["difference_AP_S"] is None


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"scale": "tiny"}, "data shapes, scale tiny"),
        ({"scale": "tiny", "data": "coco"}, "scale tiny"),
        ({"scale": "paper", "data": "shapes"}, "data shapes"),
        ({"scale": "paper", "epochs": 6}, "a changed schedule 1x"),
        ({"scale": "paper", "sets": ("schedule.gamma=0.5",)}, "a changed schedule 1x"),
        ({"scale": "paper", "max_iters": 2}, "a smoke run"),
        ({"scale": "paper", "sets": ("val_images=8",)}, "a smoke run"),
        ({"scale": "paper", "pretrained": False}, "no pretrained weights"),
    ],
)
def test_elsewhere_there_is_no_difference(request_, reason):
    fixture = Fixture("table7", only=("gfl101-gfl50",), **request_)
    fixture.baseline(0, ran(40.0))
    fixture.set(0, ran(43.25))
    (group,) = fixture.filled()
    assert not_comparable(fixture.lines[0].recipe) == reason
    assert [record[f"difference_{name}"] for record in group.records for name in METRICS] == [None] * 18
    assert (group.lines[0]["paper_mAP"], group.lines[0]["sign"]) == (43.1, "same")


def test_a_whole_run_at_scale_paper_is_comparable():
    assert not_comparable(Fixture("table7", scale="paper", only=()).lines[0].recipe) is None


def test_a_table_of_one_s_own_has_no_published_numbers(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: m\ntitle: M\nlayout: weights\nrows:\n"
        "- {pair: gfl101-fcos50, schedule: 2x, loss: mse, weights: [10]}\n"
    )
    fixture = Fixture(str(path), only=())
    fixture.set(0, ran(30.0))
    (line,) = fixture.filled()[0].lines
    assert (line["mAP"], line["paper_mAP"], line["paper_gain"], line["sign"]) == (30.0, None, None, None)
