"""COCO's metrics where each image counts with a weight of its own: a resample of the images is one set of weights.

With weights of one these are pycocotools' numbers. An image of weight two counts as if it were there twice, one of
weight zero as if it were not there.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from pkdcli.data.scoring.matches import AREAS, IOUS, Matches

RECALLS = np.linspace(0.0, 1.0, 101)
"""COCO's points on the curve of precision over recall."""


class Weighted:
    """Average precision of one run's matches for any weights of the images.

    What does not depend on the weights is worked out once: precision can only be highest at a detection that found an
    object, so of each curve these are kept alone (there are few), and how many detections that count stand before each
    is the difference of two sums: over the detections of the size that is looked at, which are the same for every IoU
    threshold, and over the few that count though they are of another size, or do not though they are of it.

    Attributes:
        matches: What was found.
    """

    def __init__(self, matches: Matches) -> None:
        self.matches = matches
        images, areas, labels = matches.objects.shape
        self._shape = (areas, len(IOUS), labels)
        self._objects = matches.objects.reshape(images, areas * labels).astype(np.float64)
        count = len(matches.image)
        # The curves: size, then IoU, then class; the detections of each are together, as they are in `matches`.
        base, start = [], 0
        right, before, odd, signs, odd_before = [], [], [], [], []
        lengths = []
        base_starts = np.zeros((areas, labels), dtype=np.int64)
        odd_starts = np.zeros(self._shape, dtype=np.int64)
        first = np.searchsorted(matches.label, np.arange(labels))
        odds = 0
        for area in range(areas):
            inside = matches.in_range[:, area]
            upto = np.concatenate([[0], np.cumsum(inside)])
            base.append(np.flatnonzero(inside))
            base_starts[area] = start + upto[first]
            for iou in range(len(IOUS)):
                counts = ~matches.ignored[:, area, iou]
                hits = np.flatnonzero(matches.found[:, area, iou])
                strange = np.flatnonzero(counts != inside)
                right.append(hits)
                before.append(start + upto[hits + 1])
                lengths.append(np.bincount(matches.label[hits], minlength=labels))
                odd.append(strange)
                signs.append(np.where(counts[strange], 1.0, -1.0))
                odd_before.append(odds + np.searchsorted(strange, hits, side="right"))
                odd_starts[area, iou] = odds + np.searchsorted(strange, first)
                odds += len(strange)
            start += int(upto[count])
        self._base, self._odd, self._signs = np.concatenate(base), np.concatenate(odd), np.concatenate(signs)
        self._right, self._before = np.concatenate(right), np.concatenate(before)
        self._odd_before = np.concatenate(odd_before)
        lengths = np.concatenate(lengths)
        self._alive = np.flatnonzero(lengths)  # curves on which anything was found; the others are zero throughout
        self._lengths = lengths[self._alive]
        self._curve = np.repeat(np.arange(len(self._alive)), self._lengths)
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._base_starts = np.repeat(base_starts[:, None], len(IOUS), axis=1).ravel()[self._alive]
        self._odd_starts = odd_starts.ravel()[self._alive]

    def precision(self, weights: np.ndarray) -> np.ndarray:
        """Average precision of every curve, float64 (4, 10, classes), 0 to 1; NaN without an object of that size.

        Args:
            weights: (images,), none negative.
        """
        weights = np.asarray(weights, dtype=np.float64)
        objects = (weights @ self._objects).reshape(self._shape[0], 1, self._shape[2])
        objects = np.broadcast_to(objects, self._shape).ravel()
        own = weights[self.matches.image]
        right = _summed(own[self._right])
        base, odd = _summed(own[self._base]), _summed(own[self._odd] * self._signs)
        hits = right[1:] - np.repeat(right[self._starts], self._lengths)
        offset = base[self._base_starts] + odd[self._odd_starts]
        counted = base[self._before] + odd[self._odd_before] - np.repeat(offset, self._lengths)
        precision = hits / (counted + np.spacing(1))
        # How many points of the curve each reaches: the nearest is the only one that rounding could miss.
        recall = hits / np.repeat(np.maximum(objects[self._alive], 1e-300), self._lengths)
        nearest = (100 * recall + 0.5).astype(np.int64)
        reached = nearest + (recall >= RECALLS[np.minimum(nearest, 100)]) - 1
        table = np.zeros((len(self._alive), len(RECALLS)))
        if len(reached):
            place = self._curve * len(RECALLS) + reached
            new = np.flatnonzero(np.diff(place, prepend=-1))
            table.ravel()[place[new]] = np.maximum.reduceat(precision, new)
        # The curve at a recall is the best precision there or beyond.
        best = np.maximum.accumulate(table[:, ::-1], axis=1)
        found = np.zeros(len(objects))
        found[self._alive] = best.mean(axis=1)
        return np.where(objects > 0, found, np.nan).reshape(self._shape)

    @cached_property
    def unweighted(self) -> np.ndarray:
        """As `precision` gives it where each image counts once."""
        return self.precision(np.ones(len(self.matches.objects)))


def six(precision: np.ndarray) -> list[float]:
    """mAP, AP50, AP75, AP_S, AP_M and AP_L in AP points; NaN where there is no object of that size.

    Args:
        precision: As `Weighted.precision` gives it.
    """
    everything = precision[0]
    tables = (everything, everything[0], everything[5], *precision[1 : len(AREAS)])
    return [_mean(100 * table) for table in tables]


def _summed(values: np.ndarray) -> np.ndarray:
    """Sums of the first 0, 1, 2, ... values."""
    sums = np.empty(len(values) + 1)
    sums[0] = 0.0
    np.cumsum(values, out=sums[1:])
    return sums


def _mean(table: np.ndarray) -> float:
    known = table[np.isfinite(table)]
    return float(known.mean()) if len(known) else float("nan")
