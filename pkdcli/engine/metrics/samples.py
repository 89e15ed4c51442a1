"""What a detector found in a few images of an evaluation, kept for people to look at; nothing is computed again."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from pkdcli.data.annotations.read import Annotations
from pkdcli.data.images.file_names import path_of
from pkdcli.data.scoring.ground_truth import GroundTruth
from pkdcli.runs.store import write_json

IMAGES = 8
DETECTIONS = 30
MIN_SCORE = 0.05


def choose(ids: Sequence[int], count: int = IMAGES) -> list[int]:
    """So many of the image ids, spread evenly over them in ascending order: the same for every detector.

    Args:
        ids: All image ids.
        count: How many to choose, at most.
    """
    ids = sorted(ids)
    places = np.linspace(0, len(ids) - 1, min(count, len(ids))).round().astype(int)
    return [ids[place] for place in places]


def pick(
    evaluated: Sequence[int],
    found: Callable[[int], np.ndarray],
    truth: GroundTruth,
    category_ids: Sequence[int],
    images: str,
    reading: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Objects and detections of a few of the evaluated images.

    Args:
        evaluated: Ids of the evaluated images.
        found: Gives an image's detections by its id, float32 (n, 6): x1, y1, x2, y2 in pixels, score, label.
        truth: The annotations.
        category_ids: The category of each label.
        images: The folder that the file names are relative to.
        reading: How the images are read, where not as usual (`Reading.options`).

    Returns:
        One dict an image: `id`, `file` (as annotated), `path`, `width`, `height`, what
        `reading` says, `truth` and `detections`, both lists of `box` (x1, y1, x2, y2 in pixels) and `label` (its place
        among the classes); a crowd has `crowd`, a detection `score` (0 to 1). Detections from 0.05 on, the best first,
        at most 30.
    """
    labels = {truth.class_place(category): label for label, category in enumerate(category_ids)}
    return [
        {
            **_file(truth.annotations, place, images),
            **(reading or {}),
            "truth": _objects(truth.annotations, place, labels),
            "detections": _detections(found(image)),
        }
        for image in choose(evaluated)
        for place in [truth.image_place(image)]
    ]


def _file(truth: Annotations, image: int, folder: str) -> dict[str, Any]:
    name, (width, height) = truth.file_name[image], truth.size[image].tolist()
    path = os.path.abspath(path_of(folder, name))
    return {"id": int(truth.image_id[image]), "file": name, "path": path, "width": _whole(width),
            "height": _whole(height)}  # fmt: skip


def _whole(size: float) -> int | float:
    return int(size) if size.is_integer() else size


def _objects(truth: Annotations, image: int, labels: Mapping[int, int]) -> list[dict[str, Any]]:
    objects = []
    for index in np.flatnonzero(truth.image == image):
        if truth.category[index] in labels:
            x, y, width, height = truth.bbox[index].tolist()
            crowd = {"crowd": True} if truth.iscrowd[index] or truth.ignore[index] else {}
            objects.append(
                {"box": _rounded([x, y, x + width, y + height]), "label": labels[truth.category[index]], **crowd}
            )
    return objects


def _detections(found: np.ndarray) -> list[dict[str, Any]]:
    kept = found[np.isfinite(found).all(axis=1) & (found[:, 4] >= MIN_SCORE)]
    kept = kept[np.argsort(-kept[:, 4], kind="stable")][:DETECTIONS].tolist()
    return [{"box": _rounded(row[:4]), "label": int(row[5]), "score": round(row[4], 3)} for row in kept]


def _rounded(box: Sequence[float]) -> list[float]:
    return [round(float(side), 1) for side in box]


def write(runner: Runner, path: Path, **facts: Any) -> None:
    """Write down what the last evaluation has found in its few images.

    Args:
        runner: It has just evaluated; with another metric than `PkdCocoMetric` nothing is written.
        path: The file, written by the first process.
        facts: Written along: `epoch` and so on.
    """
    if not is_main_process():
        return
    for metric in runner.val_loop.evaluator.metrics:
        if getattr(metric, "samples", None):
            classes = list(metric.dataset_meta["classes"])
            write_json(path, {"schema": 1, **facts, "classes": classes, "images": metric.samples})
