"""Metrics with a weight for each image: pycocotools' own with weights of one, and those of repeated images else."""

from __future__ import annotations

import contextlib
import io
import json

import hotcoco
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pkdcli.data.scoring.curves import RECALLS
from pkdcli.data.scoring.ground_truth import load_annotations
from pkdcli.data.scoring.matches import AREAS, IOUS, matched
from pkdcli.data.scoring.metrics import evaluated, metrics_of
from pkdcli.data.scoring.weighted import Weighted, six


def scene(seed: int, images: int = 12, many: int = 0):
    """Annotations and results made to be awkward: crowds, equal scores, boxes twice, sizes at the very limits."""
    random = np.random.default_rng(seed)
    annotations, results = [], []
    for image in range(1, images + 1):
        for _ in range(random.integers(0, 7)):
            x, y = random.integers(0, 200, 2).tolist()
            w, h = random.choice([8, 20, 32, 40, 96, 120], 2).tolist()
            kind = int(random.choice([1, 2, 5]))
            one = {"id": len(annotations) + 1, "image_id": image, "category_id": kind, "bbox": [x, y, w, h],
                   "area": float(w * h), "iscrowd": int(random.random() < 0.15)}  # fmt: skip
            annotations.append(one)
            if random.random() < 0.3:  # the same box once more
                annotations.append({**one, "id": len(annotations) + 1, "iscrowd": 0})
            for _ in range(random.integers(0, 4)):
                moved = [x + int(random.integers(-6, 7)), y, w, h + int(random.integers(0, 9))]
                results.append({"image_id": image, "category_id": kind if random.random() < 0.9 else 2,
                                "bbox": moved, "score": float(random.integers(1, 8)) / 8})  # fmt: skip
        for _ in range(random.integers(0, 3) + (many if image == 1 else 0)):
            results.append({"image_id": image, "category_id": int(random.choice([1, 2, 5])), "score": 0.5,
                            "bbox": random.integers(1, 150, 4).tolist()})  # fmt: skip
    classes = [{"id": number, "name": f"c{number}"} for number in (1, 2, 5, 9)]
    return annotations, results, [{"id": n, "file_name": f"{n}.jpg", "width": 400, "height": 400}
                                  for n in range(1, images + 1)], classes  # fmt: skip


def both(tmp_path, annotations, results, images, classes):
    """The weighted form, and hotcoco's evaluation of the same."""
    path = tmp_path / "val.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": classes}))
    truth = load_annotations(path)
    rows = np.array([[one["image_id"], *one["bbox"], one["score"], truth.class_number(one["category_id"])]
                     for one in results], dtype=np.float64)  # fmt: skip
    numbers = range(1, len(images) + 1)
    return Weighted(matched(truth, rows, range(1, 5), numbers)), evaluated(truth, rows)


def slow(annotations, results, images, classes) -> np.ndarray:
    """pycocotools' average precision by size, IoU and class, NaN without objects."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {"images": images, "annotations": annotations, "categories": classes}
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    table = evaluation.eval["precision"][..., -1].astype(float)  # IoU, recall, class, size
    return np.where((table > -1).all(axis=1), table.mean(axis=1), np.nan).transpose(2, 0, 1)


def test_the_thresholds_are_cocos():
    params = COCOeval(iouType="bbox").params
    assert np.array_equal(IOUS, params.iouThrs)
    assert np.array_equal(RECALLS, params.recThrs)
    assert [list(area) for area in AREAS] == params.areaRng
    assert np.array_equal(IOUS, hotcoco.Params("bbox").iouThrs)


@pytest.mark.parametrize("seed", range(12))
def test_weights_of_one_give_pycocotools_numbers(tmp_path, seed):
    parts = scene(seed, many=150 if seed % 3 == 0 else 0)  # more than COCO counts in an image
    weighted, evaluation = both(tmp_path, *parts)
    found = weighted.precision(np.ones(len(parts[2])))
    np.testing.assert_allclose(found, slow(*parts), rtol=0, atol=1e-12)
    np.testing.assert_allclose(six(found), list(metrics_of(evaluation).values()), rtol=0, atol=1e-10)  # AP points


@pytest.mark.parametrize("seed", range(6))
def test_a_weight_is_how_often_an_image_is_there(tmp_path, seed):
    annotations, results, images, classes = scene(seed)
    random = np.random.default_rng(seed)
    results = [{**one, "score": float(random.random())} for one in results]  # of equals the order would differ
    weighted, _ = both(tmp_path, annotations, results, images, classes)
    weights = random.integers(0, 4, len(images))
    repeated = [(image, copy) for image, weight in enumerate(weights, 1) for copy in range(weight)]
    parts: tuple[list, list] = ([], [])
    for place, (image, _) in enumerate(repeated, 1):
        for items, into in zip((annotations, results), parts, strict=True):
            into += [{**one, "id": len(into) + n, "image_id": place}
                     for n, one in enumerate((one for one in items if one["image_id"] == image), 1)]  # fmt: skip
    expected = slow(*parts, [{"id": n} for n in range(1, len(repeated) + 1)], classes)
    found = weighted.precision(weights)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(weighted.precision(weights / 2), expected, rtol=0, atol=1e-12)  # they are relative


@pytest.mark.parametrize("at_a_time", [1, 100, 1 << 17])
@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float64])
def test_many_sets_of_weights_at_once_give_each_its_own_numbers(tmp_path, monkeypatch, kind, at_a_time):
    monkeypatch.setattr("pkdcli.data.scoring.weighted._AT_A_TIME", at_a_time)
    weighted, _ = both(tmp_path, *scene(3, many=150))
    sets = np.random.default_rng(0).integers(0, 3, (7, 12)).astype(kind)
    sets[2] = 0
    one_by_one = np.stack([weighted.precision(weights.astype(np.float64)) for weights in sets])
    assert np.isnan(one_by_one[2]).all()
    assert len(np.unique(one_by_one[:, 0, 0, 0])) >= 6
    np.testing.assert_array_equal(weighted.precisions(sets), one_by_one)  # to the last bit: all are sums of integers


def test_a_plain_curve_by_hand(tmp_path):
    """Three images of one object each: found, missed with a wrong box on top, found below that."""
    annotations = [{"id": n, "image_id": n, "category_id": 1, "bbox": [10, 10, 50, 50], "area": 2500.0, "iscrowd": 0}
                   for n in (1, 2, 3)]  # fmt: skip
    results = [{"image_id": n, "category_id": 1, "bbox": [200 if n == 2 else 10, 10, 50, 50], "score": score}
               for n, score in ((1, 0.9), (2, 0.8), (3, 0.7))]  # fmt: skip
    weighted, _ = both(tmp_path, annotations, results, *scene(0, 3)[2:])
    everyone = weighted.precision(np.ones(3))[0, 0, 0]  # 1 up to a recall of 1/3 (34 points), 2/3 up to 2/3 (33)
    assert everyone == pytest.approx((34 + 33 * 2 / 3) / 101, abs=1e-12)
    assert weighted.precision(np.array([1, 0, 1]))[0, 0, 0] == pytest.approx(1, abs=1e-12)
    # Six objects, of which the first two and the last three are found; the third box is wrong: 2/2, then 5/6 up to 5/6.
    assert weighted.precision(np.array([2, 1, 3]))[0, 0, 0] == pytest.approx((34 + 50 * 5 / 6) / 101, abs=1e-12)
    assert np.isnan(weighted.precision(np.ones(3))[1, 0, 0])  # none is small
    assert np.isnan(weighted.precision(np.zeros(3))).all()


def test_nothing_found_and_nothing_there(tmp_path):
    annotations, _, images, classes = scene(1)
    path = tmp_path / "val.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": classes}))
    truth = load_annotations(path)
    weighted = Weighted(matched(truth, np.empty((0, 7)), range(1, 5), range(1, 13)))
    assert six(weighted.unweighted)[0] == 0
    path.write_text(json.dumps({"images": images, "annotations": [], "categories": classes}))
    row = np.array([[1, 5, 5, 20, 20, 0.5, 1]], dtype=np.float64)
    weighted = Weighted(matched(load_annotations(path), row, range(1, 5), range(1, 13)))
    assert np.isnan(six(weighted.unweighted)).all()
