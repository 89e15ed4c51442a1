"""LabelMe: a JSON file for each image, with `shapes`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from pkdcli.data.importers.files import Tree, located, skip_unlisted
from pkdcli.data.importers.polygons import area_of, box_of, circle
from pkdcli.data.importers.source import Picture, Source, Thing, in_order, split_in

FORM = "LabelMe"


def read(tree: Tree, files: list[Path]) -> Source:
    """The pictures of LabelMe files.

    Args:
        tree: The files of the source.
        files: The JSON files.
    """
    found = Source(FORM, tree.root)
    taken: set[Path] = set()
    for file in files:
        picture = _picture(file, tree, found, taken)
        if picture is not None:
            taken.add(picture.path)
            found.pictures.append(picture)
    found.classes = in_order(thing.label for picture in found.pictures for thing in picture.things)
    skip_unlisted(tree, found, taken, "no JSON file is about this image")
    return found


def _picture(file: Path, tree: Tree, found: Source, taken: set[Path]) -> Picture | None:
    said = tree.relative(file)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        shapes = content["shapes"]
        name = str(content.get("imagePath") or "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        found.skip(said, f"is no whole JSON of LabelMe: {error}")
        return None
    image = located(tree, found, said, file, name, file.stem)
    if image is None:
        return None
    path, sizes = image
    if path in taken:
        found.skip(said, f"another JSON file is about {tree.name_of(path)} already")
        return None
    size = (content.get("imageWidth") or sizes[1][0], content.get("imageHeight") or sizes[1][1])
    if size not in sizes:
        told = f"was made for a picture of {size[0]} x {size[1]}, but {tree.name_of(path)} is"
        found.skip(said, f"{told} {sizes[1][0]} x {sizes[1][1]}")
        return None
    picture = Picture(path, tree.name_of(path), *size, split=split_in(said))
    for number, shape in enumerate(shapes if isinstance(shapes, list) else [], 1):
        thing = _thing(shape)
        if isinstance(thing, str):
            found.skip(f"{said}, shape {number}", thing)
        else:
            picture.things.append(thing)
    return picture


def _thing(shape: Any) -> Thing | str:
    """An object, or what is wrong with it."""
    try:
        label, kind = str(shape["label"]).strip(), shape.get("shape_type") or "polygon"
        points = [float(side) for x, y in shape["points"] for side in (x, y)]
    except (KeyError, TypeError, ValueError, AttributeError):
        return "has no label, or points that are no pairs of numbers"
    if not label or not all(map(math.isfinite, points)):
        return "has no label, or points that are not finite"
    if kind == "rectangle" and len(points) in (4, 8):
        outline = None
    elif kind == "circle" and len(points) == 4:
        outline = circle(points[0], points[1], math.dist(points[:2], points[2:]))
    elif kind == "polygon" and len(points) >= 6:
        outline = points
    elif kind == "mask" and len(points) == 4:
        outline = None
    else:
        return f"a {kind} of {len(points) // 2} points is no rectangle, polygon, circle or mask"
    box = tuple(round(side, 3) for side in box_of(outline or points))
    if min(box[2:]) <= 0:
        return "has no width or height"
    if outline is None:
        return Thing(label, box)
    return Thing(label, box, segmentation=[outline], area=round(area_of(outline), 3))
