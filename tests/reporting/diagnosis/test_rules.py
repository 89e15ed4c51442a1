"""Each rule on a recorded run with one thing changed: scores, numbers and commands to the letter."""

from __future__ import annotations

import dataclasses
import json
import shlex

import numpy as np
import pytest
import yaml
from altered import of, recipe_with, records

from pkdcli.data.scoring.predictions import Detections
from pkdcli.recipe.modules.copies import read_recipe
from pkdcli.reporting.diagnosis import data, length, levels, rank, rate, student, teacher
from pkdcli.reporting.diagnosis.cause import log_ramp, ramp, text
from pkdcli.reporting.diagnosis.facts import late, median, parts
from pkdcli.reporting.diagnosis.rank import Diagnosis, diagnosed
from pkdcli.reporting.diagnosis.tables import diagnosis_tables


def test_ramps():
    assert [ramp(value, 2, 4) for value in (1, 2, 3, 4, 9)] == [0, 0, 0.5, 1, 1]
    assert [ramp(value, 4, 2) for value in (9, 4, 3, 2)] == [0, 0, 0.5, 1]
    assert log_ramp(10, 1, 100) == pytest.approx(0.5)
    assert log_ramp(0.0, 0.03, 0.003) == 1
    assert [text(one) for one in (None, 1000.0, 0.00012345, 7)] == ["-", "1000", "0.000123", "7"]
    assert (late([None, 5, 1, 1, 9, 2, None]), median([]), parts([1, 2, 3, 4], 2)) == (2, None, [1.5, 3.5])


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
    assert levels.uncorrelated(of(unlike, result={})) is None  # before its end it may come yet
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


@pytest.mark.parametrize(("mAP", "score"), [(31.0, 0.0), (30.0, 0.0), (28.5, 0.45), (27.0, 0.9)])
def test_a_student_that_comes_near_its_teacher_does_not_speak_against_it(good, mAP, score):
    """30 mAP of this run, and nothing known of the student alone."""
    alone = {**good.record, "baseline_mAP": None, "mAP": 30.0}
    run = of(good, result={**good.result, "teacher_metrics": {"mAP": mAP}}, record=alone)
    assert teacher.weak(run).score == pytest.approx(score)


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


def test_the_normalisation_of_the_teachers_own_training_is_the_right_one(good, tmp_path):
    """A teacher that was trained with other means is right with these, and wrong with its config's."""
    home = read_recipe(good.paths.root.parents[2] / "home" / "recipe.yaml")
    other = home.model_copy(update={"config": {"model.data_preprocessor.mean": [0.0, 0.0, 0.0]}})
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(other.model_dump(mode="json")))
    run = recipe_with(good, teacher_checkpoint=str(tmp_path / "teacher.pth"))
    found = teacher.normalisation(run)
    assert [(one.what, one.here, one.good) for one in found.evidence] == [
        ("teacher: mean", "123.675, 116.28, 103.53", "0, 0, 0")
    ]
    same = {"model.data_preprocessor.teacher.mean": [0.0, 0.0, 0.0]}
    assert teacher.normalisation(recipe_with(run, config=same)) is None


@pytest.mark.parametrize(
    ("mAP", "max_iters", "score"), [(40.0, None, 1.0), (20.0, None, 0.5), (4.0, None, None), (40.0, 30, None)]
)
def test_a_teacher_has_a_domain_where_it_has_learned_its_task_at_home(facts, tmp_path, mAP, max_iters, score):
    """12 mAP here: of 40 or 20 at home; a teacher of 4 mAP, or of a smoke run's few images, has no home."""
    run = facts("images-of-64")
    home = read_recipe(run.paths.root.parents[2] / "home" / "recipe.yaml")
    (tmp_path / "recipe.yaml").write_text(
        yaml.safe_dump(home.model_copy(update={"max_iters": max_iters}).model_dump(mode="json"))
    )
    (tmp_path / "result.json").write_text(json.dumps({"metrics": {"mAP": mAP}}))
    moved = recipe_with(run, teacher_checkpoint=str(tmp_path / "teacher.pth"))
    found = teacher.domain(of(moved, result={**run.result, "teacher_metrics": {"mAP": 12.0}}))
    assert (found and found.score) == (score and pytest.approx(score))


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
    # A loss that has risen far above its beginning was thrown there by large steps, not by small ones.
    risen = [1.0 if n < len(good.curves.step) / 10 else 2.5 for n in range(len(good.curves.step))]
    up = dataclasses.replace(good.curves, detection=risen)
    at = {far: records(good.updates, backbone__update=far, neck__update=far, head__update=far) for far in (0.01, 0.03)}
    assert [rate.too_high(of(good, updates=one, curves=up)).score for one in at.values()] == [0.0, 0.5]
    assert rate.too_high(of(good, updates=[], curves=up)).score == 0.0
    both = dataclasses.replace(high, detection=risen)
    assert rate.too_high(of(good, updates=[], curves=both)).score == pytest.approx(1.0)
    assert rate.too_high(of(good, updates=[], curves=high)).score == pytest.approx(0.7)


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


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_told_with_its_step(good, value):
    lost = [{**one, "loss": value} if n > 5 else one for n, one in enumerate(good.losses)]
    found = rate.too_high(of(good, losses=lost))
    assert found.score == 0.8
    told = ("how it ended", f"the loss is not finite at step {good.losses[6]['iter']}", "with finite losses")
    assert (found.evidence[0].what, found.evidence[0].here, found.evidence[0].good) == told
    assert rate.too_high(good).score < 0.5


def test_of_a_few_records_it_is_not_said_that_a_correlation_never_rises(good):
    unlike = records(good.levels, **{f"level{n}__r": 0.05 for n in range(4)})
    assert levels.uncorrelated(of(good, levels=unlike[: levels.FEW])).score == pytest.approx(0.6)
    assert levels.uncorrelated(of(good, levels=unlike[: levels.FEW - 1])) is None
    cut = dataclasses.replace(good.curves, step=good.curves.step[:1])
    few = "it has recorded its losses 1 time: most causes can't be told from that."
    assert few in rank._notes(of(good, curves=cut))
    assert not any("most causes" in note for note in rank._notes(good))


def test_warnings_that_are_no_list_are_none(good):
    assert data.faults(of(good, result={**good.result, "data_warnings": "2 boxes"})) is None
    assert rate.too_high(of(good, status={"warnings": "diverged", "error": "diverged"})).score < 0.5


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
    half = [2.0 if n < len(good.curves.step) / 2 else 1.0 for n in range(len(good.curves.step))]
    steep = dataclasses.replace(good.curves, detection=half)
    assert length.too_short(of(good, curves=steep)).score == pytest.approx(0.75)
    flat = dataclasses.replace(gaining, detection=half, val={**good.curves.val, "mAP": [37.6, 37.8]})
    assert length.too_short(of(good, curves=flat)).score == 0.0  # the mAP does not rise with it
    last = good.curves.step[-1]  # in the middle mAP rises in every training
    usual = {**good.curves.val, "mAP": [10.0, 20.0, 21.0]}
    middle = dataclasses.replace(good.curves, val=usual, val_step=[step - 10, step - 1, last])
    assert length.too_short(of(good, curves=middle)).score < 0.1
    # At one rate to the end, where the last evaluation comes after the last record.
    count = good.curves.step.index(next(one for one in good.curves.step if one >= good.full_rate[-1] // 2))
    cut = {name: getattr(flat, name)[:count] for name in ("step", "lr", "loss", "distillation")}
    falls = [2.0 if n < 3 * count / 4 else 1.0 for n in range(count)]
    val_step = [flat.step[count - 3], flat.step[count - 1] + 1]
    early = dataclasses.replace(flat, detection=falls, val_step=val_step, **cut)
    only = dataclasses.replace(early, val_step=val_step[:1], val={**early.val, "mAP": [37.6]})
    assert length.too_short(of(good, curves=only)).score > 0.7  # the loss alone
    assert length.too_short(of(good, curves=early)).score == 0.0


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
