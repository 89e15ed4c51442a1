"""How a detector's own config tests: the pipeline of its images, and their size."""

from __future__ import annotations

from typing import Any

from pkdcli.recipe.detectors.read import bare, config_of, unwrapped
from pkdcli.recipe.schema import Detector

META = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")
"""What an evaluation has to know of an image."""


def own_test_pipeline(detector: Detector, load: dict[str, Any] | None = None) -> list[dict[str, Any]] | None:
    """The test pipeline of a detector's own config, its images loaded as everywhere here; None where it has none.

    What is measured comes from the annotation file, so none are loaded.

    Args:
        detector: Whose config it is.
        load: What loads an image, as `load_image` says of a recipe's data; unimportant to who asks for sizes alone.
    """
    config = config_of(detector)
    for name in ("test_dataloader", "val_dataloader"):
        inside = unwrapped((config.get(name) or {}).get("dataset"))
        pipeline = next((dataset["pipeline"] for dataset in inside if "pipeline" in dataset), [])
        steps = {bare(step): step for step in pipeline}
        if not {"LoadImageFromFile", "PackDetInputs"} <= set(steps):
            continue
        load = {**steps.pop("LoadImageFromFile"), "type": "PkdLoadImage", "backend_args": None, **(load or {})}
        pack = steps.pop("PackDetInputs")
        pack["meta_keys"] = tuple(dict.fromkeys((*META, *pack.get("meta_keys", ()))))
        return [load, *(step for name, step in steps.items() if not name.startswith("Load")), pack]
    return None


def own_test_size(detector: Detector) -> tuple[int, int] | None:
    """(longest, shorter) side in pixels of that pipeline's images; None where it does not say."""
    return size_of(own_test_pipeline(detector) or [])


def size_of(pipeline: list[dict[str, Any]]) -> tuple[int, int] | None:
    """(longest, shorter) side in pixels of the images that a test pipeline makes; None where it does not say."""
    for step in pipeline:
        scale = step.get("scale")
        if isinstance(scale, (list, tuple)) and len(scale) == 2:
            return max(scale), min(scale)
        if isinstance(scale, int):
            return scale, scale
    return None
