"""Data that can't be learned from: what the check has found, and labels that contradict the pictures."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from pkdcli.errors import PkdError
from pkdcli.reporting.diagnosis.beside import taught_by_the_same_labels
from pkdcli.reporting.diagnosis.cause import Cause, Evidence, ramp, text
from pkdcli.reporting.table import points

if TYPE_CHECKING:
    from pkdcli.data.scoring.ground_truth import GroundTruth
    from pkdcli.data.scoring.predictions import Detections
    from pkdcli.reporting.diagnosis.facts import Facts

IMAGES = 300
"""So many images are looked at: the share of right labels is known to 2 % then, and it takes a second."""
FOUND = (0.5, 0.7)
"""The share of objects that must be found, by boxes alone, before their labels say anything. `SURE` boxes of a student
that has learned little find 3 to 6 of 10, those of one that knows where objects are 7 to 8, whatever it calls them."""
SURE = 2
"""So many of the surest boxes are looked at for each object: a hundred of them find large objects by chance."""
KNOWN = (0.2, 0.05)
"""Where right labels lie between guessing (0) and never wrong (1). Students that gained: 0.8 and more; weak ones, whose
boxes are good: 0.2 to 0.7. Names that contradict the pictures can't be learned at all: 0, and of a few hundred objects
0.05 at most."""
COMMON = (0.6, 0.4)
"""Share of the commonest class. Where most objects are of one, a weak student calls all of them so, and is as good as
guessing with labels that are all right."""
TOLD = 0.4
"""The score of mere warnings of the check: worth knowing, and seldom the reason."""
APART = (0.7, 0.35)
"""The teacher's AP50 on training images as a share of that on validation images: a teacher that has seen them is better
on them, and one that has not is as good."""


CERTAIN = 20.0
"""AP50 below which a teacher is no judge of labels."""


def faults(facts: Facts) -> Cause | None:
    """What the check of the data has found."""
    from pkdcli.data.prepare import spoils

    spoilt = {}
    with suppress(PkdError, OSError):
        spoilt = spoils(facts.recipe.data.model_copy(update={"accept": []}), facts.cache)
    said = facts.result.get("data_warnings")
    warnings = [one for one in said if isinstance(one, str)] if isinstance(said, list) else []
    if not spoilt and not warnings:
        return None
    evidence = [Evidence(f"data check: {word}", said, "nothing") for word, said in spoilt.items()]
    evidence += [Evidence("data check", said, "nothing") for said in warnings if said not in "\n".join(spoilt.values())]
    return Cause("data", "the data has faults", 0.9 if spoilt else TOLD, evidence, "Look at the whole data set.",
                 f"pkd data check {facts.data_file}")  # fmt: skip


def labels(facts: Facts) -> Cause | None:
    """Objects are found and called by wrong names: the classes of training and validation contradict each other."""
    evidence, scores = [], [0.0]
    told = _named(facts)
    if told is not None:
        found, right, guess, good = told
        certain = max(0.0, (right - guess) / (1 - guess))
        told_apart = 1.0 if right < 0.9 * guess else ramp(guess, *COMMON)
        learned = taught_by_the_same_labels(facts)
        scores.append(0.0 if learned else ramp(found, *FOUND) * ramp(certain, *KNOWN) * told_apart)
        evidence += [
            Evidence("objects that are found by the surest boxes", f"{100 * found:.0f} %", "80 %"),
            Evidence("of these, those called by the right class", f"{100 * right:.0f} %", good),
            Evidence("the same by guessing", f"{100 * guess:.0f} %", ""),
        ]
        evidence += [Evidence("the teacher, which learned from the same labels", "is right", "")] if learned else []
        evidence += [Evidence("classification loss, first to last quarter", *_falls(facts, "loss_cls"))]
    if facts.look and facts.distilled:
        train, val = (facts.look["teacher"].get(f"AP50_{split}") for split in ("train", "val"))
        if train is not None and val is not None:
            scores.append(ramp(train / val, *APART) if val > CERTAIN else 0.0)
            evidence.append(Evidence("AP50 of the teacher on training images, and on validation images",
                                     f"{points(train)}, {points(val)}", "about equal"))  # fmt: skip
    if not evidence:
        return None
    return Cause("labels", "the labels contradict the pictures: objects are found, and called by wrong names",
                 max(scores), evidence, "Look at the boxes and names of the training images, and at the order of "
                 "classes.", f"pkd data check {facts.data_file} --html sheet.html")  # fmt: skip


def _falls(facts: Facts, name: str) -> tuple[str, str]:
    values = facts.part(name)
    if len(values) < 8:
        return "-", ""
    quarter = len(values) // 4
    first, last = sum(values[:quarter]) / quarter, sum(values[-quarter:]) / quarter
    return f"{text(first)} to {text(last)}", "to less than half"


def _named(facts: Facts) -> tuple[float, float, float, str] | None:
    """Objects found by box, the share of these with the right name, that by guessing, and what is good; or None."""
    from pkdcli.data.scoring.ground_truth import load_annotations
    from pkdcli.data.scoring.predictions import read

    with suppress(PkdError, OSError, ValueError, KeyError, IndexError):
        truth, kept = load_annotations(facts.recipe.data.val.annotations), read(facts.paths.predictions)
        return (*named_rightly(kept, truth), "60 % or more")
    return None


def named_rightly(kept: Detections, truth: GroundTruth, images: int = IMAGES) -> tuple[float, float, float]:
    """How many objects are found by their boxes, and how many of these have the right name.

    An object is found where one of the surest boxes, of any class, overlaps it by half (IoU); the surest of these names
    it. There are `SURE` boxes for each object of the image, and no two of them overlap by half.

    Args:
        kept: A run's detections.
        truth: The annotations.
        images: Only the first so many.

    Returns:
        The share of objects that are found, the share of these named rightly, and the share of the commonest class:
        what guessing would get.
    """
    notes = truth.annotations
    numbers = np.array([notes.classes.index(name) for name in kept.classes])
    ends = np.cumsum(kept.counts)
    found, right, names = [], [], []
    for place, image in enumerate(kept.images[:images].tolist()):
        mine = np.flatnonzero((notes.image == truth.image_place(image)) & ~(notes.iscrowd | notes.ignore))
        rows = slice(ends[place] - kept.counts[place], ends[place])
        sure = rows.start + _surest(kept.boxes[rows], kept.scores[rows], SURE * len(mine))
        boxes, labels = kept.boxes[sure], numbers[kept.labels[sure]]
        for one in mine.tolist():
            x, y, width, height = notes.bbox[one]
            near = _iou(boxes, np.array([x, y, x + width, y + height])) >= 0.5
            found.append(bool(near.any()))
            name = int(notes.category[one])
            names.append(name)
            if near.any():
                right.append(labels[near][0] == name)
    if not right:
        raise ValueError("no object is found")
    guess = max(names.count(name) for name in set(names)) / len(names)
    return float(np.mean(found)), float(np.mean(right)), guess


def _surest(boxes: np.ndarray, scores: np.ndarray, count: int) -> np.ndarray:
    """The places of the boxes of the highest scores, the highest first, no two of which overlap by half.

    Args:
        boxes: (n, 4) as x1, y1, x2, y2.
        scores: (n).
        count: At most so many.
    """
    kept: list[int] = []
    for place in np.argsort(-scores, kind="stable").tolist():
        if len(kept) >= count:
            break
        if not kept or _iou(boxes[kept], boxes[place]).max() < 0.5:
            kept.append(place)
    return np.array(kept, dtype=np.int64)


def _iou(boxes: np.ndarray, one: np.ndarray) -> np.ndarray:
    """Overlaps of boxes (n, 4) with one, as x1, y1, x2, y2."""
    sides = np.minimum(boxes[:, 2:], one[2:]) - np.maximum(boxes[:, :2], one[:2])
    inside = np.prod(np.clip(sides, 0, None), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + np.prod(one[2:] - one[:2])
    return inside / np.maximum(areas - inside, 1e-9)
