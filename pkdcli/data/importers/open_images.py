"""Open Images: a CSV of boxes as shares of the picture, and one of the names of its classes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from pkdcli.data.importers.files import Tree, located, skip_unlisted
from pkdcli.data.importers.source import Picture, Source, Thing, in_order, split_in

FORM = "Open Images"
_SIDES = ("XMin", "XMax", "YMin", "YMax")


def is_boxes(path: Path) -> bool:
    """Whether a CSV file has the columns of boxes."""
    return {"ImageID", "LabelName", *_SIDES} <= set(next(_rows(path), []))


def read(tree: Tree, files: list[Path]) -> Source:
    """The pictures of Open Images.

    Args:
        tree: The files of the source.
        files: The CSV files of boxes.
    """
    found = Source(FORM, tree.root)
    names = _descriptions(tree, files)
    pictures: dict[str, Picture | None] = {}
    crowds = 0
    for file in files:
        said, rows = tree.relative(file), _rows(file)
        column = {name: at for at, name in enumerate(next(rows))}
        group = column.get("IsGroupOf")
        for number, row in enumerate(rows, 2):
            place = f"{said}, line {number}"
            try:
                name, label = row[column["ImageID"]], row[column["LabelName"]]
                left, right, top, bottom = (float(row[column[side]]) for side in _SIDES)
            except (IndexError, ValueError):
                found.skip(place, "is not whole, or has sides that are no numbers")
                continue
            if name not in pictures:
                pictures[name] = _picture(name, file, tree, found, place)
            picture = pictures[name]
            if picture is None:
                continue
            # The images without these objects are not in the file; only `not (0 <= ...)` sees NaN too.
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                found.skip(place, "its sides are no shares of the picture, from 0 to 1, or leave no width or height")
                continue
            x, y, w, h = picture.width, picture.height, (right - left), (bottom - top)
            box = tuple(round(side, 3) for side in (left * x, top * y, w * x, h * y))
            crowd = group is not None and len(row) > group and row[group].strip() == "1"
            crowds += crowd
            picture.things.append(Thing(names.get(label, label), box, crowd=crowd))
    found.pictures = [picture for picture in pictures.values() if picture is not None]
    used = {thing.label for picture in found.pictures for thing in picture.things}
    found.classes = in_order(used)
    if crowds:
        found.notes.append(f"{crowds} boxes are of groups of objects (IsGroupOf) and have `iscrowd` 1.")
    if not names and any(label.startswith("/m/") for label in found.classes):
        found.notes.append(
            "Classes go by Open Images' own signs, such as /m/01g317: put class-descriptions-boxable.csv into the "
            "folder for their names."
        )
    skip_unlisted(tree, found, {picture.path for picture in found.pictures}, "no line is about this image")
    return found


def _picture(name: str, file: Path, tree: Tree, found: Source, place: str) -> Picture | None:
    image = located(tree, found, place, file, name, what="the image")
    if image is None:
        return None
    path, sizes = image
    split = split_in(tree.name_of(path)) or split_in(Path(tree.relative(file)).with_suffix(""))
    return Picture(path, tree.name_of(path), *sizes[1], split=split)


def _rows(path: Path) -> Iterator[list[str]]:
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        yield from csv.reader(file)


def _descriptions(tree: Tree, boxes: list[Path]) -> dict[str, str]:
    """The names of classes by their signs, from a CSV of two columns that begins with /m/ or LabelName."""
    found: dict[str, str] = {}
    for path in tree.files(".csv"):
        if path in boxes:
            continue
        for at, row in enumerate(_rows(path)):
            if at == 0 and (len(row) != 2 or not (row[0].startswith("/") or row[0] == "LabelName")):
                break
            if len(row) == 2 and row[0].startswith("/"):
                found[row[0]] = row[1].strip()
    return found
