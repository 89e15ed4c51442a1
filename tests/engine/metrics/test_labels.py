"""What a checkpoint's labels mean: matched by names, measured both ways where names can't be trusted, or refused."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
import torch

from pkdcli.engine.metrics import labels
from pkdcli.errors import PkdError
from pkdcli.recipe.schema import Data


def data(*classes: str) -> Data:
    split = {"images": "images", "annotations": "a.json"}
    return Data(name="cells", train=split, val=split, classes=list(classes))


@pytest.fixture
def weights(tmp_path):
    """Writes a checkpoint with some meta."""

    def write(**meta):
        path = tmp_path / "weights.pth"
        torch.save({"meta": meta, "state_dict": {"a": torch.ones(1)}}, path)
        return path

    return write


def named(*classes: str, **more):
    return {"dataset_meta": {"classes": classes}, **more}


def test_the_same_order_says_nothing(weights):
    path = weights(**named("traffic_light", "Cat"))  # as mmdet 1 wrote COCO's names
    assert labels.orders_of(path, data("traffic light", "cat")) == ([["traffic light", "cat"]], [])


def test_another_order_is_taken_by_name(weights):
    path = weights(**named("a", "b", "c"))
    assert labels.orders_of(path, data("c", "a", "b")) == (
        [["a", "b", "c"]],
        [f"labels are matched by the names in {path}: a, b, c."],
    )


def test_mmdets_names_tell_no_order(weights):
    """CocoDataset numbers labels by its file, and notes down the order of the config."""
    cfg = "train_dataloader = dict()"
    assert labels.orders_of(weights(**named("a", "b"), cfg=cfg), data("b", "a")) == ([["a", "b"], ["b", "a"]], [])
    # Our own are in the order of their names.
    assert labels.orders_of(weights(**named("a", "b"), cfg=cfg, run="x"), data("b", "a"))[0] == [["a", "b"]]


def test_no_names_are_taken_by_place_and_that_is_said(weights):
    path = weights(epoch=3)
    assert labels.orders_of(path, data("b", "a")) == (
        [["b", "a"]],
        [f"{path} names no classes: its labels are taken in the order of cells, b, a."],
    )


def test_a_checkpoint_of_more_classes_is_measured_on_those_that_the_data_has(weights):
    path = weights(**named("A", "c", "b", "d"))
    assert labels.orders_of(path, data("b", "a")) == (
        [["a", None, "b", None]],
        [f"labels are matched by the names in {path}; what it finds of c, d is left out."],
    )


def test_a_detector_is_built_with_as_many_classes_as_its_checkpoint_names(weights):
    def built(*classes: str) -> dict:
        model = {"type": "X", "rpn_head": {"type": "R"}, "roi_head": [{"type": "H", "num_classes": 2}]}
        labels.as_many_classes({"model": model}, data("b", "a"), weights(**named(*classes)))
        return model["roi_head"][0]

    assert built("a", "b", "c") == {"type": "H", "num_classes": 3}
    assert built("b", "a") == {"type": "H", "num_classes": 2}
    assert built() == {"type": "H", "num_classes": 2}


def test_what_a_detector_finds_of_other_classes_counts_nowhere(tmp_path):
    """Two labels of three are the data's: the same detections as of a detector of two, and the same metrics."""
    from pkdcli.engine.metrics.coco import PkdCocoMetric

    categories = [{"id": 7, "name": "a"}, {"id": 3, "name": "b"}]
    boxes = [
        {"id": n, "image_id": 1, "category_id": c["id"], "bbox": [9 * n, 1, 20, 20], "area": 400, "iscrowd": 0}
        for n, c in enumerate(categories)
    ]
    path = tmp_path / "a.json"
    picture = {"id": 1, "file_name": "1.jpg", "width": 64, "height": 64}
    path.write_text(json.dumps({"images": [picture], "annotations": boxes, "categories": categories}))

    def metrics(order: list[str | None], found: list[int]) -> dict[str, float]:
        metric = PkdCocoMetric(str(path))
        known = [name for name in order if name is not None]
        metric.dataset_meta = {"classes": known}
        if len(known) < len(order):
            metric.dataset_meta = {"classes": known, "places": [known.index(one) if one else -1 for one in order]}
        place = torch.tensor([[9.0 * (n % 2), 1, 9 * (n % 2) + 20, 21] for n in range(len(found))])
        scores = torch.tensor([0.9, 0.8, 0.95])[: len(found)]
        sample = {"bboxes": place, "scores": scores, "labels": torch.tensor(found)}
        metric.process(None, [{"img_id": 1, "pred_instances": sample}])
        return metric.evaluate(1)

    two = metrics(["a", "b"], [0, 1])
    assert two["mAP"] == pytest.approx(100)
    assert metrics(["b", None, "a"], [2, 0, 1]) == pytest.approx(two, nan_ok=True)
    assert metrics(["b", None, "a"], [0, 2, 1])["mAP"] == 0  # the labels the other way round


@pytest.mark.parametrize("theirs", [("a", "d"), ("a", "c", "d"), ("a",), ("a", "a", "b")])
def test_other_classes_are_refused(weights, theirs):
    path = weights(**named(*theirs))
    with pytest.raises(PkdError) as caught:
        labels.orders_of(path, data("b", "a"))
    assert caught.value.message == (
        f"{path} was trained for other classes than those of data set cells: {', '.join(theirs)} instead of b, a."
    )
    assert caught.value.code == 2


class Runner:
    """Has so many mAP in each order of the classes, and remembers the last that was evaluated."""

    def __init__(self, points: dict[Sequence[str], float]) -> None:
        self.points, self.dataset_meta = points, {"classes": (), "palette": 1}
        self.val_loop = self.evaluator = self

    def val(self) -> dict[str, float]:
        assert self.dataset_meta["palette"] == 1
        return {"mAP": self.points[self.dataset_meta["classes"]]}


@pytest.mark.parametrize(("by_name", "by_place", "right"), [(34.4, 0.2, "ab"), (0.2, 34.4, "ba"), (1.0, 1.0, "ab")])
def test_the_better_of_two_orders_is_right_and_both_are_said(tmp_path, by_name, by_place, right):
    runner = Runner({("a", "b"): by_name, ("b", "a"): by_place})
    metrics, order, (said,) = labels.measure(runner, [["a", "b"], ["b", "a"]], tmp_path / "x.pth")
    assert metrics == {"mAP": max(by_name, by_place)}
    assert order == list(right)
    assert runner.dataset_meta["classes"] == tuple(right)
    assert f"as a, b (its names) it has {by_name} mAP, as b, a (the data's order) {by_place};" in said


def test_a_label_is_the_place_of_its_name_in_the_classes_asked_for(tmp_path):
    from pkdcli.compat import activate

    activate()
    from pkdcli.engine.data.dataset import PkdCocoDataset

    categories = [{"id": 7, "name": "a"}, {"id": 3, "name": "b"}, {"id": 5, "name": "c"}]
    boxes = [
        {"id": n, "image_id": 1, "category_id": c["id"], "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 0}
        for n, c in enumerate(categories)
    ]
    picture = {"id": 1, "file_name": "1.jpg", "width": 64, "height": 64}
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"images": [picture], "annotations": boxes, "categories": categories}))
    for classes, expected in ((("a", "b", "c"), [0, 1, 2]), (("c", "a", "b"), [1, 2, 0]), (("c", "a"), [1, 0])):
        found = PkdCocoDataset(ann_file=str(file), data_prefix={"img": ""}, metainfo={"classes": classes}, pipeline=[])
        instances = found.get_data_info(0)["instances"]
        assert [one["bbox_label"] for one in instances if not one["ignore_flag"]] == expected
