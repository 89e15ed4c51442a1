"""Two runs on the same images, against a bootstrap in plain Python and pycocotools."""

from __future__ import annotations

import contextlib
import dataclasses
import io

import hotcoco
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pkdcli.data.scoring.predictions import Detections
from pkdcli.errors import PkdError
from pkdcli.reporting.compare.groups import Group, against
from pkdcli.reporting.compare.pairs import recovered


def difference(a, b, *resamples, **changes):
    """Two single runs held against each other."""
    return against(Group("a", (a,)), Group("b", (b,)), *resamples, **changes)


def slow_map(content, found: Detections, images) -> float:
    """mAP by pycocotools of the images that were drawn, each drawing an image of its own."""
    owner = np.repeat(found.images, found.counts)
    annotations, results = [], []
    for place, image in enumerate(images, 1):
        for one in content["annotations"]:
            if one["image_id"] == image:
                annotations.append({**one, "id": len(annotations) + 1, "image_id": place})
        for row in np.flatnonzero(owner == image):
            x1, y1, x2, y2 = found.boxes[row].astype(float)
            results.append({"image_id": place, "category_id": int(found.labels[row]) + 1,
                            "bbox": [x1, y1, x2 - x1, y2 - y1], "score": float(found.scores[row])})  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {"images": [{"id": n} for n in range(1, len(images) + 1)], "annotations": annotations,
                         "categories": content["categories"]}  # fmt: skip
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return 100 * evaluation.stats[0]


def test_the_difference_is_that_of_the_metrics(two):
    content, a, b = two
    found = difference(a, b, resamples=0)
    images = a.found.images.tolist()
    expected = slow_map(content, b.found, images) - slow_map(content, a.found, images)
    assert found.metrics["mAP"].by_images.mean == pytest.approx(expected, abs=1e-9)
    assert found.better is None
    assert found.metrics["mAP"].by_images.lower == -np.inf


def test_the_interval_is_that_of_a_slow_paired_bootstrap(two):
    content, a, b = two
    found = difference(a, b, resamples=2000)
    random = np.random.default_rng(5)
    drawn = []
    for _ in range(150):
        images = random.choice(a.found.images, len(a.found.images)).tolist()
        drawn.append(slow_map(content, b.found, images) - slow_map(content, a.found, images))
    # The spread of 150 draws is known to 1/sqrt(300) = 6 % of itself: three of those.
    spread = np.std(drawn, ddof=1)
    assert found.metrics["mAP"].by_images.half_width == pytest.approx(2.02 * spread, rel=0.18)
    interval = found.metrics["mAP"].by_images
    assert (interval.lower + interval.upper) / 2 == pytest.approx(interval.mean)
    theirs = hotcoco.compare(a.evaluation, b.evaluation, n_bootstrap=2000, seed=0, confidence=0.95)["ci"]["AP"]
    assert 100 * theirs["std_err"] < 0.85 * spread, "hotcoco counts an image once however often it was drawn"
    assert found.better == pytest.approx(np.mean(np.array(drawn) > 0), abs=0.02)


def test_the_same_seed_draws_the_same_images(two):
    _, a, b = two
    assert difference(a, b, 50, seed=1).metrics == difference(a, b, 50, seed=1).metrics
    assert difference(a, b, 50, seed=1).metrics != difference(a, b, 50, seed=2).metrics


def test_classes_and_sizes(two):
    _, a, b = two
    found = difference(a, b, 0)
    by_class = {name: value - found.a.by_class[name] for name, value in found.b.by_class.items()}
    assert list(by_class) == ["car", "person"]
    assert np.mean(list(by_class.values())) == pytest.approx(found.metrics["mAP"].by_images.mean)
    assert np.mean(list(a.by_class.values())) == pytest.approx(a.metrics["mAP"])


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"data": "other"}, "they differ in data set: mine and other"),
        ({"split": "test"}, "they differ in split: val and test"),
        ({"fingerprint": "cd"}, r"they differ in annotations \(fingerprint\): ab and cd"),
        ({"classes": ("car", "bus")}, "they differ in classes: car, person and bus, car"),
    ],
)
def test_what_differs_is_named(two, changes, word):
    _, a, b = two
    other = dataclasses.replace(b, found=dataclasses.replace(b.found, **changes))
    with pytest.raises(PkdError, match=f"run-1 and run-2 can't be compared: {word}"):
        difference(a, other)


def test_a_fingerprint_that_is_not_known_is_no_difference(two):
    _, a, b = two
    other = dataclasses.replace(b, found=dataclasses.replace(b.found, fingerprint=None))
    assert difference(a, other, 0).metrics == difference(a, b, 0).metrics


def test_other_images_are_named(two):
    _, a, b = two
    few = dataclasses.replace(b.found, images=np.array([*b.found.images[:-1], 99]))
    with pytest.raises(PkdError, match="40 and 40 images, and 2 of these are not in both, such as id 40"):
        difference(a, dataclasses.replace(b, found=few))


def test_the_share_of_the_teachers_lead():
    assert recovered({"mAP": 30}, {"mAP": 35}, {"mAP": 40}) == 0.5
    assert recovered({"mAP": 30}, {"mAP": 29}, {"mAP": 40}) == pytest.approx(-0.1)
    assert recovered({"mAP": 30}, {"mAP": 31}, {"mAP": 30}) is None


def test_errors_calibration_and_confusion_are_of_the_kept_detections(two):
    _, a, b = two
    assert set(a.errors()["points"]) == {"Cls", "Loc", "Both", "Dupe", "Bkg", "Miss", "FP", "FN"}
    # A fifth of the objects has no box near it, whatever the noise: it is missed.
    assert a.errors()["counts"]["Miss"] > 0
    assert b.metrics["mAP"] > a.metrics["mAP"]
    assert b.errors()["points"]["Loc"] < a.errors()["points"]["Loc"]
    matrix = a.confusion(0.0)
    assert matrix.sum(axis=1)[:-1].tolist() == [
        sum(one["category_id"] == number for one in two[0]["annotations"]) for number in (1, 2)
    ]
    assert 0 <= a.calibration()["ece"] <= 1
    assert set(a.by_image()) == set(a.found.images.tolist())
