"""What `--training own` means for a recipe, in words."""

from __future__ import annotations

from typing import Any

from pkdcli.config.own.hooks import own_hooks
from pkdcli.config.own.schedulers import own_param_scheduler
from pkdcli.recipe.detectors.read import bare, config_of
from pkdcli.recipe.detectors.training import own_length, own_schedulers, unusual_transforms
from pkdcli.recipe.schema import Recipe


def own_summary(recipe: Recipe) -> str | None:
    """A sentence on a training by a config's own settings; None for another.

    Args:
        recipe: Of a run that trains, whatever is known of its data.

    Raises:
        PkdError: The config can't be trained so.
    """
    if recipe.training != "own" or recipe.weights:
        return None
    config = config_of(recipe.student)
    epochs, whole = recipe.schedule.epochs, own_length(config)
    own_hooks(recipe), own_param_scheduler(recipe, 1.0)  # which refuse what can't be carried out
    length = f"{epochs} epochs" + ("" if whole == epochs else f" for its {whole}")
    return f"{recipe.student.name} is trained by its own config: {'; '.join(own_words(config))}; {length}."


def own_words(config: dict[str, Any]) -> list[str]:
    """What of a config's training differs from that of mmdet's 1x family, a phrase each; its optimizer in any case.

    Args:
        config: The whole config.
    """
    schedulers = dict.fromkeys(bare(one) for one in own_schedulers(config))
    optimizer = config["optim_wrapper"]["optimizer"]["type"]
    parts = [f"{optimizer} with {' and '.join(schedulers) or 'a constant learning rate'}"]
    hooks = dict.fromkeys(bare(one) for one in config.get("custom_hooks") or [] if isinstance(one, dict))
    if "EMAHook" in hooks:
        parts.append("averaged weights (EMA)")
    parts += [", ".join(names) for names in (unusual_transforms(config), [one for one in hooks if one != "EMAHook"])
              if names]  # fmt: skip
    return parts


def own_notes(recipe: Recipe) -> list[str]:
    """What a config asks for and does not get in a training by its own settings, a sentence each."""
    if recipe.training != "own" or recipe.weights:
        return []
    wrapper = config_of(recipe.student).get("optim_wrapper") or {}
    whose, said = f"the config of {recipe.student.name}", []
    if str(wrapper.get("type", "")).endswith("AmpOptimWrapper") and not recipe.amp:
        said.append(f"{whose} asks for mixed precision: it is trained in float32 unless --amp is given.")
    added = wrapper.get("accumulative_counts") or 1
    if added > 1 and recipe.accumulate == 1:
        said.append(f"{whose} adds up the gradients of {added} steps: every step moves the weights unless "
                    f"--accumulate {added} is given.")  # fmt: skip
    if dropped := own_hooks(recipe).dropped:
        said.append(f"{whose} has hooks that do nothing here: {', '.join(dropped)}.")
    return said
