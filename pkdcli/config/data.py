"""A data recipe -> mmdet data sets, pipelines and loaders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pkdcli.data.checks.coco import MIN_SIDE
from pkdcli.data.images.reading import Reading
from pkdcli.errors import PkdError
from pkdcli.recipe.detectors.read import config_of
from pkdcli.recipe.schema import Detector, Recipe, Split

GROUP = 2
"""Consecutive images with the longer side in common: one GPU's in the paper's runs, whatever the devices here."""

_META = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")


def image_size(recipe: Recipe) -> tuple[int, int]:
    """(longest, shorter) side in pixels that images are resized into, keeping their ratio."""
    longest, shorter = recipe.scale.image
    if recipe.data.image and not recipe.scale.upscale:
        return min(longest, recipe.data.image), min(shorter, recipe.data.image)
    return longest, shorter


def wants_masks(recipe: Recipe) -> bool:
    """Whether the detector that is trained here learns from segmentations."""
    return recipe.student.mask and bool(recipe.data.masks)


def load_image(recipe: Recipe) -> dict[str, Any]:
    """The transform that loads an image, as the data recipe says."""
    return {"type": "PkdLoadImage", "backend_args": None, **_reading(recipe)}


def _reading(recipe: Recipe) -> dict[str, Any]:
    return Reading.of(recipe.data.exif, recipe.data.pixel_range).options()


def train_pipeline(recipe: Recipe) -> list[dict[str, Any]]:
    """Loading, resizing and flipping of a training image; normalisation is the model's."""
    size = image_size(recipe)
    resize: dict[str, Any] = {"type": "Resize", "scale": size, "keep_ratio": True}
    if recipe.schedule.multi_scale:
        # Sides are meant for an image of 800 pixels; a smaller scale shrinks them alike.
        sides = [round(side * size[1] / 800) for side in recipe.schedule.multi_scale]
        resize = {"type": "RandomResize", "scale": [(size[0], side) for side in sides], "keep_ratio": True}
    return [
        load_image(recipe),
        {"type": "LoadAnnotations", "with_bbox": True, "with_mask": wants_masks(recipe)},
        resize,
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "PackDetInputs"},
    ]


def val_pipeline(recipe: Recipe) -> list[dict[str, Any]]:
    """Loading and resizing of an image to evaluate."""
    return [
        load_image(recipe),
        {"type": "Resize", "scale": image_size(recipe), "keep_ratio": True},
        {"type": "PackDetInputs", "meta_keys": _META},
    ]


def check_sides(recipe: Recipe, thinnest: Mapping[str, Sequence[Any]]) -> None:
    """Make sure that something of every image is left when it is resized.

    Args:
        recipe: Says how images are resized.
        thinnest: By split, name, width and height of the image whose sides differ most.

    Raises:
        PkdError: Less than half a pixel would be left of a side.
    """
    longest, shorter = image_size(recipe)
    for split, (name, width, height) in thinnest.items():
        low, high = sorted((width, height))
        if split == "train" and low < MIN_SIDE:  # it is not trained on
            continue
        if int(low * min(longest / high, shorter / low) + 0.5) < 1:
            raise PkdError(
                f"data set {recipe.data.name}, {split}: {name} is {width:g} x {height:g} pixels: resized to at most "
                f"{longest} x {shorter}, nothing is left of its shorter side.",
                "Cut it into parts, or take it out of the annotation file; or name a larger --scale.",
            )


def own_test_pipeline(detector: Detector, load: dict[str, Any] | None = None) -> list[dict[str, Any]] | None:
    """The test pipeline of a detector's own config, its images loaded as everywhere here; None where it has none.

    What is measured comes from the annotation file, so none are loaded.

    Args:
        detector: Whose config it is.
        load: What loads an image, as `load_image` says of a recipe's data; unimportant to who asks for sizes alone.
    """
    config = config_of(detector)
    for name in ("test_dataloader", "val_dataloader"):
        dataset = (config.get(name) or {}).get("dataset")
        while isinstance(dataset, dict) and "pipeline" not in dataset:  # inside a wrapper
            inner = dataset.get("datasets") or [dataset.get("dataset")]
            dataset = inner[0]
        if not isinstance(dataset, dict):
            continue
        steps = {step["type"].rpartition(".")[2]: step for step in dataset["pipeline"]}
        if not {"LoadImageFromFile", "PackDetInputs"} <= set(steps):
            continue
        load = {**steps.pop("LoadImageFromFile"), "type": "PkdLoadImage", "backend_args": None, **(load or {})}
        pack = steps.pop("PackDetInputs")
        pack["meta_keys"] = tuple(dict.fromkeys((*_META, *pack.get("meta_keys", ()))))
        return [load, *(step for name, step in steps.items() if not name.startswith("Load")), pack]
    return None


def own_test_size(detector: Detector) -> tuple[int, int] | None:
    """(longest, shorter) side in pixels of that pipeline's images; None where it does not say."""
    for step in own_test_pipeline(detector) or ():
        scale = step.get("scale")
        if isinstance(scale, (list, tuple)) and len(scale) == 2:
            return max(scale), min(scale)
        if isinstance(scale, int):
            return scale, scale
    return None


def sides(size: tuple[int, int]) -> str:
    """A size of images in words: `1333x800`."""
    return f"{size[0]}x{size[1]}"


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
    dataset = _dataset(recipe, recipe.data.train, train_pipeline(recipe), filter_cfg=filters)
    batches: dict[str, Any] = {"type": "PkdBatchSampler"}
    if recipe.scale.upscale:
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
    if reading := _reading(recipe):
        section["reading"] = reading
    return {**section, "partial": True} if recipe.val_images else section


def split_of(recipe: Recipe, name: str) -> Split:
    """A split of the data set by its name.

    Args:
        recipe: Names the data set.
        name: `train`, `val` or `test`.

    Raises:
        PkdError: The data set has no such split.
    """
    split = {"train": recipe.data.train, "val": recipe.data.val, "test": recipe.data.test}.get(name)
    if split is None:
        raise PkdError(f"data set {recipe.data.name} has no split {name!r}.", "Its recipe names train and val.")
    return split
