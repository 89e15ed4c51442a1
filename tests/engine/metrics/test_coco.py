"""hotcoco against pycocotools on the same detections, to the last digit; and the metric inside mmengine's evaluator."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch

from pkdcli.engine.metrics.coco import PkdCocoMetric, evaluate_detections
from pkdcli.errors import ExitCode, PkdError

NAMES = ["mAP", "AP50", "AP75", "AP_S", "AP_M", "AP_L"]
CLASSES = {"plane": 7, "car": 3, "truck": 90}


def make(seed: int, *, images: int = 12, false: int = 12, crowd: float = 0.15, sizes=(4.0, 200.0), decimals: int = 1):
    """A random data set, and detections near and far from its objects, as COCO dictionaries and results."""
    rng = np.random.default_rng(seed)

    def box():
        size = np.exp(rng.uniform(*np.log(sizes)))
        return np.concatenate([rng.uniform(0, 400, 2), size * rng.uniform(0.6, 1.6, 2)])

    def found(image, xywh, category):
        # Scores of one decimal: many ties, whose order both evaluators must break alike.
        return {
            "image_id": image,
            "category_id": category,
            "bbox": [float(value) for value in xywh.astype(np.float32)],
            "score": float(np.float32(round(rng.random(), decimals))),
        }

    ids = [int(number) for number in rng.choice(10_000, images, replace=False)]
    categories = [{"id": id_, "name": name} for name, id_ in CLASSES.items()]
    annotations, results = [], []
    for image in ids:
        for _ in range(rng.integers(0, 7)):  # 0: images without objects
            xywh, category = box(), int(rng.choice(list(CLASSES.values())))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": category,
                    "bbox": xywh.tolist(),
                    "area": float(xywh[2] * xywh[3] * rng.uniform(0.5, 1)),
                    "iscrowd": int(rng.random() < crowd),
                }
            )
            for _ in range(rng.integers(0, 4)):
                results.append(found(image, xywh * rng.uniform(0.85, 1.15, 4), category))
        for _ in range(rng.integers(0, false + 1)):
            results.append(found(image, box(), int(rng.choice(list(CLASSES.values())))))
    data = {
        "info": {},
        "images": [{"id": image, "file_name": f"{image}.jpg", "width": 640, "height": 480} for image in ids],
        "annotations": annotations,
        "categories": categories,
    }
    return data, results


def reference(path, results, categories=None) -> dict[str, float]:
    """pycocotools' own numbers in AP points, NaN for its -1."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path))
        found = truth.loadRes([dict(one) for one in results]) if results else COCO()
        if not results:
            found.dataset = {"images": truth.dataset["images"], "categories": truth.dataset["categories"]}
            found.dataset["annotations"] = []
            found.createIndex()
        evaluation = COCOeval(truth, found, "bbox")
        if categories is not None:
            evaluation.params.catIds = categories
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(
        zip(NAMES, [100 * float(value) if value >= 0 else math.nan for value in evaluation.stats[:6]], strict=True)
    )


def same(ours: dict[str, float], theirs: dict[str, float]) -> None:
    assert list(ours) == NAMES
    assert all(type(value) is float for value in ours.values())
    # repr: equal to the last digit, and NaN equals NaN
    assert {name: repr(value) for name, value in ours.items()} == {name: repr(value) for name, value in theirs.items()}


@pytest.fixture
def save(tmp_path):
    def write(data):
        path = tmp_path / "annotations.json"
        path.write_text(json.dumps(data))
        return path

    return write


def rows(results) -> np.ndarray:
    return np.array(
        [[one["image_id"], *one["bbox"], one["score"], one["category_id"]] for one in results], dtype=np.float64
    ).reshape(-1, 7)


@pytest.mark.parametrize("seed", range(20))
def test_equals_pycocotools_to_the_last_digit(seed, save):
    data, results = make(seed, decimals=1 if seed % 2 else 6)
    path = save(data)
    expected = reference(path, results)
    assert 0 < expected["mAP"] < 100  # the comparison is about something
    same(evaluate_detections(path, results), expected)
    same(evaluate_detections(path, rows(results)), expected)


def test_more_than_100_detections_per_image_and_class(save):
    data, results = make(1, images=4, false=900)
    counts = np.unique(rows(results)[:, [0, 6]], axis=0, return_counts=True)[1]
    assert counts.max() > 100
    path = save(data)
    expected = reference(path, results)
    same(evaluate_detections(path, results), expected)
    assert evaluate_detections(path, results, max_dets=(1, 10, 20))["mAP"] != expected["mAP"]


@pytest.mark.parametrize(("sizes", "absent"), [((100.0, 200.0), ["AP_S"]), ((2.0, 15.0), ["AP_M", "AP_L"])])
def test_a_size_the_data_does_not_have_is_nan(save, sizes, absent):
    data, results = make(3, sizes=sizes)
    path = save(data)
    ours = evaluate_detections(path, results)
    assert [name for name in NAMES if math.isnan(ours[name])] == absent
    same(ours, reference(path, results))


def test_no_detections_at_all_are_zeros(save):
    data, _ = make(4)
    path = save(data)
    same(evaluate_detections(path, []), dict.fromkeys(NAMES, 0.0))
    same(evaluate_detections(path, np.zeros((0, 7))), reference(path, []))


def test_no_objects_at_all_are_nan(save):
    data, results = make(4)
    path = save({**data, "annotations": []})
    same(evaluate_detections(path, results), dict.fromkeys(NAMES, math.nan))


def test_only_crowds_are_nan(save):
    data, results = make(5, crowd=1.0)
    path = save(data)
    same(evaluate_detections(path, results), reference(path, results))


def test_perfect_detections_reach_100(save):
    data, _ = make(6, crowd=0.0)
    results = [
        {"image_id": one["image_id"], "category_id": one["category_id"], "bbox": one["bbox"], "score": 1.0}
        for one in data["annotations"]
    ]
    same(evaluate_detections(save(data), results), reference(save(data), results))
    assert evaluate_detections(save(data), results)["mAP"] == 100.0


def test_a_subset_of_the_classes(save):
    data, results = make(7)
    path = save(data)
    ours = evaluate_detections(path, results, classes=["truck", "car"])
    same(ours, reference(path, results, categories=[3, 90]))
    assert ours != evaluate_detections(path, results)


def test_prints_nothing(save, capfd):
    data, results = make(8)
    evaluate_detections(save(data), results)
    evaluate_detections(save(data), results, max_dets=(10,))
    assert capfd.readouterr() == ("", "")


def test_detections_on_another_split_are_refused(save):
    data, results = make(9)
    results[0]["image_id"] = 123456
    with pytest.raises(PkdError, match=r"1 images with detections are not .* first has id 123456"):
        evaluate_detections(save(data), results)


def test_absent_annotation_file(tmp_path):
    with pytest.raises(PkdError, match=r"absent\.json") as error:
        evaluate_detections(tmp_path / "absent.json", [])
    assert error.value.code == ExitCode.MISSING


@pytest.mark.parametrize("text", ["", "{", '{"images": [{"id": "x"}], "annotations": [], "categories": []}'])
def test_annotation_file_that_is_not_coco(tmp_path, text):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(PkdError, match=r"bad\.json is not a COCO-format annotation file") as error:
        evaluate_detections(path, [])
    assert error.value.code == ExitCode.USAGE


# The metric inside mmengine's evaluator


def samples(data, results, classes) -> list[dict]:
    """What a detector would hand to the evaluator, every box in xyxy float32, one sample per image."""
    label = {CLASSES[name]: index for index, name in enumerate(classes)}
    out = []
    for image in data["images"]:
        mine = [one for one in results if one["image_id"] == image["id"]]
        xywh = torch.tensor([one["bbox"] for one in mine], dtype=torch.float32).reshape(-1, 4)
        out.append(
            {
                "img_id": image["id"],
                "pred_instances": {
                    "bboxes": torch.cat([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], dim=1),
                    "scores": torch.tensor([one["score"] for one in mine], dtype=torch.float32),
                    "labels": torch.tensor([label[one["category_id"]] for one in mine], dtype=torch.int64),
                },
            }
        )
    return out


def as_mmdet_writes(batch, classes) -> list[dict]:
    """The same samples as COCO results, by the arithmetic of mmdet's CocoMetric."""
    out = []
    for sample in batch:
        found = sample["pred_instances"]
        for box, score, label in zip(
            found["bboxes"].tolist(), found["scores"].tolist(), found["labels"].tolist(), strict=True
        ):
            xywh = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            out.append(
                {"image_id": sample["img_id"], "bbox": xywh, "score": score, "category_id": CLASSES[classes[label]]}
            )
    return out


def run(path, batches, classes, size, **options) -> dict[str, float]:
    from mmengine.evaluator import Evaluator

    evaluator = Evaluator(dict(type="mmdet.PkdCocoMetric", ann_file=str(path), **options))
    evaluator.dataset_meta = {"classes": tuple(classes)}
    for batch in batches:
        evaluator.process(batch)
    return evaluator.evaluate(size)


@pytest.mark.parametrize("classes", [["plane", "car", "truck"], ["truck", "plane", "car"]])
def test_metric_maps_classes_by_name(save, classes):
    data, results = make(11)
    path, batch = save(data), samples(data, results, classes)
    expected = reference(path, as_mmdet_writes(batch, classes))
    assert expected["mAP"] > 0
    same(run(path, [batch[:5], batch[5:]], classes, len(batch)), expected)


def test_metric_has_the_ap_of_each_class_by_its_name(save):
    from mmengine.evaluator import Evaluator

    data, results = make(11)
    data["categories"].append({"id": 77, "name": "bicycle"})  # of which there is none
    classes = ["truck", "bicycle", "plane", "car"]
    path, batch = save(data), samples(data, [one for one in results], ["truck", "plane", "car"])
    for sample in batch:  # labels of the four
        labels = sample["pred_instances"]["labels"]
        sample["pred_instances"]["labels"] = torch.where(labels > 0, labels + 1, labels)
    evaluator = Evaluator(dict(type="mmdet.PkdCocoMetric", ann_file=str(path)))
    evaluator.dataset_meta = {"classes": tuple(classes)}
    evaluator.process(batch)
    evaluator.evaluate(len(batch))
    found = evaluator.metrics[0].by_class
    assert list(found) == classes
    assert math.isnan(found.pop("bicycle"))
    written = as_mmdet_writes(samples(data, results, ["truck", "plane", "car"]), ["truck", "plane", "car"])
    for name, value in found.items():
        assert value == reference(path, written, [CLASSES[name]])["mAP"], name
    assert len(set(found.values())) == 3


def test_metric_counts_an_image_padded_by_the_sampler_once(save):
    data, results = make(12)
    classes = list(CLASSES)
    path, batch = save(data), samples(data, results, classes)
    expected = run(path, [batch], classes, len(batch))
    assert run(path, [batch, batch[:3]], classes, len(batch) + 3) == expected


def test_metric_without_detections(save):
    data, _ = make(13)
    batch = samples(data, [], list(CLASSES))
    assert run(save(data), [batch], list(CLASSES), len(batch)) == dict.fromkeys(NAMES, 0.0)


def test_metric_leaves_out_what_a_diverged_model_finds(save):
    data, results = make(14)
    classes = list(CLASSES)
    path, batch = save(data), samples(data, results, classes)
    expected = run(path, [batch], classes, len(batch))
    found = batch[0]["pred_instances"]
    found["bboxes"] = torch.cat([found["bboxes"], torch.full((2, 4), math.nan)])
    found["scores"] = torch.cat([found["scores"], torch.tensor([0.9, math.nan])])
    found["labels"] = torch.cat([found["labels"], torch.tensor([0, 0])])
    assert run(path, [batch], classes, len(batch)) == expected


def test_metric_writes_the_detections_where_asked(save, tmp_path):
    data, results = make(15)
    classes = list(CLASSES)
    path, batch = save(data), samples(data, results, classes)
    out = tmp_path / "detections.json"
    metrics = run(path, [batch], classes, len(batch), outfile=str(out))
    written = json.loads(out.read_text())
    key = ["image_id", "bbox", "score", "category_id"]
    assert [[one[k] for k in key] for one in written] == [
        [one[k] for k in key] for one in as_mmdet_writes(batch, classes)
    ]
    same(evaluate_detections(path, written), metrics)


def test_metric_refuses_unknown_classes_before_the_first_batch(save):
    data, _ = make(16)
    metric = PkdCocoMetric(ann_file=str(save(data)))
    with pytest.raises(PkdError) as error:
        metric.dataset_meta = {"classes": ("plane", "cars")}
    assert error.value.message == "the annotation file has no category 'cars'; it has 'plane', 'car', 'truck'."
    assert error.value.hint.startswith("Did you mean 'car'? ")


WORKER = """
import json, sys, torch
from mmengine.evaluator import Evaluator
import pkdcli.engine.metrics.coco
from pkdcli.engine.distributed import processes
torch.set_num_threads(1)
processes.init_process_group()
torch.distributed.all_gather_object = torch.distributed.gather_object = None  # boxes are not pickled
for path in sys.argv[1:]:
    file, batch, classes, size = torch.load(path)
    evaluator = Evaluator(dict(type="mmdet.PkdCocoMetric", ann_file=file))
    evaluator.dataset_meta = {"classes": classes}
    evaluator.process(batch[torch.distributed.get_rank()])
    print(json.dumps(evaluator.evaluate(size)))
torch.distributed.barrier()
processes.leave()
"""


def test_metric_on_two_processes_equals_one(tmp_path):
    """Seven images on two processes, and one image that both have, so that one of them has nothing new."""
    classes, files, expected = list(CLASSES), [], []
    for images in (7, 1):
        data, results = make(17, images=images)
        path = tmp_path / f"{images}.json"
        path.write_text(json.dumps(data))
        batch = samples(data, results, classes)
        expected.append(run(path, [batch], classes, len(batch)))
        # mmengine's DefaultSampler: every second image, starting over where the number is odd
        shared = [(batch + batch[:1])[rank::2] for rank in range(2)]
        files.append(tmp_path / f"{images}.pt")
        torch.save((str(path), shared, classes, len(batch)), files[-1])
    here = tmp_path / "here"
    here.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, *map(str, files)],
            env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=here,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        printed = [worker.communicate(timeout=300)[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0]
    for text in printed:
        for line, metrics in zip(text.splitlines()[-2:], expected, strict=True):
            same(json.loads(line), metrics)
    assert list(here.iterdir()) == []  # mmengine would gather through files in ./.dist_test
