"""Trainings by a config's own settings: where that is the default, and how long, large and fast they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pkdcli.recipe.detectors.read import bare, unwrapped
from pkdcli.recipe.schema import Scale, Schedule

BASE_BATCH = 16
"""Images of a step for which learning rates stand in recipes (appendix A.2: 8 GPUs with 2 images each)."""
GPUS = 8
"""For which mmdet's configs are meant, unless they say otherwise."""
COCO_IMAGES = 117_266
"""Images of COCO's train2017 with objects: what the steps of mmdet's configs go over."""
FAMILY_EPOCHS = 36
"""mmdet's 1x family, of SGD and steps, goes up to 3x."""

_BASES_BATCH = 16  # of mmdet's own schedules, which configs of other batches inherit without having been changed
_NAMED_BATCH = re.compile(r"(?:^|[-_/])(\d+)xb(\d+)(?=[-_.]|$)")  # `8xb32`: 8 GPUs with 32 images each
_PLAIN_SCHEDULERS = {"LinearLR", "ConstantLR", "MultiStepLR"}
_PLAIN_TRANSFORMS = {"Resize", "RandomResize", "RandomChoiceResize", "RandomChoice", "RandomFlip", "RandomCrop", "Pad",
                     "PackDetInputs"}  # fmt: skip


def own_by_default(config: dict[str, Any], *, teacher: bool = False) -> bool:
    """Whether a detector is meant to be trained by other settings than those of mmdet's 1x family.

    Args:
        config: The whole config.
        teacher: The detector is trained as a teacher, which always keeps its config's optimizer and number of epochs.
    """
    wrapper = config.get("optim_wrapper") or {}
    if (wrapper.get("optimizer") or {}).get("type") != "SGD" and not teacher:
        return True
    if teacher and not (config.get("train_cfg") or {}).get("max_epochs"):
        return True
    if own_length(config) > FAMILY_EPOCHS:
        return True
    if not {bare(one) for one in own_schedulers(config)} <= _PLAIN_SCHEDULERS:
        return True
    if config.get("custom_hooks"):
        return True
    return bool(unusual_transforms(config))


def unusual_transforms(config: dict[str, Any]) -> list[str]:
    """The types of a config's training transforms that mmdet's 1x family has not, each once."""
    found = (name for name in _transforms(config) if name not in _PLAIN_TRANSFORMS and not name.startswith("Load"))
    return list(dict.fromkeys(found))


def own_schedulers(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The schedulers of a config, which may name a single one."""
    found = config.get("param_scheduler") or []
    return [one for one in ([found] if isinstance(found, dict) else found) if isinstance(one, dict)]


def own_batch(config: dict[str, Any]) -> int:
    """Images of one process in a step, as the config has them."""
    return int((config.get("train_dataloader") or {}).get("batch_size") or 2)


def base_images(config: dict[str, Any], name: str = "") -> int:
    """For how many images of a step a config's learning rate is meant, over all GPUs.

    Configs of large batches often inherit `auto_scale_lr` with the 16 images of mmdet's plain schedules; those say
    their batch by their names (`8xb32`).

    Args:
        config: The whole config.
        name: Of its file.
    """
    own, said = own_batch(config), (config.get("auto_scale_lr") or {}).get("base_batch_size")
    if said and said != _BASES_BATCH:
        return int(said)
    named = _NAMED_BATCH.search(name)
    if named is not None and int(named[2]) == own:
        return max(int(named[1]) * own, said or 0)
    if said and own < said:
        return int(said)
    return own * GPUS * int((config.get("optim_wrapper") or {}).get("accumulative_counts") or 1)


def own_rate(config: dict[str, Any], scale: Scale, name: str = "") -> float:
    """The learning rate of a config's own optimizer, at 16 images a step.

    Args:
        config: The whole config; it says for how many images its own is meant.
        scale: May name another for optimizers of this type.
        name: Of the config's file.
    """
    optimizer = config["optim_wrapper"]["optimizer"]
    if (given := scale.own.lr.get(optimizer["type"])) is not None:
        return given
    return optimizer["lr"] * BASE_BATCH / base_images(config, name)


def own_length(config: dict[str, Any]) -> int:
    """Passes over the data of a config's training: its epochs, each several where it repeats its data set.

    Of one that counts steps they are as many as those make on COCO: 12 for 90,000 of 16 images.
    """
    cfg = config.get("train_cfg") or {}
    if cfg.get("max_epochs"):
        return int(cfg["max_epochs"]) * _repeats(config)
    return max(1, round(cfg.get("max_iters", 90_000) * base_images(config) / COCO_IMAGES))


def steps_of_epoch(config: dict[str, Any], name: str = "") -> float:
    """Steps of one of a config's epochs on COCO.

    Args:
        config: The whole config.
        name: Of its file.
    """
    return COCO_IMAGES * _repeats(config) / base_images(config, name)


def own_schedule(config: dict[str, Any], scale: Scale, epochs: int | None = None) -> Schedule:
    """The schedule of a training by a config's own settings; the shape of the learning rate stays in the config.

    Args:
        config: The whole config.
        scale: Says how trainings are shortened.
        epochs: As asked for; None to go by the scale.
    """
    given = scale.own.epochs
    if isinstance(given, dict):
        given = given.get(bare(config["model"]["backbone"]))
    length = epochs or given or max(1, round(own_length(config) * scale.epoch_factor))
    return Schedule(name="own", epochs=length, milestones=[])


def _datasets(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A config's training data set and those that it wraps, outer ones first."""
    return unwrapped((config.get("train_dataloader") or {}).get("dataset"))


def _repeats(config: dict[str, Any]) -> int:
    """How many times an epoch of a config goes over its data."""
    times = 1
    for dataset in _datasets(config):
        if bare(dataset) == "RepeatDataset":
            times *= int(dataset.get("times") or 1)
    return times


def _transforms(config: dict[str, Any]) -> Iterator[str]:
    """The types of a config's training transforms, without the registries they are of."""
    for dataset in _datasets(config):
        for step in dataset.get("pipeline") or []:
            yield bare(step)
