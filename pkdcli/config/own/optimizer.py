"""A config's own optimizer, its learning rate by the images of a step."""

from __future__ import annotations

from typing import Any

from pkdcli.recipe.detectors.read import config_of
from pkdcli.recipe.schema import Recipe


def kept_settings(recipe: Recipe) -> dict[str, Any]:
    """What of a config's optimizer wrapper every training keeps: factors by parameter, and a limit of gradients.

    Args:
        recipe: The run's; its scale limits gradients where the config does not.
    """
    wrapper = config_of(recipe.student)["optim_wrapper"]
    found = {key: wrapper[key] for key in ("paramwise_cfg", "clip_grad") if wrapper.get(key) is not None}
    if recipe.scale.clip_grad is not None:
        found.setdefault("clip_grad", {"max_norm": recipe.scale.clip_grad, "norm_type": 2})
    return found


def own_optim_wrapper(recipe: Recipe, rate: float) -> dict[str, Any]:
    """The optimizer of a config with its parameter groups and gradient clipping; the wrapper's type is the run's.

    Args:
        recipe: The run's; its `student` is the detector that is trained.
        rate: Its learning rate after warm-up.
    """
    wrapper = config_of(recipe.student)["optim_wrapper"]
    found: dict[str, Any] = {"optimizer": {**wrapper["optimizer"], "lr": rate}, **kept_settings(recipe)}
    if wrapper.get("constructor") is not None:
        # Such a constructor goes by the names of a detector's parameters, which stand one deeper beside a teacher.
        found["constructor"] = "PkdOptimWrapperConstructor"
        found["paramwise_cfg"] = {**found.get("paramwise_cfg", {}), "constructor": wrapper["constructor"]}
    return found
