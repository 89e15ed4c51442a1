"""COCO JSON, one file or one a split: read by the one reader of annotations that pkd has."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pkdcli.data.annotations.masks import NO_MASK
from pkdcli.data.annotations.read import Annotations
from pkdcli.data.annotations.read import read as read_annotations
from pkdcli.data.importers.files import Tree, sizes_of
from pkdcli.data.importers.source import Picture, Source, Thing, split_in

FORM = "COCO"


def read(tree: Tree, files: list[Path]) -> Source:
    """The pictures of COCO files.

    Args:
        tree: The files of the source.
        files: The JSON files; one whose name or folder names a split is that split.

    Raises:
        PkdError: A file that can't be read as COCO JSON, with the key path of what is wrong.
    """
    found = Source(FORM, tree.root)
    taken: dict[Path, str] = {}
    for file in files:
        truth = read_annotations(file)
        split = split_in(Path(tree.relative(file)).with_suffix("")) if len(files) > 1 else None
        found.classes += [name for name in truth.classes if name not in found.classes]
        _add(truth, tree, split, found, taken)
    return found


def _add(truth: Annotations, tree: Tree, split: str | None, found: Source, taken: dict[Path, str]) -> None:
    said = tree.relative(truth.file)
    order = np.argsort(truth.image, kind="stable")
    ends = np.searchsorted(truth.image[order], np.arange(len(truth.file_name) + 1))
    folder = truth.file.parent / "images"
    for place, name in enumerate(truth.file_name):
        where = f"{said}, image {int(truth.image_id[place])}"
        # Of several images of one name the one in the folder of the split is meant.
        hints = [f"{split}/{name}"] if split else []
        path = next((one for hint in (*hints, name) if (one := tree.image(hint, folder))), None)
        if path is None:
            found.skip(where, f"its image {name!r} is not there, or several have that name")
            continue
        if path in taken:
            found.skip(where, f"{tree.name_of(path)} was taken already ({taken[path]})")
            continue
        sizes = sizes_of(path)
        width, height = truth.size[place].tolist()
        if isinstance(sizes, str):
            found.skip(where, f"its image {tree.name_of(path)} {sizes}")
            continue
        if (width, height) not in sizes:
            found.skip(
                where,
                f"is annotated as {width:g} x {height:g}, but {tree.name_of(path)} is {sizes[1][0]} x {sizes[1][1]}",
            )
            continue
        taken[path] = where
        picture = Picture(path, tree.name_of(path), int(width), int(height), split=split)
        for index in order[ends[place] : ends[place + 1]].tolist():
            thing = Thing(
                truth.classes[truth.category[index]],
                tuple(truth.bbox[index].tolist()),
                ignore=bool(truth.ignore[index]),
                crowd=bool(truth.iscrowd[index]),
                area=float(truth.area[index]),
            )
            if truth.mask[index] != NO_MASK:
                thing.segmentation = truth.segmentation(index)
            if min(thing.bbox[2:]) <= 0:
                found.skip(f"{said}, annotation {int(truth.id[index])}", "its box has no width or height")
            else:
                picture.things.append(thing)
        found.pictures.append(picture)
