"""A data recipe -> mmdet data sets, their loaders, and what evaluates them."""

from __future__ import annotations

from typing import Any

from pkdcli.config.data.pipelines import own_pipelines, reading, train_pipeline, val_pipeline
from pkdcli.data.checks.coco import MIN_SIDE
from pkdcli.errors import PkdError
from pkdcli.recipe.schema import Recipe, Split

GROUP = 2
"""Consecutive images with the longer side in common: one GPU's in the paper's runs, whatever the devices here."""


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

    Args:
        recipe: A complete recipe, the facts of its data included.
        devices: Number of processes that share a batch.

    Raises:
        PkdError: The batch does not divide evenly among the processes.
    """
    if recipe.batch % devices:
        raise _uneven(recipe, devices)
    filters = {"filter_empty_gt": not recipe.data.background, "min_size": MIN_SIDE}
    own = own_pipelines(recipe) if recipe.training == "own" else None
    first = own.stages[0][1] if own else train_pipeline(recipe)
    dataset = _dataset(recipe, recipe.data.train, first, filter_cfg=filters)
    if own and len(own.stages) > 1:
        dataset["later"] = [{"epoch": epoch, "pipeline": steps} for epoch, steps in own.stages[1:]]
    if own and own.partner_steps is not None:
        dataset["partner_steps"] = own.partner_steps
    batches: dict[str, Any] = {"type": "PkdBatchSampler"}
    if recipe.scale.upscale and (own is None or own.grouped):
        batches["group"] = GROUP if recipe.batch % GROUP == 0 else recipe.batch
    sampler = {"type": "PkdSampler", "seed": recipe.seed}
    return _loader(recipe, dataset, recipe.batch // devices, sampler=sampler, batch_sampler=batches)


def _uneven(recipe: Recipe, devices: int) -> PkdError:
    """A batch that can't be shared, and how to give another; a teacher's is not the user's --batch-size."""
    if recipe.role != "teacher":
        return PkdError(
            f"batch: {recipe.batch} images can't be shared evenly by {devices} processes.",
            f"Give --batch-size a multiple of {devices}.",
        )
    larger = -(-recipe.batch // devices) * devices
    return PkdError(
        f"scale.teacher.batch: the {recipe.batch} images of a step of the teacher's own training can't be shared "
        f"evenly by {devices} processes.",
        f"Give --set scale.teacher.batch={larger} (its learning rate follows), or a number of processes that divides "
        f"{recipe.batch}.",
    )


def val_dataloader(recipe: Recipe, split: Split) -> dict[str, Any]:
    """The loader of an evaluation of one process.

    Args:
        recipe: Says how images are resized, and how many are evaluated.
        split: The images and annotations to evaluate on.
    """
    dataset = _dataset(recipe, split, val_pipeline(recipe), test_mode=True)
    if recipe.val_images:
        dataset["indices"] = recipe.val_images
    sampler = {"type": "DefaultSampler", "shuffle": False}
    return _loader(recipe, dataset, recipe.scale.val_batch, sampler=sampler, drop_last=False)


def evaluator(recipe: Recipe, split: Split) -> dict[str, Any]:
    """The six COCO metrics of a split, in AP points.

    Args:
        recipe: Says how images are read, and whether only some are evaluated.
        split: The images and annotations to evaluate on.
    """
    section: dict[str, Any] = {"type": "PkdCocoMetric", "ann_file": split.annotations, "images": split.images}
    if recipe.keep_predictions:
        section["keep"] = {"data": recipe.data.name, "split": "val", "fingerprint": recipe.data.fingerprint}
    if options := reading(recipe):
        section["reading"] = options
    return {**section, "partial": True} if recipe.val_images else section


def split_of(recipe: Recipe, name: str) -> Split:
    """A split of the data set by its name.

    Args:
        recipe: Names the data set.
        name: `train`, `val` or `test`.

    Raises:
        PkdError: The data set has no such split.
    """
    split = recipe.data.splits.get(name)
    if split is None:
        raise PkdError(f"data set {recipe.data.name} has no split {name!r}.", "Its recipe names train and val.")
    return split
