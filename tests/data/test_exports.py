"""One set of pictures as labelling tools export it: the check, the training, the evaluation and pycocotools agree.

The forms are those of the tools' own files, down to what their metadata looks like.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pkdcli.compat import activate
from pkdcli.data.annotations.index import IndexMaker
from pkdcli.data.annotations.read import read
from pkdcli.data.checks.coco import check_split
from pkdcli.engine.metrics.coco import PkdCocoMetric, evaluate_detections

CLASSES = ["rbc", "wbc", "platelet"]
WIDTH, HEIGHT = 96, 64


def plain() -> dict[str, Any]:
    """Seven pictures, the last without an object, as the format's own description writes them."""
    rng = np.random.default_rng(5)
    images = [
        {"id": n, "file_name": f"{n}.jpg", "width": WIDTH, "height": HEIGHT, "license": 1} for n in range(1, 8)
    ]
    annotations = []
    for image in images[:-1]:
        for _ in range(5):
            x, y, w, h = (float(side) for side in np.round([*rng.uniform(0, [60, 30]), *rng.uniform(6, 34, 2)], 2))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image["id"],
                    "category_id": int(rng.integers(1, 4)),
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
                    "iscrowd": 0,
                }
            )
    categories = [{"id": n, "name": name, "supercategory": ""} for n, name in enumerate(CLASSES, 1)]
    return {"info": {"year": 2023}, "images": images, "annotations": annotations, "categories": categories}


def numbered(coco: dict[str, Any], images: int, annotations: int, categories: int) -> dict[str, Any]:
    """A copy whose ids begin elsewhere."""
    coco = copy.deepcopy(coco)
    for item in coco["images"]:
        item["id"] += images - 1
    for item in coco["annotations"]:
        item["id"] += annotations - 1
        item["image_id"] += images - 1
        item["category_id"] += categories - 1
    for item in coco["categories"]:
        item["id"] += categories - 1
    return coco


def roboflow(project: str = "cells") -> dict[str, Any]:
    coco = numbered(plain(), 0, 0, 1)
    for image in coco["images"]:
        image["date_captured"] = "2023-01-05T12:00:00+00:00"
    return {
        "info": {
            "year": "2023", "version": "4", "description": "Exported from roboflow.com", "contributor": "",
            "url": "https://public.roboflow.com/", "date_created": "2023-01-05T12:00:00+00:00",
        },
        "licenses": [{"id": 1, "url": "https://creativecommons.org/licenses/by/4.0/", "name": "CC BY 4.0"}],
        **{key: coco[key] for key in ("images", "annotations")},
        # The project stands above its classes as a category of its own.
        "categories": [
            {"id": 0, "name": project, "supercategory": "none"},
            *({**one, "supercategory": project} for one in coco["categories"]),
        ],
    }  # fmt: skip


def cvat() -> dict[str, Any]:
    coco = plain()
    for image in coco["images"]:
        image.update(license=0, flickr_url="", coco_url="", date_captured=0)
    for item in coco["annotations"]:
        item.update(segmentation=[], attributes={"occluded": False, "rotation": 0.0})
    info = dict.fromkeys(("contributor", "date_created", "description", "url", "version", "year"), "")
    return {"licenses": [{"name": "", "id": 0, "url": ""}], "info": info, **{k: coco[k] for k in coco if k != "info"}}


def label_studio() -> dict[str, Any]:
    coco = numbered(plain(), 0, 0, 0)
    for item in coco["annotations"]:
        item.update(segmentation=[], ignore=0)
    coco["info"] = {
        "year": 2023, "version": "1.0", "description": "", "contributor": "Label Studio", "url": "",
        "date_created": "2023-01-05 12:00:00.123456",
    }  # fmt: skip
    coco["categories"] = [{"id": one["id"], "name": one["name"]} for one in coco["categories"]]
    return coco


def labelme() -> dict[str, Any]:
    coco = numbered(plain(), 0, 0, 1)
    for image in coco["images"]:
        image.update(license=0, url=None, date_captured=None)
    coco["info"] = {"description": None, "url": None, "version": None, "year": 2023, "contributor": None}
    coco["categories"] = [
        {"supercategory": None, "id": 0, "name": "_background_"},
        *({**one, "supercategory": None} for one in coco["categories"]),
    ]
    return {**coco, "licenses": [{"url": None, "id": 0, "name": None}], "type": "instances"}


def each(part: str, **changes: Any) -> dict[str, Any]:
    """The plain form with some keys of every item changed; `...` takes a key out."""
    coco = plain()
    for item in coco[part]:
        for key, value in changes.items():
            if value is ...:
                del item[key]
            else:
                item[key] = value(item[key]) if callable(value) else value
    return coco


FORMS = {
    "plain": plain,
    "roboflow": roboflow,
    "roboflow-project-named-as-a-class": lambda: roboflow("wbc"),
    "cvat": cvat,
    "label-studio": label_studio,
    "labelme": labelme,
}
ODD = {
    "info-null": lambda: {**plain(), "info": None, "licenses": None},
    "info-list": lambda: {**plain(), "info": ["x"], "licenses": {"a": float("nan")}},
    "crowd-null": lambda: each("annotations", iscrowd=None),
    "crowd-absent": lambda: each("annotations", iscrowd=...),
    "crowd-text": lambda: each("annotations", iscrowd="0", ignore="false"),
    "crowd-false": lambda: each("annotations", iscrowd=False),
    "area-absent": lambda: each("annotations", area=...),
    "area-null": lambda: each("annotations", area=None),
    "flat-polygon": lambda: each("annotations", segmentation=lambda polygons: polygons[0]),
    "mask-null": lambda: each("annotations", segmentation=None),
    "mask-empty-object": lambda: each("annotations", segmentation={}),
    "sizes-as-floats": lambda: each("images", width=float(WIDTH), height=float(HEIGHT)),
    "ids-as-floats": lambda: json.loads(json.dumps(plain()).replace('id": 1,', 'id": 1.0,')),
    "ids-above-int32": lambda: numbered(plain(), 2**31, 2**31, 2**31),
    "ids-above-2-to-the-53": lambda: numbered(plain(), 2**53, 2**53, 2**53),
    "ids-to-the-last": lambda: numbered(plain(), 2**63 - 7, 2**63 - 30, 2**63 - 3),
}
ALL = {**FORMS, **ODD}


@pytest.fixture
def save(tmp_path):
    (tmp_path / "images").mkdir(exist_ok=True)
    for n in range(1, 8):
        (tmp_path / "images" / f"{n}.jpg").write_bytes(b"\xff\xd8" + bytes([n]))

    def write(coco: dict[str, Any], encoding: str = "utf-8") -> Path:
        path = tmp_path / "annotations.json"
        path.write_text(json.dumps(coco), encoding=encoding)
        return path

    return write


def detections(coco: dict[str, Any]) -> list[dict[str, Any]]:
    """The same boxes near the objects, and some anywhere, with the ids of a form."""
    rng = np.random.default_rng(8)
    images = {image["file_name"]: image["id"] for image in coco["images"]}
    categories = {one["name"]: one["id"] for one in coco["categories"]}  # of equal names the later
    reference = plain()
    found = []
    for item in reference["annotations"]:
        for _ in range(int(rng.integers(0, 3))):
            box = np.float32(np.array(item["bbox"]) * rng.uniform(0.9, 1.1, 4)).astype(float).tolist()
            score = float(np.float32(rng.random()))
            name = CLASSES[item["category_id"] - 1 if rng.random() < 0.9 else 0]
            found.append((f"{item['image_id']}.jpg", name, box, score))
    return [
        {"image_id": images[file], "category_id": categories[name], "bbox": box, "score": score}
        for file, name, box, score in found
    ]


def by_pycocotools(path: Path, found: list[dict[str, Any]]) -> float:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path))
        evaluation = COCOeval(truth, truth.loadRes(copy.deepcopy(found)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return 100 * float(evaluation.stats[0])


MAP = 22.187529467232437  # what pycocotools says of the plain form


def test_the_number_is_pycocotools_own(save):
    coco = plain()
    assert by_pycocotools(save(coco), detections(coco)) == MAP


@pytest.mark.parametrize("form", ALL)
def test_every_form_has_one_map(save, form):
    coco = ALL[form]()
    path = save(coco)
    report = check_split(path.parent / "images", path)
    assert (report.n_images, report.n_annotations) == (7, 30)
    assert [name for name in report.classes if report.per_class[name]] == CLASSES
    assert evaluate_detections(path, detections(coco), classes=CLASSES)["mAP"] == MAP
    assert evaluate_detections(path, detections(coco))["mAP"] == MAP


@pytest.mark.parametrize("form", FORMS)
def test_pycocotools_agrees_on_what_tools_export(save, form):
    """It takes an annotation of id 0 for none, and so loses the object of every file that counts from there."""
    coco = FORMS[form]()
    first = min(item["id"] for item in coco["annotations"])
    for item in coco["annotations"]:
        item["id"] += 1 - first
    assert by_pycocotools(save(coco), detections(coco)) == MAP
    if first == 0:
        coco["annotations"] = sorted(coco["annotations"], key=lambda item: item["id"])
        for number, item in enumerate(coco["annotations"]):
            item["id"] = number
        assert by_pycocotools(save(coco), detections(coco)) < MAP


@pytest.mark.parametrize("form", ALL)
def test_the_metric_inside_mmengine_has_the_same_map(save, form):
    coco = ALL[form]()
    path = save(coco)
    metric = PkdCocoMetric(ann_file=str(path))
    metric.dataset_meta = {"classes": tuple(CLASSES)}
    found, names = detections(coco), {one["id"]: one["name"] for one in coco["categories"]}
    for image in coco["images"]:
        mine = [one for one in found if one["image_id"] == image["id"]]
        # float64, which keeps the very boxes: the metric takes what a detector gives
        xywh = torch.tensor([one["bbox"] for one in mine], dtype=torch.float64).reshape(-1, 4)
        instances = {
            "bboxes": torch.cat([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], dim=1),
            "scores": torch.tensor([one["score"] for one in mine]),
            "labels": torch.tensor([CLASSES.index(names[one["category_id"]]) for one in mine], dtype=torch.int64),
        }
        metric.process(None, [{"img_id": int(image["id"]), "pred_instances": instances}])
    assert metric.evaluate(7)["mAP"] == pytest.approx(MAP, abs=1e-9)


def stock(path: Path) -> list[dict[str, Any]]:
    """What mmdet's own data set makes of the file."""
    activate()
    from mmdet.datasets import CocoDataset

    with contextlib.redirect_stdout(io.StringIO()):
        dataset = CocoDataset(
            ann_file=str(path), data_prefix={"img": "pictures"}, metainfo={"classes": tuple(CLASSES)}, pipeline=[]
        )
    return [{k: v for k, v in dataset.get_data_info(n).items() if k != "sample_idx"} for n in range(len(dataset))]


def ours(path: Path, **options: Any) -> list[dict[str, Any]]:
    """What the training's data set makes of it."""
    from mmdet.registry import DATASETS

    import pkdcli.engine.register  # noqa: F401

    dataset = DATASETS.build(
        {
            "type": "PkdCocoDataset", "ann_file": str(path), "data_prefix": {"img": "pictures"},
            "metainfo": {"classes": tuple(CLASSES)}, "pipeline": [], **options,
        }
    )  # fmt: skip
    return [{k: v for k, v in dataset.get_data_info(n).items() if k != "sample_idx"} for n in range(len(dataset))]


def content(infos: list[dict[str, Any]]) -> list[Any]:
    """Without ids and masks."""
    keys = ("bbox", "bbox_label", "ignore_flag")
    return [
        (info["img_path"], info["width"], info["height"], [[one[key] for key in keys] for one in info["instances"]])
        for info in infos
    ]


@pytest.mark.parametrize("form", ALL)
def test_every_form_is_learned_alike(save, form):
    reference = content(stock(save(plain())))
    assert sum(len(info[3]) for info in reference) == 30
    coco = ALL[form]()
    assert content(ours(save(coco))) == reference


def test_what_mmdet_drops_is_dropped(save):
    """Crowds, ignored ones, boxes without area or outside, other classes, on numbers that are drawn."""
    rng = np.random.default_rng(3)
    coco = plain()
    for n in range(400):
        box = [float(side) for side in (*rng.uniform(-40, [120, 90]), *rng.uniform(-2, 30, 2))]
        kind = {"iscrowd": int(rng.random() < 0.2), "ignore": int(rng.random() < 0.2)}
        where = {"image_id": int(rng.integers(1, 8)), "category_id": int(rng.integers(1, 5))}
        area = float(rng.choice([0, -1, 5, 60.5]))
        coco["annotations"].append({"id": 100 + n, "bbox": box, "area": area, **kind, **where})
    coco["categories"].append({"id": 4, "name": "another"})
    path = save(coco)
    expected, found = stock(path), ours(path)
    assert 40 < sum(len(info["instances"]) for info in expected) < 300
    assert content(found) == content(expected)
    filters = {"filter_empty_gt": True, "min_size": 32}
    assert [one["img_id"] for one in ours(save(plain()), filter_cfg=filters)] == [1, 2, 3, 4, 5, 6]
    filters = {"filter_empty_gt": False, "min_size": 32}
    assert [one["img_id"] for one in ours(save(plain()), filter_cfg=filters)] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_masks_come_as_mmdet_takes_them(save, encoding):
    coco = plain()
    runs = {"counts": [0, 5, WIDTH * HEIGHT - 5], "size": [HEIGHT, WIDTH]}
    coco["annotations"][1]["segmentation"] = runs
    flat = coco["annotations"][2]["segmentation"][0]
    expected = [item["segmentation"] for item in coco["annotations"]]
    coco["annotations"][2]["segmentation"] = flat
    path = save(coco, encoding)
    truth = read(path)
    assert [truth.segmentation(index) for index in range(30)] == expected
    index = IndexMaker(truth).in_memory()
    images, labels = range(len(truth.image_id)), range(len(CLASSES))
    assert [one["mask"] for image in images for one in index.instances(image, labels)] == expected
    # A file that is no strict JSON is read in another way.
    truth = read(save({**coco, "info": float("nan")}))
    assert [truth.segmentation(index) for index in range(30)] == expected


@pytest.mark.parametrize("form", ALL)
def test_a_file_that_is_no_strict_json_is_read_alike(save, form):
    """With a NaN in it the whole file is read as Python values, by other code."""
    first, second = read(save(ALL[form]())), read(save({**ALL[form](), "more": float("nan")}))
    for key in ("image_id", "size", "id", "image", "category", "bbox", "area", "iscrowd", "ignore", "mask"):
        assert getattr(first, key).tolist() == getattr(second, key).tolist(), key
    for key in ("file_name", "classes", "n_computed"):
        assert getattr(first, key) == getattr(second, key), key
    assert [first.segmentation(n) for n in range(30)] == [second.segmentation(n) for n in range(30)]


def test_items_of_another_form_in_the_middle_of_a_large_file(save):
    """Items are read some thousands at a time, and one of another form has its chunk read in another way."""
    coco = plain()
    annotations = [
        {**coco["annotations"][n % 30], "id": n + 1, "segmentation": [[n, 0, n + 1, 5, n + 2, 9.5]]}
        for n in range(40_000)
    ]
    coco["annotations"] = annotations
    expected = read(save(coco))
    for place in (0, 17_000, 39_999):
        annotations[place]["iscrowd"] = "0"
        annotations[place]["image_id"] = float(annotations[place]["image_id"])
    found = read(save(coco))
    assert np.array_equal(found.image, expected.image)
    assert not found.iscrowd.any()
    places = (0, 1, 16_383, 16_384, 17_000, 17_001, 32_768, 39_998, 39_999)
    assert [found.segmentation(n) for n in places] == [[[n, 0, n + 1, 5, n + 2, 9.5]] for n in places]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JSON, JSON, JSON, st.booleans())
def test_what_is_not_used_changes_nothing(save, info, licenses, extra, ascii_only):
    coco = plain()
    coco.update(info=info, licenses=licenses, extra=extra)
    for item in [*coco["images"], *coco["annotations"], *coco["categories"]]:
        item["date_captured"] = item["attributes"] = item["license"] = extra
    path = save(plain())
    path.write_text(json.dumps(coco, ensure_ascii=ascii_only), encoding="utf-8", errors="surrogatepass")
    assert evaluate_detections(path, detections(coco))["mAP"] == MAP
