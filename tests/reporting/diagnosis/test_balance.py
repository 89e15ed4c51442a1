"""How distillation and detection stand to each other, on a recorded run with one thing changed."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest
import yaml
from altered import of, recipe_with, records

from pkdcli.reporting.diagnosis import balance
from pkdcli.reporting.diagnosis.facts import facts_of
from pkdcli.runs.paths import RunPaths


@pytest.mark.parametrize(
    ("ratio", "strong", "weak"), [(1.0, 0.0, 0.0), (15.8, 0.5, 0.0), (1000, 1, 0), (0.0095, 0, 0.5)]
)
def test_balance_is_told_where_the_detectors_own_gradient_is_largest(good, ratio, strong, weak):
    changed = records(good.levels, level0__grad_norm=ratio, level0__detection_grad_norm=1.0,
                      level3__grad_norm=5.0, level3__detection_grad_norm=1e-9)  # fmt: skip
    run = of(good, levels=changed)
    assert balance.overwhelms(run).score == pytest.approx(strong, abs=0.01)
    assert balance.overwhelmed(run).score == pytest.approx(weak, abs=0.01)
    assert balance.overwhelms(run).evidence[0].what.endswith("at P3 (stride 8)")


def test_a_weight_that_was_fair_at_the_beginning_is_not_blamed_for_a_detector_that_fell_silent(good):
    silent = [{**one, "level0.grad_norm": 1.0, "level0.detection_grad_norm": 1.0 if n < 3 else 0.001}
              for n, one in enumerate(good.levels)]  # fmt: skip
    quiet = [{**one, "level1.detection_grad_norm": 0.0} for one in silent]
    assert balance.overwhelms(of(good, levels=quiet)).score == 0.0


def test_a_weight_that_was_too_small_at_the_beginning_is_blamed_though_the_detector_fell_silent(good):
    """The steps may have thrown the detector about until its gradient was as small."""
    silent = [{**one, "level0.grad_norm": 1.0, "level0.detection_grad_norm": 1000.0 if n < 3 else 50.0}
              for n, one in enumerate(good.levels)]  # fmt: skip
    fair = [{**one, "level0.detection_grad_norm": 50.0} for one in silent]
    assert balance.overwhelmed(of(good, levels=silent)).score == 1.0
    assert balance.overwhelmed(of(good, levels=fair)).score == pytest.approx(0.176, abs=0.001)


def test_a_level_that_is_not_taught_or_has_constant_channels_tells_nothing_of_the_balance(good):
    """Level 0, where the detector's gradient is largest: of no loss, or with a gradient that moves nothing."""
    usual = balance.strength(good)
    assert usual[1] == 0
    untaught = records(good.levels, level0__loss=0.0, level0__grad_norm=0.0)
    assert balance.strength(of(good, levels=untaught))[1] == 1
    assert balance.overwhelmed(of(good, levels=untaught)).score == 0.0
    constant = records(good.levels, level0__constant_student=0.3, level0__grad_norm=1e6)
    assert balance.strength(of(good, levels=constant))[1] == 1
    assert balance.overwhelms(of(good, levels=constant)).score < 0.5
    every = records(good.levels, **{f"level{level}__constant_student": 0.3 for level in range(4)})
    assert balance.strength(of(good, levels=every))[1] is None  # then by the losses


def test_the_weight_to_try_is_the_usual_one_or_brings_both_gradients_together(good):
    strong = records(good.levels, level0__grad_norm=200.0, level0__detection_grad_norm=1.0)
    run = recipe_with(of(good, levels=strong), loss=good.recipe.loss.model_copy(update={"weight": 1000.0}))
    assert "--weight 10 " in balance.overwhelms(run).command  # 2 times the detector's: fair
    usual = of(good, levels=strong)  # at the usual weight already
    assert "--weight 0.05 " in balance.overwhelms(usual).command


@pytest.mark.parametrize(
    ("seeds", "low", "w20"),
    # 18 against 24 of the best two: a quarter. By one seed each 0.1 is noise and 0.3 sure, by four 0.05 and 0.15.
    [(1, 0.75, 0.25), (4, 1.0, 1.0)],
)
def test_runs_that_differ_in_the_weight_alone_tell_which_was_better(good, tmp_path, seeds, low, w20):
    """The best two weights of a sweep are lower than this run's, or higher."""
    for seed in range(seeds):
        for weight, mAP in ((1.0, 18.0), (4.0, 23.0), (5.0, 25.0), (20.0, 20.4), (50.0, 18.0)):
            loss = good.recipe.loss.model_copy(update={"weight": weight})
            folder = tmp_path / f"w{weight:g}-{seed}"
            folder.mkdir()
            recipe = good.recipe.model_copy(update={"loss": loss, "seed": seed})
            (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
            result = {**good.result, "run": folder.name, "weight": weight, "seed": seed}
            (folder / "result.json").write_text(json.dumps({**result, "metrics": {"mAP": mAP}}))
            shutil.copy(good.paths.metrics, folder)
    names = ("w1", "w4", "w5", "w20", "w50")
    found = {name: facts_of(RunPaths(tmp_path / f"{name}-0"), good.cache) for name in names}
    scores = {name: (balance.overwhelmed(one).score, balance.overwhelms(one).score) for name, one in found.items()}
    assert scores["w5"] == (0.0, 0.0)
    assert scores["w4"] == (0.0, 0.0)  # 23 against 25 and 20.4
    assert scores["w1"] == (pytest.approx(low), 0.0)
    assert scores["w20"] == (0.0, pytest.approx(w20))  # 20.4 against 24
    assert scores["w50"] == (0.0, pytest.approx(low))
    small, large = balance.overwhelmed(found["w1"]), balance.overwhelms(found["w50"])
    assert small.title == "the weight is too small: with a higher one, all else being equal, the student is better"
    assert large.title == "the weight is too large: with a lower one, all else being equal, the student is better"
    assert " --weight 5 " in small.command  # the best of them
    assert " --weight 5 " in large.command
    told = [(one.what, one.here, one.good) for one in balance.overwhelms(found["w50"]).evidence[-2:]]
    many = " (mean of 4 seeds)" if seeds > 1 else ""
    assert told == [("mAP with weight 5, all else being equal", "18.0 here", f"25.0{many}"),
                    ("mAP with weight 4, all else being equal", "18.0 here", f"23.0{many}")]  # fmt: skip
    strong = records(good.levels, level0__grad_norm=200.0, level0__detection_grad_norm=1.0)
    assert balance.overwhelms(of(found["w1"], levels=strong)).score == 1.0  # there is no lower weight
    assert balance.overwhelms(of(found["w5"], levels=strong)).score == 0.0  # lower ones are no better
    running = of(found["w50"], result={})  # what it has so far is no measure
    assert balance.overwhelms(running).score == 0.0


@pytest.mark.parametrize(("gain", "score"), [(None, 1.0), (-3.0, 1.0), (1.5, 1.0), (3.75, 0.5), (6.0, 0.0)])
def test_a_student_that_is_far_better_than_alone_is_not_overwhelmed(good, gain, score):
    """30 mAP alone; the gradients say that the distillation leaves the detector no say, or has none."""
    record = {**good.record, "baseline_mAP": 30.0, "gain": gain}
    strong = records(good.levels, level0__grad_norm=200.0, level0__detection_grad_norm=1.0)
    weak = records(good.levels, level0__grad_norm=1e-4, level0__detection_grad_norm=1.0)
    assert balance.overwhelms(of(good, levels=strong, record=record)).score == pytest.approx(score)
    assert balance.overwhelmed(of(good, levels=weak, record=record)).score == pytest.approx(score)


def test_without_gradients_the_losses_are_compared_and_said_with_less_certainty(good):
    old = [{key: value for key, value in one.items() if "detection" not in key} for one in good.levels]
    run = of(good, levels=old)
    assert balance.overwhelms(run).score == 0.0
    curves = dataclasses.replace(good.curves, distillation=[1e5] * len(good.curves.step))
    assert balance.overwhelms(of(run, curves=curves)).score == pytest.approx(0.8)
    zero = recipe_with(run, loss=good.recipe.loss.model_copy(update={"weight": 0.0}))
    assert balance.overwhelmed(zero).score == 1.0
    assert balance.overwhelms(zero) is None


def test_a_detection_loss_that_rises_while_the_distillation_falls(good):
    count = len(good.curves.step)
    ours = [2 - n / count if n < count / 3 else 1.6 + n / count for n in range(count)]
    theirs = [10 - 5 * n / count for n in range(count)]
    found = balance.conflict(of(good, curves=dataclasses.replace(good.curves, detection=ours, distillation=theirs)))
    assert found.score > 0.5
    assert found.evidence[0].here.startswith("+")
    assert "--distill-until 0.5" in found.command
    assert balance.conflict(good) is None
    # A student that starts from trained weights: at its best in the warm-up, and no more.
    warm = [1.2 if n < count / 8 else 1.5 for n in range(count)]
    run = of(good, curves=dataclasses.replace(good.curves, detection=warm, distillation=theirs))
    assert balance.conflict(run) is None  # from random weights: of an assigner that finds no objects at first
    run = recipe_with(run, config={"load_from": "student.pth"})
    assert balance.conflict(run).score == pytest.approx(0.97, abs=0.001)  # the steps may have thrown it up too
    assert balance.conflict(run).evidence[0].here == "+25 %"
    wild = dataclasses.replace(run.curves, lr=[lr * 10 for lr in good.curves.lr])  # thrown there by its steps
    thrown = of(run, curves=wild, updates=records(good.updates, head__update=0.1))
    assert balance.conflict(thrown).score == 0.0
