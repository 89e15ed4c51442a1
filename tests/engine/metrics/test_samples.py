"""The few images that are kept of an evaluation: which, what is in them, and that keeping them changes no number."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator

from pkdcli.engine.metrics import samples
from pkdcli.engine.metrics.coco import PkdCocoMetric, load_annotations

CLASSES = ("zebra", "ant")  # the detector's order, not that of the category ids


@pytest.fixture
def annotated(tmp_path):
    """Three images; the second has no object, the third a crowd and an object of a class nobody evaluates."""
    data = {
        "images": [{"id": n, "file_name": f"sub/{n}.jpg", "width": 64, "height": 48} for n in (30, 10, 20)],
        "categories": [{"id": 4, "name": "ant"}, {"id": 9, "name": "zebra"}, {"id": 1, "name": "other"}],
        "annotations": [
            {"id": 1, "image_id": 10, "category_id": 9, "bbox": [1, 2, 30.26, 4], "area": 120, "iscrowd": 0},
            {"id": 2, "image_id": 30, "category_id": 4, "bbox": [0, 0, 9, 9], "area": 81, "iscrowd": 1},
            {"id": 3, "image_id": 30, "category_id": 1, "bbox": [5, 5, 9, 9], "area": 81, "iscrowd": 0},
        ],
    }
    path = tmp_path / "val.json"
    path.write_text(json.dumps(data))
    return path


def sample(image: int, rows: list[list[float]]) -> dict:
    found = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    instances = {"bboxes": found[:, :4], "scores": found[:, 4], "labels": found[:, 5].long()}
    return {"img_id": image, "pred_instances": instances}


def evaluated(path, batch, **options) -> tuple[dict, PkdCocoMetric]:
    evaluator = Evaluator([{"type": "mmdet.PkdCocoMetric", "ann_file": str(path), **options}])
    evaluator.dataset_meta = {"classes": CLASSES}
    evaluator.process(batch)
    return evaluator.evaluate(len(batch)), evaluator.metrics[0]


BATCH = [
    sample(20, []),
    sample(10, [[1, 2, 3, 4, 0.3, 1], [1.04, 2.06, 31.2, 6, 0.98765, 0], [0, 0, 5, 5, 0.04, 0]]),
    sample(30, [[0, 0, 9, 9, float("nan"), 1]]),
]


@pytest.mark.parametrize(
    ("ids", "count", "expected"),
    [
        (range(100), 5, [0, 25, 50, 74, 99]),
        ([7, 3, 5], 8, [3, 5, 7]),
        (range(9), 8, [0, 1, 2, 3, 5, 6, 7, 8]),
        ([4, 2], 1, [2]),
        ([], 8, []),
    ],
)
def test_images_are_spread_evenly(ids, count, expected):
    assert samples.choose(list(ids), count) == expected


def test_what_is_kept(annotated):
    _, metric = evaluated(annotated, BATCH, images="/images")
    size = {"width": 64, "height": 48}
    assert metric.samples == [
        {
            "id": 10, "file": "sub/10.jpg", "path": "/images/sub/10.jpg", **size,
            "truth": [{"box": [1, 2, 31.3, 6], "label": 0}],
            "detections": [
                {"box": [1.0, 2.1, 31.2, 6.0], "label": 0, "score": 0.988},
                {"box": [1.0, 2.0, 3.0, 4.0], "label": 1, "score": 0.3},
            ],
        },
        {"id": 20, "file": "sub/20.jpg", "path": "/images/sub/20.jpg", **size, "truth": [], "detections": []},
        {
            "id": 30, "file": "sub/30.jpg", "path": "/images/sub/30.jpg", **size,
            "truth": [{"box": [0, 0, 9, 9], "label": 1, "crowd": True}], "detections": [],
        },
    ]  # fmt: skip


def test_the_best_thirty_detections_are_kept(annotated):
    rows = np.array([[0, 0, 5, 5, score, 0] for score in np.linspace(0.06, 0.99, 50)], dtype=np.float32)
    kept = samples.pick([10], {10: rows}.__getitem__, load_annotations(annotated), [9, 4], "/images")[0]["detections"]
    assert [one["score"] for one in kept] == [round(float(score), 3) for score in rows[:19:-1, 4]]


def test_keeping_them_changes_no_number(annotated):
    kept, _ = evaluated(annotated, BATCH, images="/images")
    plain, metric = evaluated(annotated, BATCH)
    assert str(kept) == str(plain)  # NaN included
    assert metric.samples == []


def test_a_smoke_run_keeps_of_the_images_it_saw(annotated):
    _, metric = evaluated(annotated, BATCH[:1], images="/images", partial=True)
    assert [image["id"] for image in metric.samples] == [20]


def test_the_file(annotated, tmp_path):
    _, metric = evaluated(annotated, BATCH, images="/images")
    other = SimpleNamespace()
    runner = SimpleNamespace(val_loop=SimpleNamespace(evaluator=SimpleNamespace(metrics=[other, metric])))
    samples.write(runner, tmp_path / "samples.json", epoch=3, iter=12)
    written = json.loads((tmp_path / "samples.json").read_text())
    assert list(written) == ["schema", "epoch", "iter", "classes", "images"]
    assert (written["schema"], written["epoch"], written["iter"], written["classes"]) == (1, 3, 12, ["zebra", "ant"])
    assert written["images"] == metric.samples


def test_nothing_is_written_without_samples(annotated, tmp_path):
    _, metric = evaluated(annotated, BATCH)
    runner = SimpleNamespace(val_loop=SimpleNamespace(evaluator=SimpleNamespace(metrics=[metric])))
    samples.write(runner, tmp_path / "samples.json")
    assert not (tmp_path / "samples.json").exists()
