"""Each rule on a recorded run with one thing changed: scores, numbers and commands to the letter."""

from __future__ import annotations

import dataclasses
import json
import shlex
import shutil

import numpy as np
import pytest
import yaml

from pkdcli.data.scoring.predictions import Detections
from pkdcli.recipe.modules.copies import read_recipe
from pkdcli.reporting.diagnosis import balance, data, length, levels, rate, student, teacher
from pkdcli.reporting.diagnosis.cause import log_ramp, ramp, text
from pkdcli.reporting.diagnosis.facts import Facts, facts_of, late, median, parts
from pkdcli.reporting.diagnosis.rank import Diagnosis, diagnosed
from pkdcli.reporting.diagnosis.tables import diagnosis_tables
from pkdcli.runs.paths import RunPaths


@pytest.fixture
def good(facts) -> Facts:
    """A run in which nothing is wrong."""
    return facts("healthy")


def of(facts: Facts, **changes) -> Facts:
    return dataclasses.replace(facts, **changes)


def recipe_with(facts: Facts, **changes) -> Facts:
    return of(facts, recipe=facts.recipe.model_copy(update=changes))


def records(column: list[dict], **values) -> list[dict]:
    """Records with the same values in each, whose names have a double underscore for a dot."""
    return [{**one, **{key.replace("__", "."): value for key, value in values.items()}} for one in column]


def test_ramps():
    assert [ramp(value, 2, 4) for value in (1, 2, 3, 4, 9)] == [0, 0, 0.5, 1, 1]
    assert [ramp(value, 4, 2) for value in (9, 4, 3, 2)] == [0, 0, 0.5, 1]
    assert log_ramp(10, 1, 100) == pytest.approx(0.5)
    assert log_ramp(0.0, 0.03, 0.003) == 1
    assert [text(one) for one in (None, 1000.0, 0.00012345, 7)] == ["-", "1000", "0.000123", "7"]
    assert (late([None, 5, 1, 1, 9, 2, None]), median([]), parts([1, 2, 3, 4], 2)) == (2, None, [1.5, 3.5])


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


def test_runs_that_differ_in_the_weight_alone_tell_which_was_better(good, tmp_path):
    """The best two of a sweep have lower weights, or higher ones: by 15 % of their mAP it is named."""
    for weight, mAP in ((1.0, 18.0), (4.0, 23.0), (5.0, 25.0), (20.0, 20.4), (50.0, 18.0)):
        loss = good.recipe.loss.model_copy(update={"weight": weight})
        folder = tmp_path / f"w{weight:g}"
        folder.mkdir()
        recipe = good.recipe.model_copy(update={"loss": loss})
        (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
        result = {**good.result, "run": folder.name, "weight": weight, "metrics": {"mAP": mAP}}
        (folder / "result.json").write_text(json.dumps(result))
        shutil.copy(good.paths.metrics, folder)
    found = {name: facts_of(RunPaths(tmp_path / name), good.cache) for name in ("w1", "w4", "w5", "w20", "w50")}
    scores = {name: (balance.overwhelmed(one).score, balance.overwhelms(one).score) for name, one in found.items()}
    assert scores["w5"] == (0.0, 0.0)
    assert scores["w4"] == (0.0, 0.0)  # 23 against 25 and 20.4
    assert scores["w1"] == (1.0, 0.0)  # 18 against 24
    assert scores["w20"] == (0.0, pytest.approx(0.5))  # 20.4 against 24
    assert scores["w50"] == (0.0, 1.0)
    told = [(one.what, one.here, one.good) for one in balance.overwhelms(found["w50"]).evidence[-2:]]
    assert told == [("mAP with weight 5, all else being equal", "18.0 here", "25.0"),
                    ("mAP with weight 4, all else being equal", "18.0 here", "23.0")]  # fmt: skip
    running = of(found["w50"], result={})  # what it has so far is no measure
    assert balance.overwhelms(running).score == 0.0


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
    assert balance.conflict(run).score == pytest.approx(11 / 12)  # a loss that rises may have been thrown up too
    assert balance.conflict(run).evidence[0].here == "+25 %"
    wild = dataclasses.replace(run.curves, lr=[lr * 10 for lr in good.curves.lr])  # thrown there by its steps
    thrown = of(run, curves=wild, updates=records(good.updates, head__update=0.1))
    assert balance.conflict(thrown).score == 0.0


def test_levels_dead_constant_and_unlike(good):
    assert levels.dead(good) is None
    zero = of(good, levels=records(good.levels, level2__loss=0.0))
    assert levels.dead(zero).title == "a dead level: nothing is learned from the teacher at P5 (stride 32)"
    flat = of(good, levels=records(good.levels, level2__constant_student=0.99))
    assert levels.dead(flat).evidence[0].here == "99 %"
    half = records(good.levels, **{f"level{n}__constant_teacher": 0.3 for n in range(4)})
    assert levels.constant(of(good, levels=half)).score == pytest.approx(0.5)
    unlike = of(good, levels=records(good.levels, **{f"level{n}__r": 0.05 for n in range(4)}))
    assert levels.uncorrelated(unlike).score == pytest.approx(0.6)
    one = of(good, levels=records(good.levels, level0__r=0.05))
    assert levels.uncorrelated(one).score == 0.0


def test_what_a_look_found_stands_in_for_records_that_are_not_there(good):
    bare = [{key: value for key, value in one.items() if "constant" not in key} for one in good.levels]
    look = {"levels": {str(n): {"constant_teacher": 0.5 if n else 1.0, "constant_student": 0.0} for n in range(4)},
            "teacher": {}}  # fmt: skip
    run = of(good, levels=bare, look=look)
    assert "P3 (stride 8)" in levels.dead(run).title
    assert levels.constant(run).score == 1.0


def test_levels_of_other_strides_and_one_left_out(good):
    assert levels.mispaired(good) is None
    far = recipe_with(good, loss=good.recipe.loss.model_copy(update={"levels": "0:2,1:1"}))
    assert [one.here for one in levels.mispaired(far).evidence] == ["8 and 32"]
    assert "--levels stride" in levels.mispaired(far).command
    gap = of(good, levels=[{k: v for k, v in one.items() if not k.startswith("level1")} for one in good.levels])
    assert (levels.mispaired(gap).score, levels.mispaired(gap).evidence[0].what) == (0.7, "P4 (stride 16)")


@pytest.mark.parametrize(("mAP", "alone", "score"), [(3.0, 1.0, 1.0), (30, 30, 0.9), (30, 28.5, 0.45), (40, 30, 0)])
def test_a_teacher_that_does_not_lead(good, mAP, alone, score):
    run = of(good, result={**good.result, "teacher_metrics": {"mAP": mAP}},
             record={**good.record, "baseline_mAP": alone})  # fmt: skip
    found = teacher.weak(run)
    assert found.score == pytest.approx(score)
    assert "--teacher-checkpoint" not in found.command


def test_another_normalisation_than_the_detectors_own(good):
    assert teacher.normalisation(good) is None
    key = "model.data_preprocessor.teacher.bgr_to_rgb"
    found = teacher.normalisation(recipe_with(good, config={key: False}))
    assert [(one.what, one.here, one.good) for one in found.evidence] == [("teacher: bgr_to_rgb", "false", "true")]
    assert found.remedy == f"Leave out --set config.{key}=..."
    near = {"model.data_preprocessor.teacher.mean": [120.0, 118.0, 104.0]}
    assert teacher.normalisation(recipe_with(good, config=near)) is None
    # A student that starts from random weights gets used to any input; one that does not is told of.
    other = {"model.data_preprocessor.student.std": [58.0, 57.0, 57.0]}
    assert teacher.normalisation(recipe_with(good, config=other)) is None
    assert teacher.normalisation(recipe_with(good, config=other, pretrained=True)).title.startswith("the student sees")


def test_rates(good):
    assert (rate.too_high(good).score, rate.too_low(good).score) == (0.0, 0.0)
    still = records(good.updates, backbone__update=1e-5, neck__update=5e-5, head__update=1e-4)
    assert rate.too_low(of(good, updates=still)).score == pytest.approx(0.5)  # at the usual rate: half
    low = dataclasses.replace(good.curves, lr=[lr / 100 for lr in good.curves.lr])
    found = rate.too_low(of(good, updates=still, curves=low))
    assert found.score == pytest.approx(1.0)
    assert found.evidence[0].here == "0.0002"
    assert found.evidence[0].good == "0.02"
    old = of(good, updates=[], curves=low)
    assert rate.too_low(old).score == pytest.approx(0.7)
    high = dataclasses.replace(good.curves, lr=[lr * 10 for lr in good.curves.lr])
    wild = records(good.updates, head__update=0.1)
    assert rate.too_high(of(good, updates=wild, curves=high)).score == pytest.approx(1.0)


def test_a_training_that_has_diverged(good):
    status = {"error": {"message": "training diverged: the loss is nan in step 12."}}
    found = rate.too_high(of(good, status=status))
    assert (found.score, found.evidence[0].here) == (0.8, "training diverged: the loss is nan in step 12.")


def test_frozen_parts_and_adapters_that_run_away(good):
    assert student.frozen(good) is None
    fixed = student.frozen(of(good, updates=records(good.updates, neck__trained=0.0)))
    assert (fixed.title, fixed.score) == ("the student's neck is frozen", 1.0)
    still = student.frozen(of(good, updates=records(good.updates, head__update=0.0)))
    assert [one.what for one in still.evidence][-1:] != []
    assert still.title == "the student's head is frozen"
    usual = records(good.updates, backbone__trained=0.98)
    assert student.frozen(of(good, updates=usual)) is None
    assert student.adapters(good) is None
    grown = [{**one, "adapters.norm": 1.0 + n * 10 / len(good.updates)} for n, one in enumerate(good.updates)]
    found = student.adapters(of(good, updates=grown))
    assert found.score > 0.9
    assert "--loss pkd" in found.command
    assert "--weight" not in found.command
    thrown = records(good.updates, adapters__norm=1.0, adapters__update=0.1)
    assert student.adapters(of(good, updates=thrown)).score == pytest.approx(1.0)
    both = records(thrown, backbone__update=0.09)  # then the rate is at fault
    assert student.adapters(of(good, updates=both)).score == 0.0


def test_a_length_and_a_curve(good):
    assert length.too_short(good).score < 0.1
    rising = [{**one, **{f"level{level}.r": n / len(good.levels) for level in range(4)}}
              for n, one in enumerate(good.levels)]  # fmt: skip
    assert length.too_short(of(good, levels=rising)).score == pytest.approx(0.75 * 0.35)
    one = recipe_with(good, schedule=good.recipe.schedule.model_copy(update={"epochs": 1}))
    found = length.too_short(one)
    assert found.score >= 0.75 * 0.65
    assert "--epochs 6" in found.command
    column = {**good.curves.val, "mAP": [10.0, 20.0]}
    step = good.full_rate[-1]
    gaining = dataclasses.replace(good.curves, val=column, val_step=[step - 10, step - 1])
    assert length.too_short(of(good, curves=gaining)).score == pytest.approx(0.75)
    assert length.too_short(of(good, curves=gaining, result={})).score == 0.0  # it is not at its end


def test_faults_of_the_data_and_its_warnings(good):
    assert data.faults(good) is None
    found = data.faults(of(good, result={**good.result, "data_warnings": ["2 boxes lie outside."]}))
    assert (found.score, found.evidence[0].here) == (0.4, "2 boxes lie outside.")
    assert found.command == f"pkd data check {good.data_file}"


def test_names_of_objects_that_are_found(recorded):
    from pkdcli.data.scoring.ground_truth import load_annotations

    truth = load_annotations(recorded / "val.json")
    notes = truth.annotations
    count = np.bincount(notes.image, minlength=len(notes.image_id))
    order = np.argsort(notes.image, kind="stable")
    sides = notes.bbox[order]
    boxes = np.concatenate([sides[:, :2], sides[:, :2] + sides[:, 2:]], 1).astype(np.float32)
    labels = notes.category[order].astype(np.int64)

    def found(labels):
        kept = Detections(notes.image_id, count, boxes, np.ones(len(boxes), np.float32), labels,
                          tuple(notes.classes), "small", "val")  # fmt: skip
        return data.named_rightly(kept, truth)

    every, right, guess = found(labels)
    assert (every, right > 0.97) == (1.0, True)
    assert 1 / 6 <= guess < 0.35
    assert found((labels + 1) % len(notes.classes))[1] < 0.03


def test_labels_that_a_teacher_has_learned_from_are_not_blamed(facts):
    """The same detections: the teacher was trained with others, the same, or the same and learned nothing."""
    run = facts("shuffled-labels")
    assert data.labels(run).score > 0.75
    home = run.paths.root.parents[2] / "home"
    own = read_recipe(home / "recipe.yaml").data.fingerprint
    assert own is not None
    same = recipe_with(run, data=run.recipe.data.model_copy(update={"fingerprint": own}))
    assert data.labels(same).score == 0.0
    assert data.labels(same).evidence[3].what == "the teacher, which learned from the same labels"
    assert data.labels(of(same, result={**run.result, "teacher_metrics": {"AP50": 10.0}})).score > 0.75


@pytest.mark.parametrize(("right", "score"), [(0.85, 0.0), (0.4, 1.0)])
def test_a_common_class_is_what_a_weak_student_calls_everything(facts, monkeypatch, right, score):
    monkeypatch.setattr(data, "_named", lambda facts: (0.95, right, 0.85, ""))
    assert data.labels(facts("shuffled-labels")).score == score


def test_a_teacher_that_is_wrong_on_training_images_only(good):
    look = {"teacher": {"AP50_train": 10.0, "AP50_val": 60.0}, "levels": {}}
    found = data.labels(of(good, look=look))
    assert found.score == 1.0
    assert found.evidence[-1].here == "10.0, 60.0"


def test_what_can_not_be_told_is_said(facts):
    run = facts("healthy")
    notes = diagnosed(of(run, updates=[], result={}, record={}, status={"state": "running"})).notes
    assert notes[0] == "it is not finished (running): this is said of what it has recorded so far."
    assert notes[1].startswith("it was made by a release that did not record")
    smoke = diagnosed(recipe_with(run, max_iters=5)).notes
    assert smoke[0] == "a smoke run (5 steps): what is said of its length means nothing."


def test_a_command_is_words_that_a_shell_takes(facts):
    assert shlex.split(facts("healthy").command(weight="3"))[:2] == ["pkd", "train"]


def test_a_run_without_a_sign_of_anything_says_so():
    (table,) = diagnosis_tables(Diagnosis("some-run", (), mAP=36.2, gain=6.7))
    assert table.title == "some-run, mAP 36.2, +6.7 over its baseline: nothing is wrong with it"
    assert table.sections == [[["-", "-", "there is no sign of any"]]]
