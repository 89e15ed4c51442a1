"""What `--training own` means for a recipe, in words."""

from __future__ import annotations

from pkdcli.config.own.hooks import own_hooks
from pkdcli.config.own.length import bare
from pkdcli.recipe.detectors.read import config_of
from pkdcli.recipe.detectors.training import own_length, own_optimizer, own_schedulers
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
    schedulers = dict.fromkeys(bare(one) for one in own_schedulers(config))
    parts = [own_optimizer(config)["type"], " and ".join(schedulers) or "a constant learning rate"]
    parts += ["averaged weights (EMA)" for one in own_hooks(recipe).sections if one["type"] == "PkdEMAHook"]
    length = f"{epochs} epochs" + ("" if whole == epochs else f" for its {whole}")
    return f"{recipe.student.name} is trained by its own config: {', '.join(parts)}; {length}."


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
