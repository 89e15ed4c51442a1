"""What becomes of an image before the model sees it, in training and in evaluation; normalisation is the model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pkdcli.config.data.own_test import META, own_test_pipeline, own_test_size, size_of
from pkdcli.config.data.own_train import OwnTraining, own_training
from pkdcli.config.data.sizes import Shrinking, image_size, shrinking
from pkdcli.data.checks.coco import MIN_SIDE
from pkdcli.data.images.reading import Reading
from pkdcli.errors import PkdError
from pkdcli.recipe.schema import Recipe


def wants_masks(recipe: Recipe) -> bool:
    """Whether the detector that is trained here learns from segmentations."""
    return recipe.student.mask and bool(recipe.data.masks)


def reading(recipe: Recipe) -> dict[str, Any]:
    """How images are read, as far as that is not as usual."""
    return Reading.of(recipe.data.exif, recipe.data.pixel_range).options()


def load_image(recipe: Recipe) -> dict[str, Any]:
    """The transform that loads an image, as the data recipe says."""
    return {"type": "PkdLoadImage", "backend_args": None, **reading(recipe)}


def shrinking_of(recipe: Recipe) -> Shrinking:
    """What the sizes in the student's own pipelines are multiplied by, at the scale and for the data of a recipe."""
    return shrinking(image_size(recipe), own_test_size(recipe.student), upscale=recipe.scale.upscale)


def fit_augments(recipe: Recipe, model: dict[str, Any]) -> None:
    """Give the batch augments of a student's preprocessor sizes in proportion to its images, and no more than there is.

    Args:
        recipe: Says how large images are, and whether masks are loaded with them.
        model: The student's section; changed in place.
    """
    preprocessor = model.get("data_preprocessor") or {}
    if not preprocessor.get("batch_augments"):
        return
    augments = shrinking_of(recipe).steps(preprocessor["batch_augments"])
    for augment in augments:
        # Neither is looked for before it is padded.
        if augment.get("pad_mask") and not wants_masks(recipe):
            augment["pad_mask"] = False
        if augment.get("pad_seg"):
            augment["pad_seg"] = False
    preprocessor["batch_augments"] = augments


def train_pipeline(recipe: Recipe) -> list[dict[str, Any]]:
    """Loading and augmentation of a training image, in the first epoch."""
    return own_pipelines(recipe).stages[0][1] if recipe.training == "own" else _paper_pipeline(recipe)


def own_pipelines(recipe: Recipe) -> OwnTraining:
    """The training pipelines of the student's own config, at the recipe's scale.

    Raises:
        PkdError: The config has none, or one that can't be served.
    """
    found = own_training(
        recipe.student,
        recipe.schedule.epochs,
        load_image(recipe),
        masks=wants_masks(recipe),
        data_masks=bool(recipe.data.masks),
    )
    shrink = shrinking_of(recipe)
    return found._replace(stages=[(begin, shrink.steps(steps)) for begin, steps in found.stages])


def _paper_pipeline(recipe: Recipe) -> list[dict[str, Any]]:
    """Loading, resizing and flipping, as appendix A.2 has it."""
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
    """Loading and resizing of an image to evaluate: under `training: own` as the student's own config tests."""
    own = own_test_pipeline(recipe.student, load_image(recipe)) if recipe.training == "own" else None
    if own is not None:
        return shrinking_of(recipe).steps(own)
    return [
        load_image(recipe),
        {"type": "Resize", "scale": image_size(recipe), "keep_ratio": True},
        {"type": "PackDetInputs", "meta_keys": META},
    ]


def evaluation_size(recipe: Recipe) -> tuple[int, int]:
    """(longest, shorter) side in pixels that images are resized into for an evaluation."""
    return size_of(val_pipeline(recipe)) or image_size(recipe)


def check_sides(recipe: Recipe, thinnest: Mapping[str, Sequence[Any]]) -> None:
    """Make sure that something of every image is left when it is resized.

    Args:
        recipe: Says how images are resized.
        thinnest: By split, name, width and height of the image whose sides differ most.

    Raises:
        PkdError: Less than half a pixel would be left of a side.
    """
    longest, shorter = evaluation_size(recipe)
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
