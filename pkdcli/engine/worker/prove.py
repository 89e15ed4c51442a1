"""Build what a run is made of, and throw it away: whatever is wrong is found before hours are spent on its teacher.

Started by `pkdcli.experiment.prove` for runs with something of the user's own in them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from itertools import chain
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

import pkdcli.engine.register  # noqa: F401
from pkdcli.engine.setup.config import run_config
from pkdcli.engine.worker.lifecycle import as_user_error
from pkdcli.engine.worker.request import answer
from pkdcli.errors import ExitCode, PkdError
from pkdcli.recipe.library import parse
from pkdcli.recipe.schema import Recipe

from mmdet.registry import HOOKS, MODELS, PARAM_SCHEDULERS, TRANSFORMS  # isort: skip
from mmengine.optim import build_optim_wrapper  # isort: skip


_HINT = (
    "Found before anything was trained, by building what the run is made of: look at what was given with --set, at the "
    "modules it imports and at configs and losses of your own."
)


def prove(request: Mapping[str, Any]) -> dict[str, Any]:
    """Build the parts of each recipe.

    Args:
        request: `recipes`, complete; `devices`, the worker processes of a run; `here`, whether it runs on this machine.

    Raises:
        PkdError: What can't be built.
    """
    said: list[str] = []
    for content in request["recipes"]:
        recipe = parse(Recipe, content, "the recipe")
        if request["here"]:
            needs_gpu(recipe)
        try:
            said += build(recipe, request["devices"])
        except PkdError:
            raise
        except Exception as error:
            found = as_user_error(error)
            raise PkdError(f"{recipe.pair or recipe.student.name}: {found.message}", _HINT, ExitCode.USAGE) from error
    return {"said": list(dict.fromkeys(said))}


def needs_gpu(recipe: Recipe) -> None:
    """Refuse what only a GPU can do where torch sees none.

    Raises:
        PkdError: Mixed precision, or a teacher in float16, without one.
    """
    if torch.cuda.is_available():
        return
    if recipe.amp:
        raise PkdError(
            "--amp needs a GPU, and torch sees none.", "Leave out --amp, or see `pkd doctor`.", ExitCode.MISSING
        )
    if recipe.role == "distill" and recipe.teacher_speed.precision == "float16":
        raise PkdError(
            "teacher_speed.precision: float16 needs a GPU, and torch sees none.",
            "Set it to float32 or bfloat16.",
            ExitCode.MISSING,
        )


def build(recipe: Recipe, devices: int) -> list[str]:
    """Build the trained detector, the losses, optimizer, schedulers, hooks and transforms of a run; what is to be said.

    Args:
        recipe: The run's.
        devices: How many processes it will have.

    Raises:
        PkdError: An error that is told as such; others come as they are.
    """
    config, said = run_config(recipe, "proof", None, devices)
    init_default_scope("mmdet")
    config = Config(config)
    distiller = config.model.get("distiller")
    for section in (distiller.distill_losses if distiller else {}).values():
        MODELS.build({**section, "type": f"mmdet.{section['type']}"})
    if recipe.weights:
        return said
    model = nn.Module()
    model.detector = MODELS.build(config.model.get("architecture") or config.model)
    wrapper = dict(config.optim_wrapper)
    wrapper["type"] = "OptimWrapper" if recipe.amp else wrapper["type"]  # whether there is a GPU is another question
    optimizer = build_optim_wrapper(model, wrapper)
    for section in config.param_scheduler or []:
        if not section.get("convert_to_iter_based"):
            PARAM_SCHEDULERS.build({**section, "optimizer": optimizer})
    for hook in [*config.custom_hooks, *config.default_hooks.values()]:
        if hook is not None and not str(hook["type"]).startswith("Pkd"):
            HOOKS.build({key: value for key, value in hook.items() if key != "priority"})
    for loader in (config.train_dataloader, config.val_dataloader):
        later = [one["pipeline"] for one in loader.dataset.get("later", [])]
        for transform in chain(loader.dataset.get("pipeline", []), *later):
            TRANSFORMS.build(transform)
    return said


if __name__ == "__main__":
    sys.exit(answer(sys.argv[1:], prove))
