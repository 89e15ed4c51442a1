"""Section `eval`: COCO evaluation by hotcoco against pycocotools, on detections that are drawn."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np

from pkdcli.engine.bench.measure import Section, interleaved
from pkdcli.engine.metrics.coco import evaluate_detections, load_annotations
from pkdcli.runs.collect import METRICS
from pkdcli.runs.store import write_json

DETECTIONS, OBJECTS, CLASSES = 80, 7, 80  # an image, an image, in all: as COCO
REACH = 50.0
SIDES = (640, 480)


def evaluation(images: int, repeat: int, folder: Path) -> Section:
    """Time the evaluation of so many images with 80 detections each, and compare the six metrics.

    Args:
        images: How many.
        repeat: Rounds.
        folder: For the annotation file.

    Raises:
        AssertionError: A metric differs from pycocotools' in its last digit.
    """
    section = Section("eval", f"COCO evaluation of {images} images with {DETECTIONS} detections each")
    path, rows = drawn(images, folder)
    truth = load_annotations(path)
    with contextlib.redirect_stdout(io.StringIO()):
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        reference = COCO(str(path))
    found: dict[str, list[float]] = {}

    def ours() -> None:
        metrics = evaluate_detections(truth, rows)
        found["ours"] = [metrics[name] for name in METRICS]

    def theirs() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            evaluator = COCOeval(reference, reference.loadRes(rows), "bbox")
            evaluator.evaluate()
            evaluator.accumulate()
            evaluator.summarize()
        found["theirs"] = [100 * float(value) for value in evaluator.stats[:6]]

    section.time(interleaved({"pkd (hotcoco)": ours, "pycocotools": theirs}, repeat, warmup=0))
    section.ratio("times faster", ["pycocotools"], ["pkd (hotcoco)"], at_least=REACH if images >= 5000 else None)
    equal = sum(a == b for a, b in zip(found["ours"], found["theirs"], strict=True))
    section.number("metrics equal to the last digit", equal, "of 6", at_least=6)
    section.notes.append(f"mAP of the drawn detections: {found['ours'][0]:.4f}.")
    return section


def drawn(images: int, folder: Path, seed: int = 0) -> tuple[Path, np.ndarray]:
    """Annotations and detections (N, 7) near them or anywhere, with boxes of all of COCO's sizes.

    Args:
        images: How many.
        folder: For the annotation file.
        seed: Of the boxes.
    """
    random = np.random.default_rng(seed)
    count = images * OBJECTS
    boxes, labels = _boxes(random, count), random.integers(1, CLASSES + 1, count)
    owners = np.repeat(np.arange(1, images + 1), OBJECTS)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "annotations.json"
    write_json(path, {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": SIDES[0], "height": SIDES[1]}
                   for i in range(1, images + 1)],
        "categories": [{"id": i, "name": str(i)} for i in range(1, CLASSES + 1)],
        "annotations": [{"id": n, "image_id": int(owner), "category_id": int(label), "bbox": box, "iscrowd": 0,
                         "area": box[2] * box[3]}
                        for n, (owner, label, box) in enumerate(zip(owners, labels, boxes.tolist(), strict=True), 1)],
    })  # fmt: skip
    wild = DETECTIONS - OBJECTS
    near = boxes * random.normal(1, 0.05, boxes.shape)
    kept = np.where(random.random(count) < 0.9, labels, random.integers(1, CLASSES + 1, count))
    hits = np.column_stack([owners, near, random.beta(4, 2, count), kept])
    misses = np.column_stack([np.repeat(np.arange(1, images + 1), wild), _boxes(random, images * wild),
                              random.beta(1, 4, images * wild), random.integers(1, CLASSES + 1, images * wild)])
    return path, np.concatenate([hits, misses])  # fmt: skip


def _boxes(random: np.random.Generator, count: int) -> np.ndarray:
    sides = np.exp(random.uniform(np.log(8), np.log(300), (count, 2)))
    corners = random.random((count, 2)) * (np.array(SIDES) - sides).clip(0)
    return np.column_stack([corners, sides])
