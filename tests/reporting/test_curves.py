"""metrics.jsonl as columns: what is missing, odd or cut short costs its own values only."""

from __future__ import annotations

import json

import pytest

from pkdcli.reporting import levels
from pkdcli.reporting.curves import MEASURES, read_curves, thinned


def curves_of(folder, *lines):
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text)
    return read_curves(folder)


def train(step, **more):
    return {"kind": "train", "iter": step, "lr": 0.01, **more}


@pytest.mark.parametrize("spoilt", ["", '{"kind": "train", "iter": 4, "lo', "[1, 2]", "no json"])
def test_a_line_that_is_not_whole_is_passed_over(tmp_path, spoilt):
    found = curves_of(tmp_path, train(1, loss=2.0), train(2, loss=1.5), spoilt)
    assert (found.step, found.loss, found.lr) == ([1, 2], [2.0, 1.5], [0.01, 0.01])


def test_losses_of_records_that_differ(tmp_path):
    found = curves_of(
        tmp_path,
        train(1, loss=3.0, **{"distill.loss_a": 0.5, "distill.loss_b": 0.25, "distill.weight": 9.0}),
        train(2, loss=2),
        train(3, **{"distill.loss_a": None, "distill.loss_b": 1.0}, loss=2.5),
        train(4, loss=float("nan"), **{"distill.loss_a": None}),
        train(True, loss=1.0),
        {"kind": "train", "loss": 1.0},
        {"kind": ["train"], "iter": 9, "loss": 1.0},
        train(5, loss="2.0"),
    )
    assert found.step == [1, 2, 3, 4, 5]
    assert found.loss == [3.0, 2.0, 2.5, None, None]
    assert found.distillation == [0.75, None, 1.0, None, None]
    assert found.detection == [2.25, 2.0, 1.5, None, None]


def test_levels_that_come_and_go(tmp_path):
    found = curves_of(
        tmp_path,
        {"kind": "levels", "iter": 1, "level2.loss": 0.5, "level0.r": 1},
        {"kind": "levels", "iter": 2, "level0.r": 0.25, "level1.grad_share": 0.125, "level0.grad_norm": 7.0},
    )
    assert found.level_step == [1, 2]
    assert list(found.levels) == [0, 2, 1]
    assert all(list(columns) == list(MEASURES) for columns in found.levels.values())
    assert found.levels[0]["r"] == [1.0, 0.25]
    assert found.levels[2]["loss"] == [0.5, None]
    assert found.levels[1]["grad_share"] == [None, 0.125]


def test_evaluations(tmp_path):
    found = curves_of(tmp_path, {"kind": "val", "iter": 5, "mAP": 30.5, "AP_S": None}, {"kind": "val", "iter": 9})
    assert (found.val_step, found.val["mAP"], found.val["AP_S"]) == ([5, 9], [30.5, None], [None, None])


def test_thinning_with_and_without_gaps():
    steps, values = list(range(10)), [float(n * n) for n in range(10)]
    assert thinned(steps, values, 4) == ([0, 2.5, 6.5, 9], [0.0, 7.5, 43.5, 81.0])
    gaps = [None if n in (3, 9) else value for n, value in enumerate(values)]
    assert thinned(steps, gaps, 4) == ([0, 7 / 3, 6, 8], [0.0, 7.0, 110 / 3, 64.0])
    assert thinned(steps, values, 10) == (steps, values)


def test_the_level_names_of_many_runs_are_read_once(tmp_path, monkeypatch):
    read = []
    original = levels._config_in.__wrapped__
    levels._config_in.cache_clear()
    monkeypatch.setattr(levels, "_config_in", levels.cache(lambda text: read.append(text) or original(text)))
    student = "student:\n  name: fcos50\n  config: fcos/fcos_r50_fpn_gn-head_1x_coco.py\n"
    for seed in range(5):
        folder = tmp_path / str(seed)
        folder.mkdir()
        (folder / "recipe.yaml").write_text(f"seed: {seed}\n{student}loss: {{name: pkd}}\n")
        assert levels._config_of(str(folder)) == "fcos/fcos_r50_fpn_gn-head_1x_coco.py"
    assert read == [student]
    # What stands for something in another part of the file is read with it.
    anchored = tmp_path / "anchored"
    anchored.mkdir()
    (anchored / "recipe.yaml").write_text("a: &one {config: x.py}\nstudent: *one\n")
    assert levels._config_of(str(anchored)) == "x.py"
