"""Faults of single annotations, each with its id and its image; the rules are those of the checks before a training."""

from __future__ import annotations

import numpy as np

from pkdcli.data.annotations.read import Annotations
from pkdcli.data.checks.boxes import beyond, copies
from pkdcli.data.checks.coco import MIN_SIDE
from pkdcli.data.images.file_names import folded
from pkdcli.data.survey.faults import ODD, Fault, fault

SAFE = 2**53
"""Ids above this lose their last digits in programs that read numbers as floats, browsers among them."""


def place(truth: Annotations, index: int) -> str:
    """Where an annotation stands: its image, its id and its box.

    Args:
        truth: The split.
        index: The annotation's place in the file.
    """
    box = ", ".join(f"{side:g}" for side in truth.bbox[index])
    return f"{truth.file_name[truth.image[index]]}: annotation {int(truth.id[index])} [{box}]"


def of_annotations(split: str, truth: Annotations) -> list[Fault]:
    """What is wrong with single annotations of a split that can be read. Where it spoils a training the check says so.

    Args:
        split: Its name.
        truth: The split.
    """
    boxes = truth.bbox
    kept = ~truth.iscrowd
    flat = (boxes[:, 2:] < 1).any(axis=1) & kept
    fractions = flat & (boxes >= 0).all(axis=1) & (boxes <= 1).all(axis=1) & boxes.any(axis=1)
    outside = truth.outside & ~flat & kept
    over = beyond(truth) & ~outside & ~flat & kept
    again = copies(truth)

    def found(kind: str, which: np.ndarray, text: str, remedy: str) -> list[Fault]:
        places = np.flatnonzero(which)
        made = fault(split, kind, ODD, text, (place(truth, int(one)) for one in places[:50]), remedy)
        for one in made:
            one.text, one.count = text.format(n=len(places)), len(places)
        return made

    return [
        *found("normalised", fractions, "{n} boxes are fractions of the picture, not pixels",
               "multiply them by width and height (--fix does)"),
        *found("zero-size", flat & ~fractions, "{n} boxes have a side below one pixel", "correct or remove them"),
        *found("box-outside", outside, "{n} boxes lie outside their picture", "correct or remove them"),
        *found("box-beyond", over, "{n} boxes reach beyond their picture", "cut them off at its edge (--fix does)"),
        *found("doubled", again, "{n} boxes stand there before, in the same image with the same class and numbers",
               "remove the copies (--fix does)"),
        *found("area", (truth.area <= 0) & ~flat, "{n} annotations have an area of 0 or below, and are not learned",
               "remove `area` (--fix does)"),
        *found("huge-id", truth.id > SAFE,
               f"{{n}} annotations have ids above {SAFE}, which not every tool can tell apart",
               "number them anew (--fix does)"),
    ]  # fmt: skip


def of_images(split: str, truth: Annotations) -> list[Fault]:
    """What is odd about the list of images.

    Args:
        split: Its name.
        truth: The split.
    """
    with_box = np.zeros(len(truth.image_id), dtype=bool)
    with_box[truth.image[truth.image >= 0]] = True
    names = truth.file_name
    bare = [names[one] for one in np.flatnonzero(~with_box)]
    small = [names[one] for one in np.flatnonzero(truth.size.min(axis=1) < MIN_SIDE)] if len(names) else []
    huge = [f"{names[one]}: image {int(truth.image_id[one])}" for one in np.flatnonzero(truth.image_id > SAFE)]
    return [
        *fault(split, "empty", ODD, "{n} images have no boxes", bare,
               "`background: true` in the data recipe trains on them"),
        *fault(split, "small-image", ODD, f"{{n}} images have a side below {MIN_SIDE} pixels, and are not trained on",
               small, "enlarge them, with their boxes"),
        *fault(split, "huge-id", ODD, f"{{n}} images have ids above {SAFE}, which other tools can't tell apart", huge,
               "number them anew (--fix does)"),
        *fault(split, "capitals", ODD, "{n} file names differ from others in capital letters only", _by_case(names),
               "rename them: Windows and macOS take both for one file"),
    ]  # fmt: skip


def _by_case(names: list[str]) -> list[str]:
    first: dict[str, str] = {}
    found = []
    for name in names:
        other = first.setdefault(folded(name), name)
        if other != name:
            found.append(f"{name} and {other}")
    return found
