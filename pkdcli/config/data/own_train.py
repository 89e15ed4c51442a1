"""How a detector's own config trains: its augmentations, and the epochs from which others take their place.

mmdet has hooks that change the pipeline of a running loader (`PipelineSwitchHook`, `YOLOXModeSwitchHook`). Here the
epoch is part of an image's key, so the data set is given all pipelines at once and none has to be told.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from pkdcli.errors import PkdError
from pkdcli.recipe.detectors.read import bare, config_of, unwrapped
from pkdcli.recipe.detectors.training import own_length
from pkdcli.recipe.schema import Detector

_YOLOX_LAST, _YOLOX_SKIPPED = 15, ("Mosaic", "RandomAffine", "MixUp")  # the hook's own defaults
_SWITCHES = ("PipelineSwitchHook", "YOLOXModeSwitchHook")

# What needs more than images with boxes and masks, by what that is.
_BEYOND = {
    "LoadProposals": "proposals from a file",
    "LoadTrackAnnotations": "tracks",
    "TransformBroadcaster": "clips of several images",
    "UniformRefFrameSample": "clips of several images",
    "MultiBranch": "images without annotations",
    "LoadMultiChannelImageFromFiles": "images of several files",
    "RandomSamplingNegPos": "texts",
    "LoadTextAnnotations": "texts",
    "PackReIDInputs": "identities",
}


class OwnTraining(NamedTuple):
    """The training pipelines of a config.

    Attributes:
        stages: The epoch from which each is used, from 0, and its transforms.
        partner_steps: Through how many of the first transforms an image goes that `Mosaic`, `MixUp` or `CopyPaste` mix
            into another; None where no wrapper says so.
        grouped: Images of a batch are all upright or all lying.
    """

    stages: list[tuple[int, list[dict[str, Any]]]]
    partner_steps: int | None
    grouped: bool


def own_training(
    detector: Detector, epochs: int, load: dict[str, Any], *, masks: bool, data_masks: bool
) -> OwnTraining:
    """The training pipelines of a detector's config, for images with boxes, and masks where they are learned from.

    Args:
        detector: Whose config it is.
        epochs: Of this training; those of the config's own are scaled to it.
        load: What loads an image, as `load_image` says.
        masks: The detector learns from segmentations.
        data_masks: The data has some, which may be pasted into other images.

    Raises:
        PkdError: The config has no training pipeline, or one that needs what data sets here do not have.
    """
    config = config_of(detector)
    loader = config.get("train_dataloader") or {}
    pipelines = list(_pipelines(loader.get("dataset")))[::-1]  # the innermost comes first
    if not any(pipelines):
        raise PkdError(
            f"detector {detector.name}: its config has no training pipeline (train_dataloader.dataset.pipeline).",
            "Give --training paper to train it as appendix A.2 does.",
        )
    first = [step for one in pipelines for step in one]
    stages = [(0, first)]
    for hook in config.get("custom_hooks") or []:
        begin = epoch_of_switch(detector, hook, epochs)
        if begin is not None:
            stages.append((begin, _after(hook, first)))
    wrapped = len(pipelines) > 1 and any(bare(one) == "MultiImageMixDataset" for one in unwrapped(loader["dataset"]))
    pasting = any(bare(step) == "CopyPaste" for step in first)
    serve = partial(_served, load=load, masks=masks or (pasting and data_masks), who=detector.name)
    served = [(begin, [serve(step) for step in steps]) for begin, steps in sorted(stages, key=lambda stage: stage[0])]
    grouped = bare(loader.get("batch_sampler") or {}) == "AspectRatioBatchSampler"
    return OwnTraining(served, len(pipelines[0]) if wrapped else None, grouped)


def epoch_of_switch(detector: Detector, hook: dict[str, Any], epochs: int) -> int | None:
    """The epoch, from 0, from which a hook of a config's own changes the pipeline; None where it never does.

    The share of the training that follows is that of the config's own, but at least an epoch, as what comes before is.

    Args:
        detector: Whose config it is.
        hook: One of its `custom_hooks`.
        epochs: Of this training.
    """
    kind = bare(hook)
    if kind not in _SWITCHES or epochs < 2:
        return None
    config = config_of(detector)
    whole = (config.get("train_cfg") or {}).get("max_epochs") or own_length(config)
    if kind == "PipelineSwitchHook":
        last = whole - hook["switch_epoch"]
    else:
        last = hook.get("num_last_epochs", _YOLOX_LAST) + 1  # it begins one earlier than it says
    if last <= 0:
        return None
    if kind == "YOLOXModeSwitchHook":  # its own count shrinks, and the one more stays
        return max(1, epochs - max(1, round((last - 1) * epochs / whole)) - 1)
    return max(1, epochs - max(1, round(last * epochs / whole)))


def _after(hook: dict[str, Any], steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The transforms once a hook has changed them."""
    if bare(hook) == "PipelineSwitchHook":
        return list(hook["switch_pipeline"])
    skipped = hook.get("skip_type_keys", _YOLOX_SKIPPED)
    return [step for step in steps if step["type"] not in skipped and bare(step) not in skipped]


def _pipelines(dataset: Any) -> Iterator[list[dict[str, Any]]]:
    for one in unwrapped(dataset):
        skipped = one.get("skip_type_keys") or ()
        if one.get("pipeline"):
            yield [step for step in one["pipeline"] if step["type"] not in skipped]


def _served(step: dict[str, Any], load: dict[str, Any], masks: bool, who: str) -> dict[str, Any]:
    """A transform as the data set here serves it, with what it may hold inside of it."""
    kind = bare(step)
    if kind in _BEYOND:
        raise PkdError(
            f"detector {who}: its training pipeline has {kind}, which needs {_BEYOND[kind]}; data sets here have "
            "images with boxes and masks.",
            "Give --training paper to train it as appendix A.2 does.",
        )
    if kind == "LoadImageFromFile":
        return {**step, "type": "PkdLoadImage", "backend_args": None, **load}
    if kind in ("LoadAnnotations", "LoadPanopticAnnotations"):
        kept = {key: value for key, value in step.items() if key in ("poly2mask", "box_type", "with_label")}
        return {"type": "LoadAnnotations", "with_bbox": True, "with_mask": masks, **kept}
    if kind == "CopyPaste" and not masks:
        return {**step, "paste_by_box": True}
    if kind == "FilterAnnotations" and step.get("by_mask") and not masks:
        return {**step, "by_mask": False}
    return {key: _inside(value, load, masks, who) for key, value in step.items()}


def _inside(value: Any, load: dict[str, Any], masks: bool, who: str) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_inside(item, load, masks, who) for item in value)
    return _served(value, load, masks, who) if isinstance(value, dict) and "type" in value else value
