"""The images that a detector is timed on: of the data set where they are here, else noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from pkdcli.compat import activate

activate()

from mmdet.structures import DetDataSample  # noqa: E402

from pkdcli.config import data as data_section  # noqa: E402
from pkdcli.data.images.pixels import read  # noqa: E402
from pkdcli.data.images.reading import Reading  # noqa: E402
from pkdcli.engine.export.check import images_of  # noqa: E402
from pkdcli.recipe.schema import Recipe  # noqa: E402

NOISE = "noise"


def test_size(recipe: Recipe) -> tuple[int, int]:
    """Height and width in pixels of the images that a detector is evaluated on, of lying ones where they differ."""
    longest, shorter = data_section.evaluation_size(recipe)
    return shorter, longest


def pictures(recipe: Recipe, count: int, size: tuple[int, int]) -> tuple[list[np.ndarray], str]:
    """Images of a size, (H, W, 3), uint8, BGR, and what they are.

    How long suppression takes depends on what there is to be found: images of the data set show as much as others do.

    Args:
        recipe: Names the data.
        count: How many.
        size: Height and width; images of the data set are stretched to it.
    """
    height, width = size
    there = [one["path"] for one in images_of(recipe.data.val, count) if Path(one["path"]).is_file()]
    if not there:
        random = np.random.default_rng(0)
        return [random.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)], NOISE
    reading = Reading.of(recipe.data.exif, recipe.data.pixel_range)
    found = [cv2.resize(read(path, None, reading), (width, height)) for path in there]
    return [found[place % len(found)] for place in range(count)], f"{recipe.data.name} val"


def batch_of(images: Sequence[np.ndarray]) -> dict[str, Any]:
    """Images as a detector's `test_step` takes them: in the processor's memory, before normalisation.

    Args:
        images: (H, W, 3), uint8, of one size.
    """
    samples = []
    for number, image in enumerate(images):
        size = image.shape[:2]
        about = {"img_id": number, "img_shape": size, "ori_shape": size, "pad_shape": size, "scale_factor": (1.0, 1.0)}
        samples.append(DetDataSample(metainfo=about))
    inputs = [torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))) for image in images]
    return {"inputs": inputs, "data_samples": samples}
