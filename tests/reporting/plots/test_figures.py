"""What the pictures show: numbers against sums made here by hand."""

from __future__ import annotations

import json

import pytest

from pkdcli.reporting.curves import Curves, mean, read_curves, thinned
from pkdcli.reporting.levels import level_name
from pkdcli.reporting.plots.build import figures
from pkdcli.reporting.plots.figure import PLACES, Panel, Rule, Series, stem
from pkdcli.reporting.plots.groups import groups_of, over_seeds
from pkdcli.reporting.plots.levels import levels_figure
from pkdcli.reporting.plots.sizes import sizes_figure
from pkdcli.reporting.plots.training import run_panels, training_figure
from pkdcli.reporting.plots.weights import weights_figure


@pytest.fixture
def sweep(record):
    """Three weights of mse over two seeds, pkd, baselines, and what belongs into no picture."""
    runs = [record("base0", 16.0, role="baseline"), record("base1", 18.0, role="baseline", seed=1)]
    for weight, values in {10.0: (30.0, 32.0), 30.0: (33.0, 34.0), 50.0: (12.0, 10.0)}.items():
        for seed, value in enumerate(values):
            runs.append(record(f"mse-{weight:g}-{seed}", value, weight=weight, seed=seed, baseline=f"base{seed}"))
    runs.append(record("pkd", 38.5, loss="pkd", baseline="base0", teacher_mAP=45.0, AP_S=20.0, teacher_AP_S=40.0))
    runs += [record("smoke", 1.0, weight=70.0, smoke="2 steps"), record("open", None, weight=90.0, state="failed")]
    return runs


def only_group(records):
    (group,) = groups_of(records, records)
    return group


def test_the_picture_of_table_8(sweep):
    figure = weights_figure(only_group(sweep))
    (panel,) = figure.panels
    (mse,) = panel.series
    assert (mse.name, mse.x, mse.y) == ("mse", [10.0, 30.0, 50.0], [31.0, 33.5, 11.0])
    assert mse.error == pytest.approx([2**0.5, 0.5**0.5, 2**0.5])
    assert [(rule.name, rule.y) for rule in panel.rules] == [
        ("baseline, no distillation", 17.0),
        ("pkd, weight 10", 38.5),
    ]
    assert panel.rules[0].error == pytest.approx(2**0.5)
    assert (panel.x_label, panel.y_label, panel.log_x) == ("loss weight", "mAP (AP points)", False)
    assert panel.places == [PLACES["mse"], PLACES["baseline"], PLACES["pkd"]]
    assert figure.name == "weights__gfl101-fcos50__2x__shapes-tiny"
    assert figure.caption == (
        "mse is best at weight 30 with 33.5 mAP; baseline, no distillation: 17.0; pkd, weight 10: 38.5. "
        "Bars and bands: one standard deviation over seeds to each side."
    )


def test_weights_far_apart_stand_on_a_logarithmic_axis(record):
    runs = [record(f"mse{weight}", 20.0, weight=weight) for weight in (1.0, 10.0, 100.0)]
    assert weights_figure(only_group(runs)).panels[0].log_x


def test_one_weight_makes_no_sweep(record):
    assert weights_figure(only_group([record("mse", 30.0), record("pkd", 31.0, loss="pkd")])) is None


def test_runs_of_other_settings_are_another_group(record):
    runs = [
        record("a", 20.0),
        record("b", 21.0, weight=30.0),
        record("c", 25.0, batch=16),
        record("d", 26.0, init="inherit"),
    ]
    groups = groups_of(runs, runs)
    assert [[one["run"] for one in group.runs] for group in groups] == [["a", "b"], ["d"], ["c"]]
    assert [group.settings for group in groups] == ["batch 8", "batch 8, init inherit", "batch 16"]
    assert len({group.file_words for group in groups}) == 3


def test_sizes(sweep):
    figure = sizes_figure(only_group(sweep))
    (panel,) = figure.panels
    assert panel.kind == "bars"
    # AP_S is known of teacher and pkd alone; the best weight of each loss stands for it.
    assert {one.name: one.y for one in panel.series} == {
        "gfl101 (teacher)": [40.0, None, None],
        "baseline, no distillation": [None, 17.0, 22.0],
        "pkd, weight 10": [20.0, 38.5, 43.5],
        "mse, weight 30": [None, 33.5, 38.5],
    }


def test_sizes_need_two_sizes(record):
    assert sizes_figure(only_group([record("mse", 30.0, AP_M=None, AP_L=None, AP_S=10.0)])) is None


def test_levels_share_what_there_is(record):
    levels = {
        0: {"loss": [3.0, 1.0], "grad_share": [0.8, 0.4], "r": [], "top10_share": []},
        1: {"loss": [1.0, 1.0], "grad_share": [0.2, None], "r": [], "top10_share": []},
    }
    figure = levels_figure(only_group([record("mse", 30.0, path=None)]), lambda _: Curves(levels=levels))
    losses, gradients = figure.panels
    assert [one.name for one in losses.series] == ["level 0", "level 1"]
    assert [one.y for one in losses.series] == [pytest.approx([200 / 3]), pytest.approx([100 / 3])]
    assert [one.y for one in gradients.series] == [pytest.approx([75.0]), pytest.approx([25.0])]
    assert figure.caption == "mse, weight 10: 75 % of the gradient is at level 0."
    assert levels_figure(only_group([record("mse", 30.0)]), lambda _: Curves()) is None


def test_training_shows_the_best_weight_of_each_loss(sweep):
    curves = Curves(step=[1, 2], loss=[4.0, 2.0], lr=[0.1, 0.01], val_step=[2], val={"mAP": [30.0]})
    figure = training_figure(only_group(sweep), lambda _: curves)
    assert [panel.title for panel in figure.panels] == ["Training loss", "Learning rate", "Validation"]
    assert figure.panels[0].names == ["baseline, no distillation", "pkd, weight 10", "mse, weight 30"]
    assert figure.panels[0].log_y
    assert not figure.panels[1].log_y
    assert training_figure(only_group(sweep), lambda _: Curves()) is None


def test_all_figures_of_nothing(record):
    assert figures([], []) == []
    assert figures([record("open", None, state="running")], []) == []


METRICS = [
    {"kind": "start", "iter": 0, "epoch": 0},
    {"kind": "train", "iter": 1, "lr": 0.1, "loss": 7.0, "distill.loss_fpn0": 4.0, "distill.loss_fpn1": 1.0},
    {"kind": "levels", "iter": 1, "level0.loss": 4.0, "level0.r": 0.5, "level0.grad_share": None, "level10.loss": 1.0},
    {"kind": "train", "iter": 2, "lr": 0.1, "loss": None, "distill.loss_fpn0": 3.0},
    {"kind": "levels", "iter": 2, "level0.loss": 3.0},
    {"kind": "val", "iter": 2, "mAP": 12.5, "AP50": None},
    {"kind": "train", "iter": "x"},
]  # fmt: skip


def test_reading_curves(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in METRICS) + '{"kind": "tra')
    curves = read_curves(tmp_path)
    assert (curves.step, curves.loss, curves.distillation) == ([1, 2], [7.0, None], [5.0, 3.0])
    assert curves.detection == [2.0, None]
    assert (curves.val_step, curves.val["mAP"], curves.val["AP50"]) == ([2], [12.5], [None])
    assert curves.levels[0]["loss"] == [4.0, 3.0]
    assert curves.levels[0]["grad_share"] == [None, None]
    assert curves.levels[10]["loss"] == [1.0, None]
    assert read_curves(tmp_path / "absent") == Curves()


def test_thinning_keeps_both_ends_and_the_mean():
    xs, ys = thinned(range(1000), [float(n) for n in range(1000)], 12)
    assert len(xs) == 12
    assert (xs[0], xs[-1], ys[0], ys[-1]) == (0, 999, 0.0, 999.0)
    assert xs == ys
    assert sum(ys[1:-1]) / 10 == pytest.approx(499.5, rel=0.01)
    assert thinned([1, 2, 3], [1.0, None, 3.0], 12) == ([1, 3], [1.0, 3.0])
    assert thinned([], [], 12) == ([], [])


def test_means(record):
    assert mean([1.0, None, 3.0]) == 2.0
    assert mean([None]) is None
    assert over_seeds([record("a", 1.0), record("b", 3.0)], "mAP") == (2.0, pytest.approx(2**0.5))
    assert over_seeds([record("a", None)], "mAP") == (None, None)


def test_a_run_s_own_panels(record):
    curves = Curves(
        step=[1], loss=[2.0], detection=[2.0], distillation=[None], lr=[0.1], val_step=[1], val={"mAP": [3.0]}
    )
    baseline = (record("base", 1.0, role="baseline"), curves)
    panels = run_panels(record("mse", 3.0, teacher_mAP=40.0), curves, baseline)
    assert [panel.title for panel in panels] == ["Training loss", "Validation mAP", "Learning rate"]
    assert panels[0].names == ["all parts"]
    assert panels[1].names == ["this run", "baseline", "teacher"]
    assert panels[1].places == [PLACES["mse"], PLACES["baseline"], PLACES["teacher"]]


def test_looks_are_each_another():
    panel = Panel("", "", "", [Series("a", [], [], look="pkd"), Series("b", [], [], look="pkd"), Series("c", [], [])],
                  [Rule("d", 1.0, look="baseline")])  # fmt: skip
    assert panel.places == [0, 1, 2, 6]
    assert len({place for place in Panel("", "", "", [Series(str(n), [], []) for n in range(8)]).places}) == 8


def test_levels_are_named_by_stride(tmp_path, record):
    (tmp_path / "recipe.yaml").write_text("student: {config: retinanet/retinanet_r50_fpn_2x_coco.py}\n")
    names = [level_name(record("a", path=str(tmp_path)), level) for level in (0, 4, 5)]
    assert names == ["P3 (stride 8)", "P7 (stride 128)", "level 5"]


@pytest.mark.parametrize("config", ["/etc/x.py", "../x.py", "no/such.py", "~/x.py"])
def test_a_config_that_is_not_mmdet_s_own_is_never_run(tmp_path, record, config):
    (tmp_path / "recipe.yaml").write_text(f"student: {{config: {config}}}\n")
    assert level_name(record("a", path=str(tmp_path)), 0) == "level 0"


def test_file_names():
    assert stem("weights", "a/b c", None, "../x", "") == "weights__a-b-c__x"
    assert len(stem("x" * 400)) == 150
