"""Curves of precision over recall of one class, for many sets of weights of the images at once.

All arrays are (sets, places) and so small that a core keeps them in its own cache: what is slow about a million numbers
is their way to the memory and back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RECALLS = np.linspace(0.0, 1.0, 101)
"""COCO's points on the curve of precision over recall."""


@dataclass(frozen=True)
class Curves:
    """The curves of one class and size, one for each IoU threshold at which any object was found, behind each other.

    Attributes:
        iou: (thresholds,), the places of these thresholds among COCO's.
        base: Places of the detections of that size; None where all are.
        right: Places of those that found an object, threshold by threshold.
        spans: Where each threshold's begin and end in `right`.
        before: How many of `base` stand before each of `right`, itself included.
        odd: Places of those that count though they are not in `base`, or do not though they are.
        signs: 1 for the former, -1 for the latter.
        odd_spans: Where each threshold's begin and end in `odd`.
        odd_before: Which of the sums over `odd` belongs to each of `right`; each threshold's sums begin with zero.
        row: Where the row of each of `right` begins in a table (thresholds, points of recall).
    """

    iou: np.ndarray
    base: np.ndarray | None
    right: np.ndarray
    spans: Sequence[tuple[int, int]]
    before: np.ndarray
    odd: np.ndarray
    signs: np.ndarray
    odd_spans: Sequence[tuple[int, int]]
    odd_before: np.ndarray
    row: np.ndarray

    @classmethod
    def of(cls, found: np.ndarray, ignored: np.ndarray, inside: np.ndarray) -> Curves:
        """The curves of detections, the highest score first.

        Args:
            found: bool (n, 10), whether it found an object that counts, by IoU threshold.
            ignored: bool (n, 10), whether it counts neither as right nor as wrong.
            inside: bool (n,), whether it is of the size.
        """
        iou = np.flatnonzero(found.any(axis=0))
        right = [np.flatnonzero(found[:, one]) for one in iou]
        odd = [np.flatnonzero(ignored[:, one] == inside) for one in iou]
        spans, odd_spans = _spans(right), _spans(odd)
        odd_before = [
            begin + place + np.searchsorted(strange, hits, side="right")
            for place, (hits, strange, (begin, _)) in enumerate(zip(right, odd, odd_spans, strict=True))
        ]
        return cls(
            iou=iou,
            base=None if inside.all() else np.flatnonzero(inside),
            right=_joined(right),
            spans=spans,
            before=np.concatenate([[0], np.cumsum(inside)])[_joined(right) + 1],
            odd=_joined(odd),
            signs=np.where(inside[_joined(odd)], -1, 1),
            odd_spans=odd_spans,
            odd_before=_joined(odd_before),
            row=len(RECALLS) * np.repeat(np.arange(len(iou)), [end - begin for begin, end in spans]),
        )

    def precision(self, own: np.ndarray, objects: np.ndarray) -> np.ndarray:
        """Average precision, float64 (sets, thresholds), 0 to 1.

        Args:
            own: int32 or float64 (sets, n), the weights of the detections.
            objects: float64 (sets,), the weights of all objects together.
        """
        sets, points = len(own), len(RECALLS)
        hits = np.empty((sets, len(self.right)), own.dtype)
        right = own.take(self.right, axis=1)
        for begin, end in self.spans:
            np.cumsum(right[:, begin:end], axis=1, out=hits[:, begin:end])
        base = own if self.base is None else own.take(self.base, axis=1)
        counted = _summed(base, [(0, base.shape[1])]).take(self.before, axis=1)
        if len(self.odd):
            odd = own.take(self.odd, axis=1)
            odd *= self.signs.astype(own.dtype)
            counted += _summed(odd, self.odd_spans).take(self.odd_before, axis=1)
        precision = counted + np.spacing(1)
        np.divide(hits, precision, out=precision)
        # How many points of the curve each reaches: the nearest is the only one that rounding could miss.
        recall = hits / np.maximum(objects, 1e-300)[:, None]
        nearest = (points - 1) * recall
        nearest += 0.5
        place = nearest.astype(np.int32).astype(np.int64)  # in two steps, which a processor does many at once
        place -= recall < RECALLS.take(place, mode="clip")
        place += self.row
        place += points * len(self.iou) * np.arange(sets)[:, None]
        place = place.ravel()
        table = np.zeros((sets * len(self.iou), points))
        new = np.flatnonzero(place[1:] != place[:-1]) + 1
        new = np.concatenate([[0], new])
        table.ravel()[place[new]] = np.maximum.reduceat(precision.ravel(), new)
        # The curve at a recall is the best precision there or beyond.
        best = np.maximum.accumulate(table[:, ::-1], axis=1)
        return best.mean(axis=1).reshape(sets, len(self.iou))


def _summed(values: np.ndarray, spans: Sequence[tuple[int, int]]) -> np.ndarray:
    """Sums of the first 0, 1, 2, ... values of each span, for each row: (sets, values + spans)."""
    sums = np.zeros((len(values), values.shape[1] + len(spans)), values.dtype)
    for place, (begin, end) in enumerate(spans):
        np.cumsum(values[:, begin:end], axis=1, out=sums[:, begin + place + 1 : end + place + 1])
    return sums


def _spans(parts: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    ends = np.cumsum([len(part) for part in parts]).tolist()
    return list(zip([0, *ends], ends, strict=False))


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
