"""Which detections found which objects, by COCO's rules, for all images, classes, sizes and IoU thresholds at once.

hotcoco matches as fast, but hands its matches over as a dictionary for every image and class, which takes 20 s for
COCO's validation images. Who wants metrics of many subsets of the images (resamples) needs the matches once, as arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pkdcli.data.scoring.ground_truth import GroundTruth

IOUS = np.linspace(0.5, 0.95, 10)
"""COCO's thresholds."""
AREAS = ((0.0, 1e10), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e10))
"""COCO's sizes of objects in square pixels, both ends included: all, small, medium, large."""


@dataclass(frozen=True)
class Matches:
    """Detections in the order in which the metrics count them: by class, the highest score first.

    Attributes:
        image: int64 (N,), the place of each detection's image among those that were evaluated.
        label: int64 (N,), the place of its class among those that were evaluated, ascending.
        found: bool (N, 4, 10), whether it found an object that counts, by size and IoU threshold.
        ignored: bool (N, 4, 10), whether it counts neither as right nor as wrong.
        in_range: bool (N, 4), whether its own area is of that size.
        objects: int64 (images, 4, classes), how many objects count, by size.
    """

    image: np.ndarray
    label: np.ndarray
    found: np.ndarray
    ignored: np.ndarray
    in_range: np.ndarray
    objects: np.ndarray


def matched(
    truth: GroundTruth, rows: np.ndarray, classes: Sequence[int], images: Sequence[int], most: int = 100
) -> Matches:
    """Match detections with objects.

    Args:
        truth: The annotations.
        rows: float64 (N, 7): image number, x, y, width, height, score, class number.
        classes: Numbers of the classes to evaluate.
        images: Numbers of the images to evaluate.
        most: Detections that count per image and class, the highest scores.
    """
    classes, images = np.unique(classes), np.unique(images)
    objects = _objects(truth, classes, images)
    image, label = _places(rows[:, 0], images), _places(rows[:, 6], classes)
    known = np.flatnonzero((image >= 0) & (label >= 0))
    group = image[known] * len(classes) + label[known]
    order = np.lexsort((-rows[known, 5], group))  # stable: equal scores stay as they were
    rank = _ranks(group[order])
    kept, group = known[order[rank < most]], group[order[rank < most]]
    area = rows[kept, 3] * rows[kept, 4]
    in_range = np.stack([(area >= low) & (area <= high) for low, high in AREAS], axis=1)
    found, spent = _greedy(rows[kept, 1:5], group, objects)
    # What found no object at all, and is of another size, counts in neither way.
    ignored = spent | (~found & ~in_range[:, :, None])
    order = np.lexsort((np.arange(len(kept)), -rows[kept, 5], label[kept]))
    counted = np.zeros((len(images) * len(classes), len(AREAS)), dtype=np.int64)
    np.add.at(counted, objects.group, ~objects.ignored)
    counted = counted.reshape(len(images), len(classes), len(AREAS)).transpose(0, 2, 1)
    return Matches(image[kept][order], label[kept][order], found[order], ignored[order], in_range[order], counted)


@dataclass(frozen=True)
class _Objects:
    """Objects in the order of their groups (an image's objects of one class), within one in the file's order.

    Attributes:
        group: int64 (M,), ascending.
        box: float64 (M, 4): x, y, width, height.
        crowd: bool (M,), whether any number of detections may find it, none of which counts.
        ignored: bool (M, 4), whether it does not count, by size.
    """

    group: np.ndarray
    box: np.ndarray
    crowd: np.ndarray
    ignored: np.ndarray


def _objects(truth: GroundTruth, classes: np.ndarray, images: np.ndarray) -> _Objects:
    own = truth.annotations
    image = _places(_numbers(truth.images)[own.image], images)
    label = _places(_numbers(truth.classes)[own.category], classes)
    known = np.flatnonzero((image >= 0) & (label >= 0))
    group = image[known] * len(classes) + label[known]
    order = np.argsort(group, kind="stable")
    known = known[order]
    crowd, area = (own.iscrowd | own.ignore)[known].astype(bool), own.area[known]
    beyond = np.stack([(area < low) | (area > high) for low, high in AREAS], axis=1)
    return _Objects(group[order], own.bbox[known].astype(np.float64), crowd, beyond | crowd[:, None])


def _greedy(boxes: np.ndarray, group: np.ndarray, objects: _Objects) -> tuple[np.ndarray, np.ndarray]:
    """The highest score takes the object that it covers best, then the next score, in each group by itself.

    Args:
        boxes: float64 (N, 4): x, y, width, height; of one group together, the highest score first.
        group: int64 (N,), ascending.
        objects: What there is to find.

    Returns:
        bool (N, 4, 10) each: found an object that counts; found one that does not.
    """
    shape = (len(boxes), len(AREAS), len(IOUS))
    found, spent = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    detection, thing, iou = _overlaps(boxes, group, objects)
    if not len(detection):
        return found, spent
    taken = np.zeros((len(objects.group), *shape[1:]), dtype=bool)
    reach = np.minimum(IOUS, 1 - 1e-10)
    first = np.flatnonzero(np.diff(detection, prepend=-1))  # the first overlap of each detection that has one
    count = np.diff(first, append=len(detection))
    turn = _ranks(group[detection[first]])
    for now in range(int(turn.max()) + 1):  # all groups at once, each at its next detection
        mine = np.flatnonzero(turn == now)
        best = np.zeros((len(mine), *shape[1:]))
        chosen = np.full(best.shape, -1, dtype=np.int64)
        counts = np.zeros(best.shape, dtype=bool)  # whether the chosen one counts
        for step in range(int(count[mine].max())):  # its objects in the file's order: of equals the last is taken
            has = np.flatnonzero(count[mine] > step)
            pair = first[mine[has]] + step
            other = thing[pair]
            much = iou[pair, None, None]
            free = (~taken[other] | objects.crowd[other, None, None]) & (much >= reach)
            real = np.broadcast_to(~objects.ignored[other][:, :, None], free.shape)
            # One that counts goes before one that does not, however well that is covered.
            better = free & ((real & ~counts[has]) | ((real == counts[has]) & (much >= best[has])))
            at = np.nonzero(better)
            rows = (has[at[0]], *at[1:])
            best[rows], chosen[rows], counts[rows] = iou[pair][at[0]], other[at[0]], real[at]
        at = np.nonzero(chosen >= 0)
        taken[(chosen[at], *at[1:])] = True
        here = (detection[first[mine]][at[0]], *at[1:])
        found[here], spent[here] = counts[at], ~counts[at]
    return found, spent


def _overlaps(boxes: np.ndarray, group: np.ndarray, objects: _Objects) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Detections and objects of the same group that overlap by the lowest threshold or more: places, and IoU."""
    begin = np.searchsorted(objects.group, group, side="left")
    count = np.searchsorted(objects.group, group, side="right") - begin
    detection = np.repeat(np.arange(len(boxes)), count)
    thing = np.arange(len(detection)) + np.repeat(begin - np.cumsum(count) + count, count)
    a, b = boxes[detection], objects.box[thing]
    sides = np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = np.where((sides > 0).all(axis=1), sides[:, 0] * sides[:, 1], 0.0)
    own = a[:, 2] * a[:, 3]
    union = np.where(objects.crowd[thing], own, own + b[:, 2] * b[:, 3] - shared)
    iou = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    near = iou >= IOUS[0]
    return detection[near], thing[near], iou[near]


def _numbers(places: np.ndarray) -> np.ndarray:
    """The number, from 1, of each place in the file."""
    numbers = np.empty(len(places), dtype=np.int64)
    numbers[places] = np.arange(1, len(places) + 1)
    return numbers


def _places(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """int64, where each value stands in an ascending list; -1 where it does not."""
    if not len(among):
        return np.full(len(values), -1, dtype=np.int64)
    place = np.minimum(np.searchsorted(among, values), len(among) - 1)
    return np.where(among[place] == values, place, -1)


def _ranks(groups: np.ndarray) -> np.ndarray:
    """How many of the same group stand before each; groups are together."""
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    return np.arange(len(groups)) - np.repeat(starts, np.diff(starts, append=len(groups)))
