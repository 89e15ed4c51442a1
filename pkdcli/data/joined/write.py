"""One annotation file of several: images by their paths below a common folder, classes by their names."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pkdcli.data.annotations.coco_file import collector_paused, read_file
from pkdcli.data.annotations.read import Annotations, read
from pkdcli.data.checks.split_overlap import shared_images
from pkdcli.data.images.file_names import path_of
from pkdcli.errors import PkdError
from pkdcli.recipe.schema import Part
from pkdcli.runs.store import write_with

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODE = msgspec.json.Encoder().encode


@dataclass
class _Joined:
    """What is known of a split while its parts are put together."""

    image_of: dict[tuple[int, int], int] = field(default_factory=dict)  # by a file's device and number, its new id
    images: list[bytes] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    n_same: int = 0


def common_folder(parts: Sequence[Part], where: str) -> Path:
    """The innermost folder that holds the image folders of all parts.

    Args:
        parts: With absolute paths.
        where: The data set and split, for messages.

    Raises:
        PkdError: They lie on different drives.
    """
    folders = [os.path.normpath(part.images) for part in parts]
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:
        raise PkdError(
            f"{where}: the image folders {', '.join(folders)} lie on different drives.",
            "Move or link them below one folder.",
        ) from None


def join(parts: Sequence[Part], classes: Sequence[str], names: Mapping[str, str], file: Path, where: str) -> list[str]:
    """Write one annotation file of several.

    Ids stay where no two files use the same; else images and annotations are numbered anew from 1. An image file that
    several parts list is one image, with the annotations of all; what they say alike stands there once.

    Args:
        parts: What is joined, in this order, with absolute paths.
        classes: All classes of the data set, by their new names.
        names: New names by old ones.
        file: The JSON file to write.
        where: The data set and split, for messages.

    Returns:
        What a user should know of it, one sentence each.

    Raises:
        PkdError: A part can't be read, naming it; or the file can't be written.
    """
    truths = [read(Path(part.annotations), where=where, segmentations=False) for part in parts]
    root = common_folder(parts, where)
    anew = [name for name in ("image_id", "id") if _clash([getattr(truth, name) for truth in truths])]
    found, annotations = _Joined(), []
    with collector_paused():
        for part, truth in zip(parts, truths, strict=True):
            annotations.append((part, truth, _images(part, truth, root, "image_id" in anew, found, where)))
        new_class = [[classes.index(names.get(name, name)) + 1 for name in truth.classes] for truth in truths]
        write_with(
            file,
            lambda beside: _write(beside, annotations, classes, new_class, found, anew="id" in anew, where=where),
        )
    return _said(parts, truths, found, anew)


def _clash(ids: Sequence[np.ndarray]) -> bool:
    every = np.concatenate(ids)
    return len(np.unique(every)) < len(every)


def _items(part: Part, name: str, where: str) -> Iterator[dict[str, Any]]:
    """The items of a list of an annotation file, whose values are not read."""
    listed = read_file(Path(part.annotations), (name,), where)
    for one in listed.parts[name]:
        if listed.text is not None:
            yield _OBJECT.decode(one)
        else:  # NaN and the like, which msgspec does not take
            yield {key: msgspec.Raw(json.dumps(value).encode()) for key, value in one.items()}


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


def _images(part: Part, truth: Annotations, root: Path, anew: bool, found: _Joined, where: str) -> np.ndarray:
    """Add the images of a part; int64 (N,), the new id of each."""
    ids = np.zeros(len(truth.image_id), dtype=np.int64)
    here: dict[tuple[int, int], int] = {}  # what one part lists twice stays so, and is said by its check
    for place, one in enumerate(_items(part, "images", where)):
        path = path_of(part.images, truth.file_name[place])
        name = os.path.relpath(path, root).replace(os.sep, "/")
        key = _file_of(path)
        if key is not None and key in found.image_of:
            ids[place] = found.image_of[key]
            found.twice.append(name)
            continue
        ids[place] = len(found.images) + 1 if anew else truth.image_id[place]
        if key is not None:
            here.setdefault(key, int(ids[place]))
        found.images.append(_ENCODE(one | {"id": _raw(int(ids[place])), "file_name": _raw(name)}))
    found.image_of |= here
    return ids


def _file_of(path: Path) -> tuple[int, int] | None:
    """What makes a file the same file, whatever leads to it; None where it is missing."""
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return None
    return state.st_dev, state.st_ino


def _write(
    file: Path,
    annotations: list[tuple[Part, Annotations, np.ndarray]],
    classes: Sequence[str],
    new_class: list[list[int]],
    found: _Joined,
    *,
    anew: bool,
    where: str,
) -> None:
    of_class = [{"id": place, "name": name} for place, name in enumerate(classes, 1)]
    shared = _shared_ids(annotations)
    known: set[tuple[int, int, tuple[float, ...]]] = set()
    number = 0
    with open(file, "wb") as out:
        out.write(b'{"images":[' + b",\n".join(found.images) + b"],\n")
        out.write(b'"categories":' + _ENCODE(of_class) + b',\n"annotations":[')
        for (part, truth, ids), categories in zip(annotations, new_class, strict=True):
            here = set()
            for place, one in enumerate(_items(part, "annotations", where)):
                image, category = int(ids[truth.image[place]]), categories[truth.category[place]]
                if image in shared:
                    same = (image, category, tuple(truth.bbox[place].tolist()))
                    if same in known:  # of another part: copies within one stay, and are found by the check
                        found.n_same += 1
                        continue
                    here.add(same)
                number += 1
                one |= {"id": _raw(number if anew else int(truth.id[place]))}
                one |= {"image_id": _raw(image), "category_id": _raw(category)}
                out.write((b",\n" if number > 1 else b"") + _ENCODE(one))
            known |= here
        out.write(b"]}\n")


def _shared_ids(annotations: list[tuple[Part, Annotations, np.ndarray]]) -> set[int]:
    """New ids of images that several parts have."""
    seen: set[int] = set()
    shared: set[int] = set()
    for _, _, ids in annotations:
        here = set(ids.tolist())
        shared |= seen & here
        seen |= here
    return shared


def _said(parts: Sequence[Part], truths: Sequence[Annotations], found: _Joined, anew: list[str]) -> list[str]:
    files = " and ".join(part.annotations for part in parts)
    said = []
    if anew:
        what = " and ".join({"image_id": "images", "id": "annotations"}[name] for name in anew)
        said.append(f"{files} use the same ids: {what} are numbered anew from 1.")
    if found.twice:
        same = f"; {found.n_same} annotations that several have alike count once" if found.n_same else ""
        said.append(
            f"{len(found.twice)} images are listed in several of {files}, the first is {found.twice[0]}: each is one "
            f"image with the annotations of all{same}."
        )
    listed = set(found.twice)
    for place, part in enumerate(parts):
        for first, other in zip(parts[:place], truths, strict=False):
            ours, theirs = (Path(first.images), other.file_name), (Path(part.images), truths[place].file_name)
            copies = shared_images(ours, theirs)
            root = common_folder(parts, "")
            copies = [one for one in copies if os.path.relpath(path_of(part.images, one), root) not in listed]
            if copies:
                said.append(
                    f"{len(copies)} images of {part.annotations} have the content of one of {first.annotations}, the "
                    f"first is {copies[0]}: each is there twice. Take them out of one of the two."
                )
    return said
