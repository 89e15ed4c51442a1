"""A recipe's schedule -> optimizer, learning rate by iteration, length of the run.

What appendix A.2 does not name stays as in the student's mmdet config: the shape of the warm-up, parameter-wise
factors, gradient clipping. A teacher is trained with all of its own config's. Under `training: own` all is the config's
(`pkdcli.config.own`).
"""

from __future__ import annotations

from typing import Any

from pkdcli.config.own import own_optim_wrapper, own_param_scheduler
from pkdcli.config.own.length import iters_per_epoch
from pkdcli.config.own.optimizer import kept_settings
from pkdcli.recipe.detectors.read import config_of
from pkdcli.recipe.detectors.training import BASE_BATCH, own_schedulers
from pkdcli.recipe.schema import Detector, Recipe


def in_parts(recipe: Recipe, devices: int) -> Recipe:
    """A teacher's own training as few processes can hold it; other runs as they are.

    At scale paper a step of the teacher has 16 images on any number of processes, each of which has room for 2: what it
    has more it takes in several steps, whose gradients are added.

    Args:
        recipe: Of any run.
        devices: Processes that share a batch.
    """
    share, rest = divmod(recipe.batch, devices)
    parts, odd = divmod(share, recipe.scale.batch)
    if recipe.role != "teacher" or recipe.weights or not recipe.scale.batch_per_process or rest or odd or parts < 2:
        return recipe
    return recipe.model_copy(update={"batch": recipe.batch // parts, "accumulate": recipe.accumulate * parts})


def total_iters(recipe: Recipe) -> int:
    """Steps of the whole run, `max_iters` considered."""
    whole = recipe.schedule.epochs * iters_per_epoch(recipe)
    return min(whole, recipe.max_iters) if recipe.max_iters else whole


def taught_iters(recipe: Recipe) -> int | None:
    """Steps of a distilled run with its teacher, after which the student learns alone; None where it never does."""
    if recipe.role != "distill" or recipe.distill_until is None:
        return None
    return max(1, round(recipe.distill_until * total_iters(recipe)))


def shorten_phases(recipe: Recipe, which: Detector, model: dict[str, Any]) -> None:
    """Have the first epochs of a head that learns otherwise at the beginning (TOOD's) be as large a share of the run.

    Args:
        recipe: The run's, which may be shorter than the config's own training.
        which: The detector that is trained; a number in its `set` stays.
        model: Its section; changed in place.
    """
    config = config_of(which)
    whole = (config.get("train_cfg") or {}).get("max_epochs")
    if not whole or whole <= recipe.schedule.epochs or any(key.endswith("initial_epoch") for key in which.set):
        return
    training = model.get("train_cfg")
    if isinstance(training, dict) and isinstance(training.get("initial_epoch"), int):
        training["initial_epoch"] = round(training["initial_epoch"] * recipe.schedule.epochs / whole)


def learning_rate(recipe: Recipe) -> float:
    """The learning rate after warm-up, scaled linearly to the images of one optimizer step."""
    if recipe.training == "own" and recipe.role == "teacher":
        base = recipe.student.lr
    elif recipe.role == "teacher":
        own = config_of(recipe.student)["optim_wrapper"]["optimizer"]
        base = recipe.scale.teacher.lr.get(own["type"], own["lr"])
    else:
        base = recipe.student.lr * recipe.scale.lr_factor
    return base * recipe.batch * recipe.accumulate / BASE_BATCH


def warmup_iters(recipe: Recipe) -> int:
    """Steps of warm-up: as many images as 500 steps of 16, and at most the scale's share of the run."""
    at_batch = round(recipe.schedule.warmup * BASE_BATCH / recipe.batch)
    share = int(recipe.scale.warmup_share * recipe.schedule.epochs * iters_per_epoch(recipe))
    return max(1, min(at_batch, share))


def optim_wrapper(recipe: Recipe) -> dict[str, Any]:
    """The mmengine optimizer wrapper of a run."""
    kind = "PkdAmpOptimWrapper" if recipe.amp else "PkdOptimWrapper"
    if recipe.training == "own":
        whole = own_optim_wrapper(recipe, learning_rate(recipe))
        return {"type": kind, "accumulative_counts": recipe.accumulate, **whole}
    own = config_of(recipe.student)["optim_wrapper"]
    wrapper = kept_settings(recipe)
    if recipe.role == "teacher":
        optimizer = {**own["optimizer"], "lr": learning_rate(recipe)}
    else:
        optimizer = {
            "type": "SGD",
            "lr": learning_rate(recipe),
            "momentum": recipe.schedule.momentum,
            "weight_decay": recipe.schedule.weight_decay,
        }
    return {"type": kind, "optimizer": optimizer, "accumulative_counts": recipe.accumulate, **wrapper}


def param_scheduler(recipe: Recipe) -> list[dict[str, Any]]:
    """Warm-up and steps of the learning rate, or the config's own course of it, by iteration."""
    if recipe.training == "own":
        return own_param_scheduler(recipe, learning_rate(recipe))
    per_epoch = iters_per_epoch(recipe)
    end = recipe.schedule.epochs * per_epoch
    warmup = _warmup_shape(recipe)
    steps = sorted({round(milestone * per_epoch) for milestone in recipe.schedule.milestones})
    return [
        {**warmup, "by_epoch": False, "begin": 0, "end": warmup_iters(recipe)},
        {
            "type": "MultiStepLR",
            "by_epoch": False,
            "begin": 0,
            "end": end,
            "milestones": steps,
            "gamma": recipe.schedule.gamma,
        },
    ]


def _warmup_shape(recipe: Recipe) -> dict[str, Any]:
    for scheduler in own_schedulers(config_of(recipe.student)):
        # At its beginning alone: YOLOX's ConstantLR is its last epochs', of a factor of 1.
        if scheduler["type"] in ("LinearLR", "ConstantLR") and not scheduler.get("begin"):
            return {key: scheduler[key] for key in ("type", "start_factor", "factor") if key in scheduler}
    return {"type": "LinearLR", "start_factor": 0.001}


def train_cfg(recipe: Recipe) -> dict[str, Any]:
    """The training loop: whole epochs, or the first steps of them for a smoke run."""
    return {
        "type": "PkdTrainLoop",
        "max_epochs": recipe.schedule.epochs,
        "val_interval": recipe.val_interval,
        "max_iters": recipe.max_iters,
    }
