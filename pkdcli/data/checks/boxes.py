"""Checks of how the boxes of a split are written: what is refused before training, and what is odd."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from pkdcli.data.annotations.read import Annotations
from pkdcli.data.checks.findings import Findings

_ENOUGH = 8  # boxes below which nothing is said of how all of them are written
_SURE = 5  # boxes that must leave their picture before all are taken for written in another way


def unusable_why(truth: Annotations) -> str:
    """What to do where no box of a split can be used, by what is wrong with them."""
    boxes = truth.bbox
    small = (boxes[:, 2:] < 1).any(axis=1)
    causes = [
        (
            truth.iscrowd,
            "{} have `iscrowd` 1, which marks a region of many objects: set it to 0 for single objects.",
        ),
        (truth.ignore, "{} have `ignore` 1, which leaves them out: set it to 0, or remove the key."),
        (
            ~small & (truth.area <= 0),
            "{} have an `area` of 0 or below and a box of a width and height: remove `area`, which is then width x "
            "height, or correct it.",
        ),
        (
            small & (boxes >= 0).all(axis=1) & (boxes <= 1).all(axis=1) & boxes.any(axis=1),
            "{} have a `bbox` of numbers from 0 to 1, which seem to be fractions of the picture: multiply them by its "
            "width and height.",
        ),
    ]
    told = [text.format(_of(mask)) for mask, text in causes if mask.any()]
    if not told or (small | truth.outside)[~truth.iscrowd & ~truth.ignore].any():
        told.append(
            "bbox is [x, y, width, height] in pixels with width and height of at least 1, and inside the image."
        )
    return " ".join(told)


def _of(mask: np.ndarray) -> str:
    return f"All {len(mask)}" if mask.all() else f"{int(mask.sum())} of {len(mask)}"


def check_form(truth: Annotations, accept: Collection[str], found: Findings) -> list[str]:
    """Refuse boxes that are written in another way than [x, y, width, height], or twice.

    Boxes that leave their picture betray it: if most do not once they are read as corners, or with width and height
    swapped, or from their centre, then that is what they are.

    Args:
        truth: The split.
        accept: Names of what the data recipe lets pass.
        found: Takes what is refused.

    Returns:
        What is odd but let pass, one sentence each.
    """
    odd = []
    for name, text, hint in (*_other_form(truth), *_doubled(truth)):
        if hint and name not in accept:
            hint = f"{hint} {let_pass(name)}"
            found.add(text, "", hint)
        else:
            odd.append(f"{text}.")
    return odd


def let_pass(name: str) -> str:
    """How to do with what the check refuses, in a sentence.

    Args:
        name: One of the words of `accept` in a data recipe.
    """
    return (
        f"If they are right all the same, write `accept: [{name}]` into the data recipe, or add --allow-bad-data to "
        "the command."
    )


def form_of(truth: Annotations) -> str | None:
    """How boxes are written, if it is another form than [x, y, width, height] in which they would fit: as `accept`."""
    return next((name for name, _, _ in _other_form(truth) if name), None)


def beyond(truth: Annotations) -> np.ndarray:
    """bool (M,): boxes that reach beyond their picture by more than a pixel and a hundredth of its side."""
    size = truth.size[truth.image]
    return ~_fits(truth.bbox[:, :2], truth.bbox[:, :2] + truth.bbox[:, 2:], size, 1 + 0.01 * size)


def mostly_outside(truth: Annotations) -> str | None:
    """What to say of a split most of whose boxes leave their picture; None of another."""
    judged = ~truth.iscrowd & (truth.bbox[:, 2:] > 0).all(axis=1)
    out = beyond(truth)[judged]
    if len(out) < _ENOUGH or 2 * out.sum() <= len(out):
        return None
    first = int(np.flatnonzero(judged)[out][0])
    return (
        f"{int(out.sum())} of {len(out)} boxes reach beyond their picture, the first is annotations[{first}] (id "
        f"{int(truth.id[first])}) in {truth.file_name[truth.image[first]]}"
    )


def _other_form(truth: Annotations) -> list[tuple[str, str, str]]:
    judged = ~truth.iscrowd & (truth.bbox[:, 2:] > 0).all(axis=1)
    boxes, size = truth.bbox[judged], truth.size[truth.image[judged]]
    if len(boxes) < _ENOUGH:
        return []
    begin, extent = boxes[:, :2], boxes[:, 2:]
    slack = 1 + 0.01 * size  # rounding, and boxes drawn a little over the edge
    out = ~_fits(begin, begin + extent, size, slack)
    share = out.mean()
    if share < 0.1:
        return []
    text = f"{int(out.sum())} of {len(boxes)} boxes reach beyond their picture"
    first = int(np.flatnonzero(judged)[out][0])
    place = f"annotations[{first}].bbox = {[float(f'{side:g}') for side in truth.bbox[first]]} in a picture of "
    place += " x ".join(f"{side:g}" for side in truth.size[truth.image[first]])
    readings = {
        "corners": (begin, extent, size, "the corners [x1, y1, x2, y2]", "write [x1, y1, x2 - x1, y2 - y1]"),
        "swapped": (begin, begin + extent[:, ::-1], size, "[x, y, height, width]", "swap the last two"),
        "swapped-sizes": (begin, begin + extent, size[:, ::-1], "right, and `width` and `height` of the images swapped",
                          "swap these"),
        "centres": (begin - extent / 2, begin + extent / 2, size, "[centre x, centre y, width, height]",
                    "write [x - width / 2, y - height / 2, width, height]"),
    }  # fmt: skip
    for name, (start, end, sides, meaning, remedy) in readings.items():
        right = _fits(start, end, sides, 1 + 0.01 * sides) & (end > start).all(axis=1)
        if right.mean() >= 0.995 and out.sum() >= _SURE and (name == "corners" or len(boxes) >= 20):
            rest = f"all but {int((~right).sum())}" if not right.all() else "all"
            message = f"{text}, the first is {place}; {rest} would lie in theirs if they were {meaning}"
            return [(name, message, f"`bbox` is [x, y, width, height] in pixels: {remedy}.")]
    inside = ~truth.outside[judged]
    share, text = out[inside].mean(), f"{int(out[inside].sum())} of {len(boxes)} boxes reach beyond their picture"
    if share < 0.1 or inside.sum() < _ENOUGH:
        return []
    return [("", f"{text} by more than a hundredth of its side, the first is {place}", "")]


def _fits(begin: np.ndarray, end: np.ndarray, size: np.ndarray, slack: np.ndarray) -> np.ndarray:
    return (begin >= -slack).all(axis=1) & (end <= size + slack).all(axis=1)


def copies(truth: Annotations) -> np.ndarray:
    """bool (M,): boxes that stand before in the same image with the same class and numbers."""
    again = np.ones(len(truth.image), dtype=bool)
    again[_first_of_equals(truth)[0]] = False
    return again


def _first_of_equals(truth: Annotations) -> tuple[np.ndarray, np.ndarray]:
    """The place of the first of each set of equal boxes, and how many there are of it."""
    columns = np.column_stack([truth.image, truth.category, (truth.bbox + 0.0).view(np.int64)]).view(np.uint64)
    mixed = np.zeros(len(truth.image), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for column in columns.T:  # a hash: 64 bits, by the multiplier of Knuth's generator
            mixed = (mixed ^ column) * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
            mixed ^= mixed >> np.uint64(29)
    _, first, counts = np.unique(mixed, return_index=True, return_counts=True)
    return first, counts


def _doubled(truth: Annotations) -> list[tuple[str, str, str]]:
    """Boxes that stand more than once in the same image with the same class."""
    n = len(truth.image)
    if not n:
        return []
    first, counts = _first_of_equals(truth)
    again = n - len(first)
    if not again:
        return []
    index = int(np.min(first[counts > 1]))
    image = truth.file_name[truth.image[index]]
    text = f"{again} of {n} boxes stand there before, with the same image, class and numbers, the first in {image}"
    hint = "Of two equal boxes a detector finds one, so half of them count as missed: remove the copies."
    return [("doubled", text, hint if again >= n / 4 else "")]


def check_names(truth: Annotations) -> list[str]:
    """Say which image files are listed more than once."""
    if len(set(truth.file_name)) == len(truth.file_name):
        return []
    seen: set[str] = set()
    again = [name for name in truth.file_name if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
    total = len(truth.file_name)
    return [f"{len(again)} of {total} images are listed before under another id, the first is {again[0]}."]
