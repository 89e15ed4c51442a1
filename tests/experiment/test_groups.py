"""Which runs train together."""

from __future__ import annotations

import dataclasses

import pytest

from pkdcli.data.prepare import facts
from pkdcli.experiment import plan as experiment
from pkdcli.experiment.groups import groups
from pkdcli.recipe.configs import as_text
from pkdcli.recipe.detectors.read import config_of
from pkdcli.recipe.resolve import Request
from pkdcli.recipe.sweep import Grid, expand


@pytest.fixture
def plan(tmp_path):
    """A factory of plans on the embedded data at scale tiny, without the teachers."""

    def plan(request=None, **grid):
        recipes = expand(Request(**{"scale": "tiny", **(request or {})}), Grid(**grid))
        recipes = [recipe.model_copy(update={"data": facts(recipe.data, tmp_path)}) for recipe in recipes]
        planned = experiment.plan(recipes, tmp_path / "runs", tmp_path / "cache")
        return [one for one in planned if one.recipe.role != "teacher"]

    return plan


def names(found):
    def name(one):
        loss = one.recipe.loss
        seed = f" s{one.recipe.seed}" if one.recipe.seed else ""
        return (f"{loss.name} {loss.weight:g}" if one.recipe.role == "distill" else "baseline") + seed

    return [[name(one) for one in group] for group in found]


def test_students_of_one_teacher_share_and_the_baseline_rides_along(plan):
    planned = plan(losses=["pkd", "mse"], weights=[10, 30])
    assert names(groups(planned, share=True)) == [["baseline", "pkd 10", "pkd 30", "mse 10", "mse 30"]]


def test_nobody_shares_where_it_was_refused(plan):
    planned = plan(losses=["mse"], weights=[10, 30])
    assert names(groups(planned, share=False)) == [["baseline"], ["mse 10"], ["mse 30"]]


def test_one_student_and_a_baseline_share_where_it_was_asked_for_only(plan):
    planned = plan(losses=["pkd"])
    assert names(groups(planned)) == [["baseline"], ["pkd 10"]]
    assert names(groups(planned, share=True)) == [["baseline", "pkd 10"]]


def test_two_students_share_by_themselves(plan):
    planned = plan(losses=["mse"], weights=[10, 30], baseline=False)
    assert names(groups(planned)) == [["mse 10", "mse 30"]]


def test_temperatures_levels_and_inits_may_differ(plan):
    planned = plan(losses=["norm-kl"], temperatures=[1, 50], weights=[10], baseline=False)
    planned += plan({"levels": "stride"}, losses=["pkd"], baseline=False)
    planned += plan({"pair": "gfl101-gfl50", "init": "inherit"}, pairs=["gfl101-gfl50"], losses=["pkd"])
    planned = [one for one in planned if one.recipe.schedule.name == planned[0].recipe.schedule.name]
    (group,) = groups(planned)
    assert len(group) == len(planned) >= 3


@pytest.mark.parametrize(
    "axis", [{"seeds": [0, 1]}, {"schedules": ["1x", "2x"]}, {"pairs": ["gfl101-fcos50", "fcosx101-retina50"]}]
)
def test_seeds_schedules_and_teachers_keep_students_apart(plan, axis):
    planned = plan(losses=["mse"], weights=[10, 30], **axis)
    found = groups(planned)
    assert sorted(map(len, found)) == [3, 3]
    for group in found:
        assert len({(one.recipe.seed, one.recipe.schedule.name) for one in group}) == 1
        assert len({one.teacher.run for one in group if one.teacher}) == 1


@pytest.mark.parametrize(
    "changes",
    [{"batch_size": 4}, {"epochs": 3}, {"max_iters": 5}, {"accumulate": 2}, {"sets": ("teacher_seed=1",)}],
)
def test_whatever_else_differs_keeps_them_apart(plan, changes):
    planned = plan(losses=["mse"], weights=[10], baseline=False)
    planned += plan(changes, losses=["mse"], weights=[30], baseline=False)
    assert names(groups(planned, share=True)) == [["mse 10"], ["mse 30"]]


@pytest.mark.parametrize(("jobs", "sizes"), [(1, [5]), (2, [2, 3]), (3, [1, 2, 2]), (8, [1, 1, 1, 1, 1])])
def test_no_slot_stays_empty_for_the_sake_of_a_group(plan, jobs, sizes):
    planned = plan(losses=["mse"], weights=[10, 20, 30, 40])
    assert sorted(len(group) for group in groups(planned, jobs)) == sizes


def test_several_groups_fill_the_slots_before_any_is_cut(plan):
    planned = plan(losses=["mse"], weights=[10, 20, 30], seeds=[0, 1])
    assert [len(group) for group in groups(planned, 2)] == [4, 4]
    assert [len(group) for group in groups(planned, 3)] == [2, 2, 2, 2]


def test_every_run_is_in_one_group(plan):
    planned = plan(losses=["pkd", "mse"], weights=[10, 30], seeds=[0, 1, 2])
    for jobs in (1, 2, 5):
        runs = [one.run for group in groups(planned, jobs) for one in group]
        assert sorted(runs) == sorted(one.run for one in planned)


def test_students_that_are_trained_on_other_pictures_are_kept_apart(plan):
    alike = plan({"pair": "gfl101-rtmdet-tiny", "training": "own"}, losses=["mse"], weights=[10, 30], baseline=False)
    (group,) = groups(alike)
    assert len(group) == 2
    others = []
    for one, step in zip(alike, ("RandomFlip", "YOLOXHSVRandomAug"), strict=True):
        content = config_of(one.recipe.student)
        steps = content["train_dataloader"]["dataset"]["pipeline"]
        steps[:] = [other for other in steps if other["type"] != step]
        text = as_text(content, "config")
        student = one.recipe.student.model_copy(update={"config_content": text})
        recipe = one.recipe.model_copy(update={"student": student})
        others.append(dataclasses.replace(one, recipe=recipe))
    assert [len(group) for group in groups(others)] == [1, 1]
    assert [len(group) for group in groups([others[0], others[0]])] == [2]
