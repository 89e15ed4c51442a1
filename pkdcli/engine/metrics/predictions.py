"""What a detector predicted in an evaluation: two arrays that grow, not a list of arrays by the image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pkdcli.data.scoring.metrics import places_of
from pkdcli.data.scoring.predictions import Detections

COLUMNS = 6  # x1, y1, x2, y2, score, label


class _Growing:
    """Rows that are added to the end; room is doubled when it is full.

    Args:
        columns: Numbers a row.
        kind: Their type.
    """

    def __init__(self, columns: int, kind: type) -> None:
        self._room = np.empty((64, columns), dtype=kind)
        self._count = 0

    @property
    def rows(self) -> np.ndarray:
        """(n, columns), valid until more is added."""
        return self._room[: self._count]

    def add(self, rows: np.ndarray) -> None:
        """Add rows (n, columns)."""
        needed = self._count + len(rows)
        if needed > len(self._room):
            room = np.empty((max(needed, 2 * len(self._room)), self._room.shape[1]), dtype=self._room.dtype)
            room[: self._count] = self.rows
            self._room = room
        self._room[self._count : needed] = rows
        self._count = needed


class Predictions:
    """Detections of many images, as arrays.

    Attributes:
        images: int64 (k, 2): an image's number and how many detections it has, in the order they came.
        boxes: float32 (n, 6): x1, y1, x2, y2 in pixels, score, label; image by image.
    """

    def __init__(self) -> None:
        self._images, self._boxes = _Growing(2, np.int64), _Growing(COLUMNS, np.float32)

    @property
    def images(self) -> np.ndarray:
        """int64 (k, 2): an image's number and its detections."""
        return self._images.rows

    @property
    def boxes(self) -> np.ndarray:
        """float32 (n, 6)."""
        return self._boxes.rows

    def add(self, image: int, boxes: np.ndarray) -> None:
        """Add the detections (n, 6) of an image.

        Args:
            image: Its number.
            boxes: float32 (n, 6).
        """
        self.extend(np.array([[image, len(boxes)]]), boxes)

    def extend(self, images: np.ndarray, boxes: np.ndarray) -> None:
        """Add those of many images, as `images` and `boxes` have them.

        Args:
            images: (k, 2): the number of an image, and how many boxes it has.
            boxes: float32 (n, 6), those of the first image first.
        """
        self._images.add(images)
        self._boxes.add(boxes)

    def once(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Each image once, however often a sampler padded it in: the first time counts.

        Returns:
            int64 (m,) numbers of the images in the order they came; int64 (m, 2) where in `boxes` each one's
            detections begin and end.
        """
        numbers, counts = self.images.T
        ends = np.cumsum(counts)
        first = np.sort(np.unique(numbers, return_index=True)[1])
        return numbers[first], np.column_stack([ends - counts, ends])[first]


def kept(
    boxes: np.ndarray, images: np.ndarray, spans: np.ndarray, classes: Sequence[str], facts: Mapping[str, Any]
) -> Detections:
    """Detections in the form in which a run keeps them; those that are not finite count nowhere and are left out.

    Args:
        boxes: float32 (n, 6), see `Predictions`.
        images: int64 (m,), the ids of the images.
        spans: int64 (m, 2), begin and end of each image's detections.
        classes: The names of the labels.
        facts: `data`, `split` and `fingerprint`.
    """
    found = boxes[places_of(spans)]
    owner = np.repeat(np.arange(len(images)), spans[:, 1] - spans[:, 0])
    finite = np.isfinite(found).all(axis=1)
    found, counts = found[finite], np.bincount(owner[finite], minlength=len(images))
    labels = found[:, 5].astype(np.int64)
    return Detections(images, counts, found[:, :4], found[:, 4], labels, tuple(classes), **facts)


def joined(parts: Iterable[tuple[np.ndarray, np.ndarray]]) -> Predictions:
    """The predictions of several processes, in their order."""
    whole = Predictions()
    for images, boxes in parts:
        whole.extend(images, boxes)
    return whole
