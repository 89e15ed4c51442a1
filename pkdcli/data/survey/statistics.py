"""How many images and boxes a split has, of which sizes and shapes, by class."""

from __future__ import annotations

from typing import Any

import numpy as np

from pkdcli.data.annotations.read import Annotations

SMALL, MEDIUM = 32.0**2, 96.0**2
"""Areas in square pixels below which COCO calls an object small, and medium."""

_QUANTILES = (0.05, 0.5, 0.95)


def summary(truth: Annotations) -> dict[str, Any]:
    """The numbers of a split; annotations whose image, class or box can't be read are left out of them.

    Returns:
        Plain data: `images`, `boxes`, `empty` (images without a box), `crowds`, `ignored`, `image_width`,
        `image_height`, and `all` and `classes` with what `_of` says of boxes.
    """
    known = (truth.image >= 0) & (truth.category >= 0) & np.isfinite(truth.bbox).all(axis=1)
    n_images = len(truth.image_id)
    with_box = np.zeros(n_images, dtype=bool)
    with_box[truth.image[known]] = True
    return {
        "images": n_images,
        "boxes": int(known.sum()),
        "empty": int((~with_box).sum()),
        "crowds": int(truth.iscrowd.sum()),
        "ignored": int(truth.ignore.sum()),
        "image_width": _spread(truth.size[:, 0]),
        "image_height": _spread(truth.size[:, 1]),
        "all": _of(truth, known),
        "classes": {
            name: _of(truth, known & (truth.category == place)) for place, name in enumerate(truth.classes)
        },
    }


def _of(truth: Annotations, which: np.ndarray) -> dict[str, Any]:
    """Of some boxes: how many, in how many images, the shares of small, medium and large ones, sides and shapes."""
    boxes, area = truth.bbox[which], truth.area[which]
    count = len(boxes)
    width, height = boxes[:, 2], boxes[:, 3]
    whole = (width > 0) & (height > 0)
    shares = zip("SML", (area < SMALL, (area >= SMALL) & (area < MEDIUM), area >= MEDIUM), strict=True)
    return {
        "boxes": count,
        "images": len(np.unique(truth.image[which])),
        "sizes": {name: round(float(one.mean()), 4) if count else None for name, one in shares},
        "width": _spread(width),
        "height": _spread(height),
        "aspect": _spread(width[whole] / height[whole]),
    }


def _spread(values: np.ndarray) -> list[float] | None:
    """The 5th, 50th and 95th percentile; None where there are no values."""
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    return [round(float(one), 4) for one in np.quantile(values, _QUANTILES)]
