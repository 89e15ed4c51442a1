"""Steps, learning rates and milestones for any number of images, batch and processes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkdcli.config import schedule
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Recipe

BATCHES = st.integers(1, 64)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return resolve(Request(scale="tiny", loss="none"))


def changed(recipe: Recipe, images: int, batch: int, **more) -> Recipe:
    return recipe.model_copy(
        update={"data": recipe.data.model_copy(update={"train_images": images}), "batch": batch, **more}
    )


@settings(deadline=None)
@given(st.integers(1, 5000), BATCHES)
def test_an_epoch_shows_every_image_with_less_than_a_batch_more(recipe, images, batch):
    steps = schedule.iters_per_epoch(changed(recipe, images, batch))
    assert images <= steps * batch < images + batch


@settings(deadline=None)
@given(st.integers(1, 5000), BATCHES, st.one_of(st.none(), st.integers(1, 10**6)))
def test_a_run_ends_with_its_epochs_or_before(recipe, images, batch, most):
    one = changed(recipe, images, batch, max_iters=most)
    whole = recipe.schedule.epochs * schedule.iters_per_epoch(one)
    assert schedule.total_iters(one) == (whole if most is None else min(most, whole))


@settings(deadline=None)
@given(st.integers(1, 5000), BATCHES)
def test_warm_up_is_short_and_as_many_images_whatever_the_batch(recipe, images, batch):
    one = changed(recipe, images, batch)
    steps = schedule.warmup_iters(one)
    share = recipe.scale.warmup_share * recipe.schedule.epochs * schedule.iters_per_epoch(one)
    assert 1 <= steps <= max(1, share)
    if 1 < steps < int(share):
        assert abs(steps * batch - recipe.schedule.warmup * 16) <= batch / 2


@settings(deadline=None)
@given(BATCHES, st.integers(1, 8))
def test_the_learning_rate_goes_with_the_images_of_an_optimizer_step(recipe, batch, accumulate):
    one = changed(recipe, 800, batch, accumulate=accumulate)
    base = recipe.student.lr * recipe.scale.lr_factor
    assert schedule.learning_rate(one) == pytest.approx(base * batch * accumulate / 16)


@settings(deadline=None)
@given(st.integers(1, 5000), BATCHES, st.lists(st.floats(0.1, 12), max_size=4))
def test_milestones_are_steps_in_order_each_once(recipe, images, batch, milestones):
    one = changed(recipe, images, batch, schedule=recipe.schedule.model_copy(update={"milestones": milestones}))
    warmup, steps = schedule.param_scheduler(one)
    per_epoch = schedule.iters_per_epoch(one)
    assert steps["milestones"] == sorted(set(steps["milestones"]))
    assert {round(milestone * per_epoch) for milestone in milestones} == set(steps["milestones"])
    assert (warmup["begin"], warmup["end"]) == (0, schedule.warmup_iters(one))
    assert steps["end"] == recipe.schedule.epochs * per_epoch


@settings(deadline=None)
@given(st.integers(1, 64), st.integers(1, 8), st.integers(1, 4))
def test_a_teachers_step_has_as_many_images_on_any_number_of_processes(recipe, batch, devices, room):
    scale = recipe.scale.model_copy(update={"batch": room, "batch_per_process": True})
    one = recipe.model_copy(update={"role": "teacher", "scale": scale, "batch": batch})
    parts = schedule.in_parts(one, devices)
    assert parts.batch * parts.accumulate == batch * one.accumulate
    if parts is not one:
        assert parts.batch == room * devices
    student = one.model_copy(update={"role": "baseline"})
    assert schedule.in_parts(student, devices) is student


def test_a_scheduler_of_the_end_is_no_warm_up():
    """YOLOX's ConstantLR is its last epochs'; taken for a warm-up it would be none, and the first steps too large."""
    yolox = resolve(Request(student="yolox_tiny_8xb8-300e_coco", loss="none", training="paper", scale="tiny"))
    data = yolox.data.model_copy(update={"train_images": 800})
    warm_up = schedule.param_scheduler(yolox.model_copy(update={"data": data}))[0]
    assert warm_up == {"type": "LinearLR", "start_factor": 0.001, "by_epoch": False, "begin": 0, "end": 60}
