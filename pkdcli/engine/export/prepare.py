"""How an image is made ready for a graph: as data for a JSON file, and as the run's own pipeline does it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from pkdcli.errors import PkdError
from pkdcli.recipe.detectors.read import bare

LEAST = 32  # the graph takes images whose sides are multiples of this at least, so that levels of all strides fit


class Ready(NamedTuple):
    """An image for a graph.

    Attributes:
        images: (1, 3, H, W), float32, RGB, 0 to 255, padded to multiples of the divisor.
        sizes: (1, 2), int64, height and width without that.
        scale: (2,), by which width and height have grown.
        packed: The same for mmdet's detector.
    """

    images: np.ndarray
    sizes: np.ndarray
    scale: np.ndarray
    packed: dict[str, Any]


def steps_of(model: nn.Module) -> list[dict[str, Any]]:
    """The transforms of a detector's test images behind the one that loads them."""
    return [dict(step) for step in model.cfg.test_dataloader.dataset.pipeline[1:]]


def described(model: nn.Module) -> dict[str, Any]:
    """The same as plain data: `resize`, `pad`, and what the graph asks for.

    Args:
        model: mmdet's detector, with its `cfg`.

    Raises:
        PkdError: There is a transform that is more than resizing and padding.
    """
    load = model.cfg.test_dataloader.dataset.pipeline[0]
    stored = load.get("exif") == "stored"
    found: dict[str, Any] = {
        "reader": f"8 bits, RGB, {'as stored, whatever' if stored else 'upright by'} its EXIF orientation",
        "exif": "stored" if stored else "shown",
        "pixel_range": load.get("pixel_range") and list(load["pixel_range"]),
        "resize": None,
        "pad": None,
        "then": "float32, 0 to 255, (N, 3, H, W); `sizes` is height and width (N, 2), int64, before the last padding",
        "divisor": divisor_of(model),
        "inside": "colours, mean, standard deviation, and what is beside an image",
    }
    for step in steps_of(model):
        kind = bare(step)
        if kind == "Resize" and step.get("scale") is not None:
            found["resize"] = {
                "size": list(step["scale"]), "keep_ratio": bool(step.get("keep_ratio")),
                "interpolation": step.get("interpolation", "bilinear"),
            }  # fmt: skip
        elif kind == "Pad":
            value = step.get("pad_val", 0)
            value = value.get("img", 0) if isinstance(value, dict) else value
            found["pad"] = {"size": step.get("size"), "divisor": step.get("size_divisor"), "value": value}
        elif not kind.startswith(("Load", "Pack")):
            raise PkdError(
                f"the detector's test images go through {kind}, which can't be written down for use elsewhere.",
                "Resizing and padding can: --set val_dataloader.dataset.pipeline says other transforms.",
            )
    return found


def divisor_of(model: nn.Module) -> int:
    """Of which height and width of a graph's images are multiples."""
    return math.lcm(LEAST, int(getattr(model.data_preprocessor, "pad_size_divisor", 1) or 1))


def ready(pixels: np.ndarray, pipeline: Any, divisor: int) -> Ready:
    """An image for a graph, as the run's own pipeline makes it ready.

    Args:
        pixels: (H, W, 3), uint8, BGR.
        pipeline: mmengine's `Compose` of `steps_of`.
        divisor: Of height and width.
    """
    shape = pixels.shape[:2]
    packed = pipeline({"img": pixels, "img_path": None, "img_id": 0, "img_shape": shape, "ori_shape": shape})
    image = packed["inputs"].numpy()[::-1].astype(np.float32)
    height, width = image.shape[1:]
    padded = np.zeros((1, 3, -(-height // divisor) * divisor, -(-width // divisor) * divisor), np.float32)
    padded[0, :, :height, :width] = image
    scale = np.asarray(packed["data_samples"].metainfo.get("scale_factor", (1.0, 1.0)), np.float32)
    return Ready(padded, np.asarray([[height, width]], np.int64), scale, packed)


def detections(outputs: Sequence[np.ndarray], scale: np.ndarray) -> np.ndarray:
    """What a graph has found in one image: float64 rows of x1, y1, x2, y2 in the image's own pixels, score, label.

    Args:
        outputs: `boxes`, `scores`, `labels` of a batch of one.
        scale: As `ready` tells it.
    """
    boxes, scores, labels = (np.asarray(one)[0] for one in outputs)
    there = labels >= 0
    sides = boxes[there].astype(np.float64) / np.tile(scale, 2)
    return np.concatenate([sides, scores[there, None], labels[there, None]], 1)
