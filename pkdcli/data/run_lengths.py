"""Masks as run lengths, which count the pixels of an image of a certain size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def run_lengths_of_another_size(
    annotations: Iterable[Mapping[str, Any]], sizes: Mapping[Any, tuple[float, float]]
) -> list[str]:
    """Annotations whose run lengths are not of their image's size, a place each; a mask head can't learn from them.

    Args:
        annotations: In the file's order.
        sizes: Width and height in pixels by the image's id.
    """
    places = []
    for index, item in enumerate(annotations):
        mask = item.get("segmentation")
        if not isinstance(mask, dict) or not isinstance(mask.get("size"), list):
            continue
        width, height = sizes[item["image_id"]]
        if mask["size"] != [height, width]:
            places.append(f"annotations[{index}].segmentation.size = {mask['size']} for [{height:g}, {width:g}]")
    return places
