"""COCO's evaluation by hotcoco: its precision table equals pycocotools' bit for bit, in a hundredth of the time."""

from __future__ import annotations

from collections.abc import Sequence

import hotcoco
import numpy as np

from pkdcli.data.scoring.ground_truth import GroundTruth
from pkdcli.data.scoring.predictions import Detections
from pkdcli.errors import PkdError

MAX_DETS = (1, 10, 100)
"""Detections kept per image and class, as in COCO; the six metrics use the last one."""

# Places in the precision table (IoU, recall, class, area, detections), which has COCO's thresholds and areas.
_EVERY_IOU, _IOU_50, _IOU_75 = slice(None), 0, 5
_ALL, _SMALL, _MEDIUM, _LARGE = range(4)
_METRICS = {
    "mAP": (_EVERY_IOU, _ALL),
    "AP50": (_IOU_50, _ALL),
    "AP75": (_IOU_75, _ALL),
    "AP_S": (_EVERY_IOU, _SMALL),
    "AP_M": (_EVERY_IOU, _MEDIUM),
    "AP_L": (_EVERY_IOU, _LARGE),
}


def evaluated(
    truth: GroundTruth,
    rows: np.ndarray,
    classes: Sequence[int] | None = None,
    images: Sequence[int] | None = None,
    max_dets: Sequence[int] = MAX_DETS,
) -> hotcoco.COCOeval:
    """Detections held against annotations, matched and accumulated.

    Args:
        truth: The annotations.
        rows: float64 (N, 7): image number, x, y, width, height, score, class number.
        classes: Numbers of the classes to evaluate; all where None.
        images: Numbers of the images to evaluate; all where None.
        max_dets: Detections kept per image and class, ascending.
    """
    evaluation = hotcoco.COCOeval(truth.coco, truth.coco.load_res(rows), "bbox")
    evaluation.params.maxDets = [int(number) for number in max_dets]
    if classes is not None:
        evaluation.params.catIds = sorted(classes)
    if images is not None:
        evaluation.params.imgIds = sorted(images)
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation


def metrics_of(evaluation: hotcoco.COCOeval) -> dict[str, float]:
    """The six metrics of an evaluation, in AP points; NaN where the data has no object of that size."""
    precision = evaluation.eval["precision"]
    return {name: _average(precision[iou, ..., area, -1]) for name, (iou, area) in _METRICS.items()}


def ap_by_class(evaluation: hotcoco.COCOeval) -> list[float]:
    """AP points of each class that was evaluated, in ascending order of its number; NaN for one without objects."""
    precision = evaluation.eval["precision"]
    return [_average(precision[:, :, place, _ALL, -1]) for place in range(precision.shape[2])]


def _average(precision: np.ndarray) -> float:
    """AP points of one slice of the precision table, where -1 marks classes without objects."""
    valid = precision[precision > -1]
    return 100 * float(np.mean(valid)) if len(valid) else float("nan")


def places_of(spans: np.ndarray) -> np.ndarray:
    """int64 (N,): the places of detections by where those of each image begin and end, int64 (m, 2), image by image."""
    counts = spans[:, 1] - spans[:, 0]
    return np.repeat(spans[:, 0] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())


def rows_of(boxes: np.ndarray, numbers: np.ndarray, spans: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Detections in the form of COCO's results.

    Args:
        boxes: float32 (n, 6), see `Predictions`.
        numbers: int64 (m,), the images.
        spans: int64 (m, 2), begin and end of each image's detections.
        classes: The number of each label's class.

    Returns:
        float64 (N, 7): image number, x, y, width, height, score, class number.
    """
    counts = spans[:, 1] - spans[:, 0]
    found = boxes[places_of(spans)]
    rows = np.empty((len(found), 7), dtype=np.float64)
    rows[:, 0] = np.repeat(numbers, counts)
    # Widths are subtracted in float64, as pycocotools would see them from JSON.
    rows[:, 1:5] = found[:, :4]
    rows[:, 3:5] -= rows[:, 1:3]
    rows[:, 5] = found[:, 4]
    rows[:, 6] = np.asarray(classes, dtype=np.float64)[found[:, 5].astype(np.int64)]
    return rows


def rows_of_kept(found: Detections, truth: GroundTruth, target: str = "RUN") -> np.ndarray:
    """A run's kept detections in the form of COCO's results.

    Args:
        found: As the run's folder has them.
        truth: The annotations that they were evaluated with.
        target: What `pkd eval` is given to evaluate again.

    Raises:
        PkdError: They are of images or classes that the annotations lack.
    """
    numbers = np.array([truth.image_number(image) for image in found.images.tolist()], dtype=np.int64)
    if (strangers := found.images[numbers == 0]).size:
        raise PkdError(
            f"the kept detections are of {strangers.size} image{'s' if strangers.size > 1 else ''} that the annotation "
            f"file has not, such as id {strangers[0]}.",
            f"pkd eval {target} evaluates again, on the data as it is now.",
        )
    ends = np.cumsum(found.counts)
    boxes = np.column_stack([found.boxes, found.scores, found.labels.astype(np.float32)])
    spans = np.column_stack([ends - found.counts, ends])
    return rows_of(boxes, numbers, spans, np.array(truth.class_numbers(found.classes)))
