"""COCO evaluation in memory: the six metrics of the paper's tables, in AP points.

hotcoco does the arithmetic; its precision table equals pycocotools' bit for bit (tests/engine/metrics/test_coco.py) and
takes about a hundredth of the time. mmdet's own `CocoMetric` writes every box to a JSON file and reads it back.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pkdcli.compat import activate
from pkdcli.data.scoring.ground_truth import GroundTruth, load_annotations
from pkdcli.data.scoring.metrics import MAX_DETS, ap_by_class, evaluated, metrics_of, rows_of
from pkdcli.data.scoring.predictions import Detections
from pkdcli.engine.distributed import processes
from pkdcli.engine.metrics import predictions, samples
from pkdcli.engine.metrics.predictions import Predictions
from pkdcli.errors import PkdError
from pkdcli.runs.store import write_text

activate()

from mmdet.registry import METRICS  # noqa: E402  (mmdet is importable only after activate)
from mmengine.evaluator import BaseMetric  # noqa: E402
from mmengine.logging import print_log  # noqa: E402


def evaluate_detections(
    ann_file: str | Path | GroundTruth,
    detections: np.ndarray | Sequence[Mapping[str, Any]],
    *,
    classes: Sequence[str] | None = None,
    images: Sequence[int] | None = None,
    max_dets: Sequence[int] = MAX_DETS,
) -> dict[str, float]:
    """The six COCO metrics of a set of detections, over every image of the annotation file.

    An image without detections counts as one where nothing was found.

    Args:
        ann_file: COCO-format annotations, a path or already loaded.
        detections: float64 (N, 7): image id, x, y, width, height (pixels), score, category id. Or a list of dicts in
            COCO's results format, which also takes ids above 2^53, where floats leave out whole numbers.
        classes: Names of the categories to evaluate; all categories of the file where None.
        images: Ids of the images to evaluate; all images of the file where None.
        max_dets: Detections kept per image and class, ascending; the six metrics use the last.

    Returns:
        mAP, AP50, AP75, AP_S, AP_M, AP_L in AP points (0 to 100). NaN where the data has no object of that size
        (pycocotools says -1); `pkdcli.runs.store.write_json` turns NaN into null.

    Raises:
        PkdError: A detection belongs to an image that the file has not, or the file lacks a class.
    """
    truth = ann_file if isinstance(ann_file, GroundTruth) else load_annotations(ann_file)
    rows = _numbered(truth, detections)
    numbers = None if images is None else [truth.image_number(image) for image in images]
    wanted = None if classes is None else truth.class_numbers(classes)
    return metrics_of(evaluated(truth, rows, wanted, numbers, max_dets))


def _numbered(truth: GroundTruth, detections: np.ndarray | Sequence[Mapping[str, Any]]) -> np.ndarray:
    """float64 (N, 7) rows with numbers in the place of ids; those of a class that the file lacks are left out."""
    if isinstance(detections, np.ndarray):
        rows = np.array(detections, dtype=np.float64).reshape(-1, 7)
        images, classes = rows[:, 0].tolist(), rows[:, 6].tolist()  # a whole float finds the same whole number
    else:
        rows = np.array([[0, *one["bbox"], one["score"], 0] for one in detections], dtype=np.float64).reshape(-1, 7)
        images, classes = [one["image_id"] for one in detections], [one["category_id"] for one in detections]
    rows[:, 0] = [truth.image_number(image) for image in images]
    rows[:, 6] = [truth.class_number(category) for category in classes]
    strangers = {images[place] for place in np.flatnonzero(rows[:, 0] == 0).tolist()}
    if strangers:
        raise _stranger(strangers)
    return np.ascontiguousarray(rows[rows[:, 6] > 0])


def _stranger(ids: Collection[Any]) -> PkdError:
    return PkdError(
        f"{len(ids)} images with detections are not in the annotation file, the first has id {int(min(ids))}.",
        "Evaluate with the annotation file of the same split that the images come from.",
    )


@METRICS.register_module()
class PkdCocoMetric(BaseMetric):
    """mmdet evaluator metric: `evaluate_detections` on a detector's predictions.

    Args:
        ann_file: COCO-format annotations of the evaluated split.
        max_dets: Detections kept per image and class, ascending; the six metrics use the last.
        outfile: Where to write the detections too, in COCO's results format (JSON).
        partial: Evaluate only the images that were predicted (a smoke run's first few), not the whole file.
        images: The folder of the images; given, a few of them with their detections are kept as `samples`.
        reading: How the images are read, where not as usual; kept with the samples.
        keep: Keep all detections as `kept`; its `data`, `split` and `fingerprint` are noted down with them.

    Raises:
        PkdError: The annotation file is absent, not COCO's, or lacks one of the data set's classes.
    """

    def __init__(
        self,
        ann_file: str,
        max_dets: Sequence[int] = MAX_DETS,
        outfile: str | None = None,
        partial: bool = False,
        images: str | None = None,
        reading: Mapping[str, Any] | None = None,
        keep: Mapping[str, Any] | None = None,
    ) -> None:
        # "gpu" gathers through the process group, also on the CPU; "cpu" would write files into the current folder.
        super().__init__(collect_device="gpu", prefix="unused")
        self.prefix = None  # the six names are final; given to the base class, None makes it warn
        self.max_dets = tuple(max_dets)
        self.outfile = outfile
        self.partial = partial
        self.images = images
        self.reading = reading
        self.keep = keep
        self.samples: list[dict[str, Any]] = []  # of the last evaluation, in the first process
        self.kept: Detections | None = None  # the same
        self.by_class: dict[str, float] | None = None  # AP points by class, the same; NaN where it has no object
        self._found = Predictions()
        self._truth = load_annotations(ann_file)

    @BaseMetric.dataset_meta.setter
    def dataset_meta(self, meta: dict) -> None:
        """Take the data set's classes, and refuse at once, not after an epoch, those the annotations lack.

        `places`, where a detector knows more classes, has the place among them of each of its labels, or -1.
        """
        self._truth.class_numbers(meta["classes"])
        self._dataset_meta = meta

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Add each image's predictions to those of all.

        Args:
            data_batch: As the loader gave it; not needed.
            data_samples: An image each: `img_id` and `pred_instances` with boxes (n, 4) in pixels of the original,
                scores, labels.
        """
        for sample in data_samples:
            found = sample["pred_instances"]
            columns = [found["bboxes"].reshape(-1, 4), found["scores"][:, None], found["labels"][:, None]]
            # Put together on the device: one copy, and one wait, an image.
            array = torch.cat([column.detach().float() for column in columns], dim=1).cpu().numpy()
            if "places" in self.dataset_meta:
                array[:, 5] = np.array(self.dataset_meta["places"])[array[:, 5].astype(np.int64)]
                array = array[array[:, 5] >= 0]
            number = self._truth.image_number(sample["img_id"])
            if not number:
                raise _stranger([sample["img_id"]])
            self._found.add(number, array)

    def evaluate(self, size: int) -> dict[str, float]:
        """The metrics of what all processes have predicted, in each of them.

        mmengine's own way pickles every image's array by itself; here each process sends two arrays.

        Args:
            size: Images of the data set, which is not needed: an image that comes twice counts once.
        """
        found = self._found
        if processes.joined():
            parts = [processes.gather(torch.from_numpy(array)) for array in (found.images, found.boxes)]
            found = predictions.joined((i.numpy(), b.numpy()) for i, b in zip(*parts, strict=True))
        first = not processes.joined() or processes.rank() == 0
        metrics = self.compute_metrics(found) if first else None
        self._found = Predictions()
        return processes.broadcast(metrics)

    def compute_metrics(self, results: Predictions) -> dict[str, float]:
        """mAP, AP50, AP75, AP_S, AP_M, AP_L in AP points, NaN where the data has no object of that size."""
        classes = self._truth.class_numbers(self.dataset_meta["classes"])
        numbers, spans = results.once()
        if self.images is not None:
            categories = self._truth.category_ids(np.array(classes)).tolist()
            spans_of = dict(zip(self._truth.image_ids(numbers).tolist(), spans.tolist(), strict=True))
            self.samples = samples.pick(
                list(spans_of),
                lambda image: results.boxes[slice(*spans_of[image])],
                self._truth,
                categories,
                self.images,
                self.reading,
            )
        rows = rows_of(results.boxes, numbers, spans, np.array(classes))
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            print_log(f"{np.sum(~finite)} detections with a NaN or infinite box or score are left out.", "current", 30)
            rows = rows[finite]
        if self.keep is not None:
            names = tuple(self.dataset_meta["classes"])
            self.kept = predictions.kept(results.boxes, self._truth.image_ids(numbers), spans, names, self.keep)
        if self.outfile is not None:
            write_text(Path(self.outfile), json.dumps(_as_dicts(self._truth, rows)))
        images = numbers.tolist() if self.partial else None
        evaluation = evaluated(self._truth, rows, classes, images, self.max_dets)
        of_number = dict(zip(sorted(classes), ap_by_class(evaluation), strict=True))
        self.by_class = {
            name: of_number[number] for name, number in zip(self.dataset_meta["classes"], classes, strict=True)
        }
        return metrics_of(evaluation)


def _as_dicts(truth: GroundTruth, rows: np.ndarray) -> list[dict[str, Any]]:
    """The rows in COCO's results format, with the file's own ids."""
    images = truth.image_ids(rows[:, 0].astype(np.int64)).tolist()
    categories = truth.category_ids(rows[:, 6].astype(np.int64)).tolist()
    return [
        {"image_id": image, "category_id": category, "bbox": row[1:5], "score": row[5]}
        for image, category, row in zip(images, categories, rows.tolist(), strict=True)
    ]
