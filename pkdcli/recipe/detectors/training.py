"""Trainings by a config's own settings: where that is the default, and how long, large and fast they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pkdcli.recipe.schema import Scale, Schedule

BASE_BATCH = 16
"""Images of a step for which learning rates stand in recipes (appendix A.2: 8 GPUs with 2 images each)."""
GPUS = 8
"""For which mmdet's configs are meant, unless they say otherwise."""

_PLAIN_SCHEDULERS = {"LinearLR", "ConstantLR", "MultiStepLR"}
_PLAIN_TRANSFORMS = {"Resize", "RandomResize", "RandomChoiceResize", "RandomChoice", "RandomFlip", "RandomCrop", "Pad",
                     "PackDetInputs"}  # fmt: skip


def own_by_default(config: dict[str, Any], *, teacher: bool = False) -> bool:
    """Whether a detector is meant to be trained by other settings than those of mmdet's 1x family.

    Args:
        config: The whole config.
        teacher: The detector is trained as a teacher, which always keeps its config's optimizer.
    """
    optimizer = (config["optim_wrapper"].get("optimizer") or {}).get("type")
    if optimizer != "SGD" and not teacher:
        return True
    schedulers = config["param_scheduler"] or []
    if not {one["type"] for one in schedulers if isinstance(one, dict)} <= _PLAIN_SCHEDULERS:
        return True
    if config.get("custom_hooks"):
        return True
    return any(name not in _PLAIN_TRANSFORMS and not name.startswith("Load") for name in _transforms(config))


def own_batch(config: dict[str, Any]) -> int:
    """Images of one process in a step, as the config has them."""
    return int((config.get("train_dataloader") or {}).get("batch_size") or 2)


def own_rate(config: dict[str, Any], scale: Scale) -> float:
    """The learning rate of a config's own optimizer, at 16 images a step.

    Args:
        config: The whole config; it says for how many images its own is meant (`auto_scale_lr`).
        scale: May name another for optimizers of this type.
    """
    optimizer = config["optim_wrapper"]["optimizer"]
    if (given := scale.own.lr.get(optimizer["type"])) is not None:
        return given
    base = (config.get("auto_scale_lr") or {}).get("base_batch_size") or 0
    if base < own_batch(config):  # RTMDet's 32 of one process are more than the 16 that it inherits from the 1x family
        base = own_batch(config) * GPUS
    return optimizer["lr"] * BASE_BATCH / base


def own_length(config: dict[str, Any]) -> int:
    """Epochs of a config's training; of one that counts steps (90,000 of 16 images on COCO) as many as those make."""
    cfg = config["train_cfg"]
    if cfg.get("max_epochs"):
        return int(cfg["max_epochs"])
    return max(1, round(cfg.get("max_iters", 90_000) * own_batch(config) * GPUS / 117_266))


def own_schedule(config: dict[str, Any], scale: Scale, epochs: int | None = None) -> Schedule:
    """The schedule of a training by a config's own settings; the shape of the learning rate stays in the config.

    Args:
        config: The whole config.
        scale: Says how trainings are shortened.
        epochs: As asked for; None to go by the scale.
    """
    given = scale.own.epochs
    if isinstance(given, dict):
        given = given.get(config["model"]["backbone"]["type"])
    length = epochs or given or max(1, round(own_length(config) * scale.epoch_factor))
    return Schedule(name="own", epochs=length, milestones=[])


def _transforms(config: dict[str, Any]) -> Iterator[str]:
    """The types of a config's training transforms, without the registries they are of."""
    dataset = (config.get("train_dataloader") or {}).get("dataset")
    while isinstance(dataset, dict):
        for step in dataset.get("pipeline") or []:
            yield str(step["type"]).rpartition(".")[2]
        inner = dataset.get("dataset") or dataset.get("datasets")
        dataset = inner[0] if isinstance(inner, (list, tuple)) and inner else inner
