"""A data recipe -> mmdet data sets, pipelines and loaders."""

from __future__ import annotations

from typing import Any

from pkdcli.data.coco import MIN_SIDE
from pkdcli.errors import PkdError
from pkdcli.recipe.schema import Recipe, Split

GROUP = 2
"""Consecutive images with the longer side in common: one GPU's in the paper's runs, whatever the devices here."""


def image_size(recipe: Recipe) -> tuple[int, int]:
    """(longest, shorter) side in pixels that images are resized into, keeping their ratio."""
    longest, shorter = recipe.scale.image
    if recipe.data.image and not recipe.scale.upscale:
        return min(longest, recipe.data.image), min(shorter, recipe.data.image)
    return longest, shorter


def wants_masks(recipe: Recipe) -> bool:
    """Whether the detector that is trained here learns from segmentations."""
    return recipe.student.mask and bool(recipe.data.masks)


def train_pipeline(recipe: Recipe) -> list[dict[str, Any]]:
    """Loading, resizing and flipping of a training image; normalisation is the model's."""
    size = image_size(recipe)
    resize: dict[str, Any] = {"type": "Resize", "scale": size, "keep_ratio": True}
    if recipe.schedule.multi_scale:
        # Sides are meant for an image of 800 pixels; a smaller scale shrinks them alike.
        sides = [round(side * size[1] / 800) for side in recipe.schedule.multi_scale]
        resize = {"type": "RandomResize", "scale": [(size[0], side) for side in sides], "keep_ratio": True}
    return [
        {"type": "PkdLoadImage", "backend_args": None},
        {"type": "LoadAnnotations", "with_bbox": True, "with_mask": wants_masks(recipe)},
        resize,
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "PackDetInputs"},
    ]


def val_pipeline(recipe: Recipe) -> list[dict[str, Any]]:
    """Loading and resizing of an image to evaluate."""
    meta = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")
    return [
        {"type": "PkdLoadImage", "backend_args": None},
        {"type": "Resize", "scale": image_size(recipe), "keep_ratio": True},
        {"type": "PackDetInputs", "meta_keys": meta},
    ]


def _dataset(recipe: Recipe, split: Split, pipeline: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "type": "PkdCocoDataset",
        "seed": recipe.seed,
        "data_root": "",
        "ann_file": split.annotations,
        "data_prefix": {"img": split.images},
        "metainfo": {"classes": tuple(recipe.data.classes or ())},
        "pipeline": pipeline,
        "backend_args": None,
        **more,
    }


def _loader(recipe: Recipe, dataset: dict[str, Any], batch: int, **samplers: Any) -> dict[str, Any]:
    return {
        "batch_size": batch,
        "num_workers": recipe.workers,
        "persistent_workers": recipe.workers > 0,
        **samplers,
        "dataset": dataset,
    }


def train_dataloader(recipe: Recipe, devices: int = 1) -> dict[str, Any]:
    """The training loader of one process.

    Raises:
        PkdError: The batch does not divide evenly among the processes.
    """
    if recipe.batch % devices:
        raise PkdError(
            f"batch: {recipe.batch} images can't be shared evenly by {devices} processes.",
            f"Give --batch-size a multiple of {devices}.",
        )
    filters = {"filter_empty_gt": not recipe.data.background, "min_size": MIN_SIDE}
    dataset = _dataset(recipe, recipe.data.train, train_pipeline(recipe), filter_cfg=filters)
    batches: dict[str, Any] = {"type": "PkdBatchSampler"}
    if recipe.scale.upscale:
        batches["group"] = GROUP if recipe.batch % GROUP == 0 else recipe.batch
    sampler = {"type": "PkdSampler", "seed": recipe.seed}
    return _loader(recipe, dataset, recipe.batch // devices, sampler=sampler, batch_sampler=batches)


MIXING = ("Mosaic", "MixUp", "CopyPaste")
"""Transforms that draw other images from a data set which only mmdet's MultiImageMixDataset hands them."""


def refuse_mixing(config: dict[str, Any]) -> None:
    """Refuse transforms that the training loader can't serve, which break in its processes otherwise.

    Raises:
        PkdError: Such a transform stands in the pipeline of a single data set.
    """
    dataset = (config.get("train_dataloader") or {}).get("dataset") or {}
    if dataset.get("type") == "MultiImageMixDataset":
        return
    for index, transform in enumerate(dataset.get("pipeline") or []):
        name = str(transform.get("type", "")).rpartition(".")[2] if isinstance(transform, dict) else ""
        if name in MIXING:
            raise PkdError(
                f"config.train_dataloader.dataset.pipeline.{index}: {name} needs mmdet's MultiImageMixDataset, which "
                "hands it other images; pkd's data set hands it none.",
                "Leave it out." if name == "CopyPaste" else f"Take Cached{name}, which mixes images that it has kept.",
            )


def val_dataloader(recipe: Recipe, split: Split) -> dict[str, Any]:
    """The loader of an evaluation of one process."""
    dataset = _dataset(recipe, split, val_pipeline(recipe), test_mode=True)
    if recipe.val_images:
        dataset["indices"] = recipe.val_images
    sampler = {"type": "DefaultSampler", "shuffle": False}
    return _loader(recipe, dataset, recipe.scale.val_batch, sampler=sampler, drop_last=False)


def evaluator(recipe: Recipe, split: Split) -> dict[str, Any]:
    """The six COCO metrics of a split, in AP points."""
    section = {"type": "PkdCocoMetric", "ann_file": split.annotations, "images": split.images}
    return {**section, "partial": True} if recipe.val_images else section


def split_of(recipe: Recipe, name: str) -> Split:
    """A split of the data set by its name.

    Raises:
        PkdError: The data set has no such split.
    """
    split = {"train": recipe.data.train, "val": recipe.data.val, "test": recipe.data.test}.get(name)
    if split is None:
        raise PkdError(f"data set {recipe.data.name} has no split {name!r}.", "Its recipe names train and val.")
    return split
