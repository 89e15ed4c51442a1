"""Annotations like those of COCO's validation images, and what detectors that differ in their seeds find in them.

A detector of COCO keeps up to 100 detections of an image with scores from 0.05 on: several around each object, some of
them as another class, and many where nothing is. What two seeds find is much the same.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pkdcli.data.scoring.predictions import Detections
from pkdcli.runs.store import write_json

CLASSES, OBJECTS = 80, 7.356  # in all; of an image, on average: some 36,800 objects in 5,000 images
SIDES = (640, 480)
MOST, LEAST = 100, 0.05  # detections of an image, and their score
NAMES = tuple(str(number) for number in range(1, CLASSES + 1))


class Drawn:
    """Objects in images, and what is found of them.

    Attributes:
        images: How many there are; their ids are 1 to this.
    """

    def __init__(self, images: int, seed: int = 0) -> None:
        """Draw the objects, and what every detector finds hard.

        Args:
            images: How many.
            seed: Of all that is drawn.
        """
        self.images = images
        random = np.random.default_rng(seed)
        many = random.geometric(1 / (OBJECTS + 1), images) - 1  # most images have few, a few have dozens
        self._owners = np.repeat(np.arange(1, images + 1), many)
        count = len(self._owners)
        # A quarter are of the first class, as people are; the rest fall off.
        self._labels = np.minimum(random.beta(0.35, 1.4, count) * CLASSES, CLASSES - 1).astype(np.int64)
        self._boxes = _boxes(random, count)
        self._ease = np.clip(random.beta(2, 1.5, count) * (0.6 + 0.1 * np.log2(self._boxes[:, 2] / 8)), 0.02, 0.98)
        # Where all detectors see an object: of some its edges, of others hardly where it is.
        self._near = _boxes_near(random, self._boxes, np.exp(random.normal(-3.2, 0.9, (count, 1))).clip(0, 0.5))
        wild = np.maximum(random.normal(78, 25, images) - 3.6 * many, 3).astype(np.int64)
        self._wild_owners = np.repeat(np.arange(1, images + 1), wild)
        self._wild_boxes = _boxes(random, wild.sum())
        self._wild_scores = random.beta(1, 9, wild.sum())
        self._wild_labels = random.integers(0, CLASSES, wild.sum())

    def write(self, path: Path) -> None:
        """Write the annotations as COCO JSON.

        Args:
            path: The file.
        """
        rows = zip(self._owners.tolist(), self._labels.tolist(), self._boxes.tolist(), strict=True)
        write_json(path, {
            "images": [{"id": i, "file_name": f"{i}.jpg", "width": SIDES[0], "height": SIDES[1]}
                       for i in range(1, self.images + 1)],
            "categories": [{"id": number, "name": name} for number, name in enumerate(NAMES, 1)],
            "annotations": [{"id": n, "image_id": owner, "category_id": label + 1, "bbox": box, "iscrowd": 0,
                             "area": box[2] * box[3]} for n, (owner, label, box) in enumerate(rows, 1)],
        })  # fmt: skip

    def found(self, seed: int, better: float = 0.0) -> Detections:
        """What a detector finds: 77 boxes of an image on average, 100 at most.

        Args:
            seed: Of what it does as no other.
            better: How much surer it is of objects than the others, 0 to 1.
        """
        random = np.random.default_rng((1, seed))
        count = len(self._owners)
        ease = np.clip(self._ease + better + random.normal(0, 0.06, count), 0.03, 0.99)
        twice = np.repeat(np.arange(count), random.poisson(2.6, count))  # more boxes of the same object
        other = random.random(len(twice)) < 0.4  # as another class
        labels = np.where(other, random.integers(0, CLASSES, len(twice)), self._labels[twice])
        wild = random.random(len(self._wild_owners)) < 0.85  # of another seed's too
        alone = np.flatnonzero(~wild)
        wild_boxes = _boxes_near(random, self._wild_boxes, 0.03)
        wild_boxes[alone] = _boxes(random, len(alone))
        rows = np.column_stack([
            np.concatenate([self._owners, self._owners[twice], self._wild_owners]),
            np.concatenate([_boxes_near(random, self._near, 0.03), _boxes_near(random, self._boxes[twice], 0.2),
                            wild_boxes]),
            np.concatenate([ease, ease[twice] * random.beta(1.5, 4, len(twice)),
                            self._wild_scores * random.normal(1, 0.1, len(wild))]).clip(LEAST, 1),
            np.concatenate([self._labels, labels, self._wild_labels]),
        ])  # fmt: skip
        rows = rows[np.lexsort((-rows[:, 5], rows[:, 0]))]
        starts = np.searchsorted(rows[:, 0], np.arange(1, self.images + 1))
        owner = rows[:, 0].astype(np.int64)
        rows = rows[np.arange(len(rows)) - starts[owner - 1] < MOST]
        boxes = rows[:, 1:5].copy()
        boxes[:, 2:] += boxes[:, :2]
        return Detections(
            images=np.arange(1, self.images + 1),
            counts=np.bincount(rows[:, 0].astype(np.int64), minlength=self.images + 1)[1:],
            boxes=boxes.astype(np.float32),
            scores=rows[:, 5].astype(np.float32),
            labels=rows[:, 6].astype(np.int64),
            classes=NAMES,
            data="drawn",
            split="val",
        )


def _boxes(random: np.random.Generator, count: int) -> np.ndarray:
    """(count, 4): x, y, width, height; of all of COCO's sizes."""
    sides = np.exp(random.uniform(np.log(8), np.log(300), (count, 2)))
    corners = random.random((count, 2)) * (np.array(SIDES) - sides).clip(0)
    return np.column_stack([corners, sides])


def _boxes_near(random: np.random.Generator, boxes: np.ndarray, much: float | np.ndarray) -> np.ndarray:
    """The boxes with edges that are off by such a share of the sides."""
    sides = boxes[:, 2:]
    corners = boxes[:, :2] + sides * random.normal(0, much, sides.shape)
    return np.column_stack([corners, sides * np.exp(random.normal(0, much, sides.shape))])
