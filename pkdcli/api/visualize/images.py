"""Which images a figure shows, and where the objects in them are."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pkdcli.data.images.file_names import folded, path_of
from pkdcli.data.images.given import given_images
from pkdcli.errors import PkdError
from pkdcli.recipe.schema import Data, Split

Picture = dict[str, Any]
"""`path`, and where somebody has annotated it `boxes` (x1, y1, x2, y2 in pixels) and the `annotated` width and height;
else both are None."""


def given(images: Sequence[Path], data: Data) -> list[Picture]:
    """Images that the user names, with their boxes where they belong to the data set.

    Args:
        images: Files.
        data: With the facts of its splits.

    Raises:
        PkdError: There is no such file.
    """
    return [{"path": str(path), **_annotated(path, data)} for path in given_images(images)]


def chosen(data: Data, count: int) -> list[Picture]:
    """So many validation images with objects, spread evenly over those that the boxes fill to at most a half.

    Args:
        data: With the facts of its splits.
        count: How many; fewer where there are no more.

    Raises:
        PkdError: The annotation file holds no image with an object.
    """
    content = _read(data.val)
    boxes = _boxes(content)
    images = [image for image in sorted(content["images"], key=lambda image: image["id"]) if boxes[image["id"]]]
    # Where objects fill the image, there is nothing off them to be seen.
    images = [image for image in images if 2 * _area(boxes[image["id"]]) <= image["width"] * image["height"]] or images
    if not images:
        raise PkdError(f"{data.val.annotations}: no image has an object.", "Name images with --image FILE.")
    count = min(count, len(images))
    # The middle of each of so many equal parts.
    places = [(2 * n + 1) * len(images) // (2 * count) for n in range(count)]
    folder = Path(data.val.images)
    return [
        {"path": str(path_of(folder, images[place]["file_name"]).absolute()), **_known(images[place], boxes)}
        for place in places
    ]


def _area(boxes: list[list[float]]) -> float:
    return sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in boxes)


def _known(image: dict[str, Any], boxes: defaultdict[int, list[list[float]]]) -> dict[str, Any]:
    return {"boxes": boxes[image["id"]], "annotated": [image["width"], image["height"]]}


def _annotated(path: Path, data: Data) -> dict[str, Any]:
    for split in (data.val, data.test, data.train):
        # The file of a large training set takes seconds to read: only one whose folder holds the image is.
        if split is None or not path.resolve().is_relative_to(Path(split.images).resolve()):
            continue
        content = _read(split)
        folder = Path(split.images)
        for image in content["images"]:
            same = folded(os.path.basename(image["file_name"])) == folded(path.name)
            if (same or not (folder / image["file_name"]).exists()) and path_of(
                folder, image["file_name"]
            ).resolve() == path.resolve():
                return _known(image, _boxes(content))
    return {"boxes": None, "annotated": None}


def _read(split: Split) -> dict[str, Any]:
    try:
        return json.loads(Path(split.annotations).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PkdError(f"can't read {split.annotations}: {error}.", "Check the data recipe.") from error


def _boxes(content: dict[str, Any]) -> defaultdict[int, list[list[float]]]:
    found: defaultdict[int, list[list[float]]] = defaultdict(list)
    for one in content.get("annotations", ()):
        x, y, width, height = one["bbox"]
        found[one["image_id"]].append([x, y, x + width, y + height])
    return found
