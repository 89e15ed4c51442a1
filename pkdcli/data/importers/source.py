"""What every importer makes of its files: pictures with their objects, and what was passed over."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

SPLITS = ("train", "val", "test")
_SPLIT_WORDS = {
    "train": "train", "training": "train", "trainval": "train", "val": "val", "valid": "val", "validation": "val",
    "dev": "val", "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(slots=True)
class Thing:
    """One object of a picture.

    Attributes:
        label: The name of its class.
        bbox: x, y, width, height in pixels; the first pixel begins at 0.
        ignore: It is neither learned nor counted, as VOC's difficult objects.
        crowd: It is a region of many objects.
        segmentation: Polygons or run lengths as COCO has them; None for a box alone.
        area: In square pixels; None for that of the box.
    """

    label: str
    bbox: tuple[float, float, float, float]
    ignore: bool = False
    crowd: bool = False
    segmentation: Any = None
    area: float | None = None


@dataclass(slots=True)
class Picture:
    """One image and what is on it.

    Attributes:
        path: The image file.
        name: What it is called in the new data set: its path below the folder of the source, with slashes.
        width: In pixels, as its boxes were drawn.
        height: The same.
        things: Its objects.
        split: train, val or test, where the source says so.
    """

    path: Path
    name: str
    width: int
    height: int
    things: list[Thing] = field(default_factory=list)
    split: str | None = None


@dataclass(slots=True)
class Passed:
    """What was left out of an import.

    Attributes:
        file: The file, with a line or an object's number where it is a part of one.
        why: In words.
        wrong: Whether something is wrong with it; a picture that nobody labelled is only left out.
    """

    file: str
    why: str
    wrong: bool = True


@dataclass
class Source:
    """What was read from one place.

    Attributes:
        form: The name of the form, such as `Pascal VOC`.
        root: The folder it lies in.
        classes: Names of the classes, in the source's order.
        pictures: In the order of their names.
        passed: What was left out.
        notes: What a user should know of how the rest was read, one sentence each.
    """

    form: str
    root: Path
    classes: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def skip(self, file: object, why: str, wrong: bool = True) -> None:
        """Leave a file, or a part of one, out.

        Args:
            file: Its path, or a text that begins with it.
            why: In words, without a full stop.
            wrong: Whether something is wrong with it.
        """
        self.passed.append(Passed(str(file), why, wrong))


def split_in(path: PurePath | str) -> str | None:
    """The split that a part of a path names: `train/images/a.jpg`, `instances_val2017.json`."""
    for part in reversed(PurePath(path).parts):
        words = part.lower().replace("-", "_").replace(".", "_").split("_")
        found = {_SPLIT_WORDS[bare] for word in words if (bare := word.rstrip("0123456789")) in _SPLIT_WORDS}
        if len(found) == 1:
            return found.pop()
    return None


def in_order(labels: Iterable[str], first: Iterable[str] = ()) -> list[str]:
    """Names of classes, each once.

    Args:
        labels: All that are used; those that `first` lacks follow it by the alphabet.
        first: In an order of their own.
    """
    known = list(dict.fromkeys(first))
    return known + sorted(set(labels) - set(known))


def finite(text: str | None) -> float | None:
    """The number that a text is; None where it is none, or not finite."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
