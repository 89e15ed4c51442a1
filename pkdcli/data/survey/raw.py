"""Repairs of an annotation file's lists: ids, references, images that can't be used."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pkdcli.data.annotations.coco_file import read_file
from pkdcli.data.annotations.rows import whole
from pkdcli.data.checks.images import read_header
from pkdcli.data.images.file_names import Folder
from pkdcli.data.images.formats import why_unusable
from pkdcli.data.survey.boxes import SAFE

Say = Callable[[str], None]
PARTS = ("images", "annotations", "categories")


def read_raw(file: Path) -> dict[str, Any]:
    """The three lists of an annotation file as Python values; what is no object in them is left out.

    Raises:
        PkdError: It is no JSON, or lacks a list.
    """
    read = read_file(file, PARTS, None)
    found: dict[str, Any] = {}
    for name in PARTS:
        items = [json.loads(bytes(one)) if read.text is not None else one for one in read.parts[name]]
        found[name] = [one for one in items if isinstance(one, dict)]
    return found


def mend_ids(coco: dict[str, Any], say: Say) -> None:
    """Give every image, class and annotation a whole number of its own, and remove what refers to nothing.

    Args:
        coco: Changed in place.
        say: Told of each kind of change.
    """
    places = {part: _number(coco, part, say) for part in ("images", "categories")}
    kept, lost, broken = [], 0, 0
    for one in coco["annotations"]:
        refers = [places[part].get(_key(one.get(name))) for part, name in (("images", "image_id"),
                                                                          ("categories", "category_id"))]  # fmt: skip
        if None in refers:
            lost += 1
        elif not _is_box(one.get("bbox")):
            broken += 1
        else:
            one["image_id"], one["category_id"] = refers
            kept.append(one)
    if lost:
        say(f"{lost} annotations of images or classes that are not listed were removed")
    if broken:
        say(f"{broken} annotations whose box is not four finite numbers were removed")
    coco["annotations"] = kept
    _number(coco, "annotations", say)
    for one in kept:
        if "area" in one and not _finite(one["area"]):
            del one["area"]


def _number(coco: dict[str, Any], part: str, say: Say) -> dict[Any, int]:
    """Number the items of a part anew where an id is none, is used twice or is huge; by old id, the new one."""
    items = coco[part]
    keys = [_key(one.get("id")) for one in items]
    fine = [type(one.get("id")) is int and 0 <= one["id"] <= SAFE for one in items]
    if all(fine) and len(set(keys)) == len(keys):
        return {key: one["id"] for key, one in zip(keys, items, strict=True)}
    first: dict[Any, int] = {}
    again = []
    for at, key in enumerate(keys):
        if key in first and part != "annotations":
            again.append(at)  # whose annotations are meant can't be told: they go to the first
        first.setdefault(key, at)
    coco[part] = [one for at, one in enumerate(items) if at not in set(again)]
    new = {id(one): number for number, one in enumerate(coco[part], 1)}
    numbers = {key: new[id(items[at])] for key, at in first.items()}
    for one in coco[part]:
        one["id"] = new[id(one)]
    say(f"{len(coco[part])} {part} were numbered anew from 1")
    if again:
        say(f"{len(again)} {part} with the id of another were removed")
    return numbers


def _key(value: Any) -> Any:
    """An id such that "1", 1.0 and 1 are the same."""
    if isinstance(value, str) and value.strip().isdigit():
        return int(value)
    number = whole(value)
    return number if number >= 0 else repr(value)


def _finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_box(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(_finite, value))


def drop_images(coco: dict[str, Any], folder: Path, broken: set[str], say: Say) -> None:
    """Give images the names and sizes of their files, and remove those that can't be used, with their annotations.

    Args:
        coco: Changed in place.
        folder: What the names are relative to.
        broken: Names of images that can't be decoded.
        say: Told of each kind of change.
    """
    there = Folder(folder)
    gone, renamed, turned, scaled = set(), 0, 0, {}
    taken: set[str] = set()
    for one in coco["images"]:
        name = one.get("file_name")
        if not isinstance(name, str) or not name:
            gone.add(one["id"])
            continue
        actual = name if there.has(name) else there.find(name) or there.find(name, capitals=False)
        if actual is None or actual in taken:
            gone.add(one["id"])
            continue
        taken.add(actual)
        renamed += actual != name
        one["file_name"] = actual
        header = read_header(folder / actual)
        if why_unusable(header.kind):
            gone.add(one["id"])
            continue
        change = _size(one, header, name in broken)
        if change is None and name not in broken:
            continue  # what could not be decoded for its size alone may be whole
        if change is None:
            gone.add(one["id"])
        elif change == "turned":
            turned += 1
        elif change == "other":
            gone.add(one["id"])
        else:
            scaled[one["id"]] = change
    before = len(coco["annotations"])
    coco["images"] = [one for one in coco["images"] if one["id"] not in gone]
    coco["annotations"] = [one for one in coco["annotations"] if one["image_id"] not in gone]
    for one in coco["annotations"]:
        if (factor := scaled.get(one["image_id"])) is not None:
            _scale(one, factor)
    if renamed:
        say(f"{renamed} file names were written as the files' own")
    if turned:
        say(f"width and height of {turned} images were exchanged, as in their files")
    if scaled:
        say(f"{len(scaled)} images and their boxes were brought to the size of their files")
    if gone:
        say(f"{len(gone)} images that are missing, listed before, unusable or of another shape were removed, with "
            f"{before - len(coco['annotations'])} annotations")  # fmt: skip


def _scale(one: dict[str, Any], factor: float) -> None:
    """Bring a box, its area and its polygons to another size of the picture; run lengths are left out."""
    if factor == 1:
        return
    one["bbox"] = [side * factor for side in one["bbox"]]
    if "area" in one:
        one["area"] *= factor**2
    polygons = one.pop("segmentation", None)
    if isinstance(polygons, list) and all(isinstance(polygon, list) for polygon in polygons):
        one["segmentation"] = [[side * factor for side in polygon] for polygon in polygons]


def _size(image: dict[str, Any], header: Any, broken: bool) -> str | float | None:
    """Bring an image's annotated size to that of its file.

    Returns:
        None where it is right, `turned` where its sides were exchanged, the factor by which its boxes grow, or `other`
        where the picture is of another shape.
    """
    if header.stored is None:
        return None
    shown = header.shown
    sides = (image.get("width"), image.get("height"))
    maybe_turned = header.orientation == 0 and not broken  # a PNG's EXIF is seen when it is decoded
    if sides in (header.stored, shown) or (maybe_turned and sides == header.stored[::-1]):
        return None
    if sides == shown[::-1]:
        image["width"], image["height"] = shown
        return "turned"
    if not all(_finite(side) and side > 0 for side in sides):
        image["width"], image["height"] = shown
        return 1.0
    factor = shown[0] / sides[0]
    if abs(shown[1] - sides[1] * factor) > 1:
        return "other"
    image["width"], image["height"] = shown
    return factor
