"""COCO's metrics where each image counts with a weight of its own: a resample of the images is one set of weights.

With weights of one these are pycocotools' numbers. An image of weight two counts as if it were there twice, one of
weight zero as if it were not there.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from pkdcli.data.scoring.curves import Curves
from pkdcli.data.scoring.matches import AREAS, IOUS, Matches

_AT_A_TIME = 1 << 17  # weights of detections that are looked at together: what comes of them fits in a core's cache


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
        ends = np.searchsorted(matches.label, np.arange(labels + 1))
        self._classes = [slice(ends[label], ends[label + 1]) for label in range(labels)]
        self._curves = [
            [
                Curves.of(matches.found[own, area], matches.ignored[own, area], matches.in_range[own, area])
                for area in range(areas)
            ]
            for own in self._classes
        ]

    def precision(self, weights: np.ndarray) -> np.ndarray:
        """Average precision of every curve, float64 (4, 10, classes), 0 to 1; NaN without an object of that size.

        Args:
            weights: (images,), none negative.
        """
        return self.precisions(np.asarray(weights)[None])[0]

    def precisions(self, weights: np.ndarray) -> np.ndarray:
        """The same for several sets of weights, float64 (sets, 4, 10, classes): far quicker than one by one.

        Args:
            weights: (sets, images), none negative.
        """
        objects = (weights.astype(np.float64) @ self._objects).reshape(len(weights), self._shape[0], 1, self._shape[2])
        weights = weights.astype(np.int32 if np.issubdtype(weights.dtype, np.integer) else np.float64)
        found = np.zeros((len(weights), *self._shape))
        for label, (own, curves) in enumerate(zip(self._classes, self._curves, strict=True)):
            images = self.matches.image[own]
            step = max(1, _AT_A_TIME // max(1, len(images)))
            for begin in range(0, len(weights), step):
                part = slice(begin, begin + step)
                of_images = weights[part].take(images, axis=1)
                for area, one in enumerate(curves):
                    if len(one.iou):  # the others are zero throughout
                        precision = one.precision(of_images, objects[part, area, 0, label])
                        found[part, area, :, label][:, one.iou] = precision
        return np.where(objects > 0, found, np.nan)

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


def _mean(table: np.ndarray) -> float:
    known = table[np.isfinite(table)]
    return float(known.mean()) if len(known) else float("nan")
