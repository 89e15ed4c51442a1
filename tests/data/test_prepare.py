"""A user's own data set from its recipe: checked, its facts filled in, its classes in the file's order or its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from pkdcli.data import prepare
from pkdcli.data.checks import coco
from pkdcli.data.shapes.dataset import CHECKSUM, CLASSES
from pkdcli.errors import ExitCode, PkdError
from pkdcli.recipe.resolve import load_data


class Own:
    """A data set in a folder of its own with the recipe a user would write beside it."""

    def __init__(self, root: Path) -> None:
        self.root, self.cache = root / "own", root / "cache"
        (self.root / "images").mkdir(parents=True)
        self.recipe = self.root / "cells.yaml"
        self.coco = {
            "images": [{"id": n, "file_name": f"{n}.jpg", "width": 64, "height": 48} for n in (1, 2, 3, 4)],
            "annotations": [
                self.box(n, image, kind) for n, image, kind in ((1, 1, 1), (2, 1, 7), (3, 2, 7), (4, 3, 2))
            ],
            "categories": [{"id": 2, "name": "wbc"}, {"id": 7, "name": "rbc"}, {"id": 1, "name": "dot"}],
        }

    @staticmethod
    def box(number, image, category, bbox=(4.0, 4.0, 20.0, 20.0), **more):
        return {"id": number, "image_id": image, "category_id": category, "bbox": list(bbox), "area": 400.0, **more}

    def write(self, extra: str = "", splits=("train", "val"), coco=None) -> None:
        lines = ["name: cells", *(f"{name}: {{images: images/, annotations: {name}.json}}" for name in splits), extra]
        self.recipe.write_text("\n".join(lines) + "\n")
        for name in splits:
            (self.root / f"{name}.json").write_text(json.dumps(coco or self.coco))
        for image in self.coco["images"]:  # as large as annotated
            Image.new("L", (image["width"], image["height"])).save(self.root / "images" / image["file_name"])

    def prepare(self):
        return prepare.prepare(load_data(str(self.recipe)), self.cache)

    def refused(self) -> PkdError:
        with pytest.raises(PkdError) as caught:
            self.prepare()
        return caught.value


@pytest.fixture
def own(tmp_path) -> Own:
    own = Own(tmp_path)
    own.write()
    return own


def test_facts_are_filled_in(own):
    data = own.prepare()
    assert data.classes == ["wbc", "rbc", "dot"]
    assert data.train_images == 3  # the fourth image has no object
    assert data.masks is False
    assert data.train.annotations == str(own.root / "train.json")
    assert data.val.images == str(own.root / "images")
    assert data.root is None
    assert len(data.fingerprint) == 16


def test_paths_are_relative_to_the_recipe_and_not_to_where_one_stands(own, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert prepare.prepare(load_data("own/cells.yaml"), own.cache).train.annotations == str(own.root / "train.json")


def test_classes_come_in_the_order_of_the_recipe_where_it_lists_them(own):
    own.write()
    assert own.prepare().classes == ["wbc", "rbc", "dot"]
    own.write("classes: [dot, rbc, wbc]")
    assert own.prepare().classes == ["dot", "rbc", "wbc"]
    own.write("classes: [dot, rbc, dot]")
    error = own.refused()
    assert (error.message, error.code) == ("data set cells: classes: 'dot' is listed twice.", ExitCode.USAGE)


def test_some_of_the_classes_and_the_images_that_are_left(own):
    own.write("classes: [dot, wbc]")
    data = own.prepare()
    assert data.classes == ["dot", "wbc"]
    assert data.train_images == 2
    own.write("classes: [dot]")
    # The same files with other classes: what was found before does not hold.
    assert own.prepare().train_images == 1


def test_images_that_mmdet_leaves_out_are_not_counted(own):
    own.coco["images"][0]["height"] = 31
    own.coco["images"][1]["width"] = 32
    own.write()
    assert own.prepare().train_images == 2


def test_the_count_is_that_of_mmdets_own_dataset(own):
    """Against mmdet's CocoDataset itself, crowds, boxes without area and small images included."""
    from pkdcli.compat import activate

    activate()
    from mmdet.datasets import CocoDataset

    own.coco["images"] += [
        {"id": n, "file_name": f"{n}.jpg", "width": w, "height": 40} for n, w in ((5, 31), (6, 32), (7, 99))
    ]
    own.coco["annotations"] += [
        own.box(5, 5, 1),
        own.box(6, 6, 1, iscrowd=1),
        own.box(7, 7, 2, (1.0, 1.0, 0.0, 5.0)),
    ]
    for classes in (None, ["dot"], ["dot", "wbc"]):
        own.write(f"classes: [{', '.join(classes)}]" if classes else "")
        data = own.prepare()
        dataset = CocoDataset(
            ann_file=data.train.annotations,
            data_prefix={"img": data.train.images},
            metainfo={"classes": tuple(data.classes)},
            filter_cfg={"filter_empty_gt": True, "min_size": coco.MIN_SIDE},
        )
        assert data.train_images == len(dataset) > 0
        labels = {n["bbox_label"] for i in range(len(dataset)) for n in dataset.get_data_info(i)["instances"]}
        names = {c["id"]: c["name"] for c in own.coco["categories"]}
        wanted = {names[a["category_id"]] for a in own.coco["annotations"]} & set(data.classes)
        assert {data.classes[label] for label in labels} == wanted


def test_a_label_means_the_class_it_stands_for(own):
    """An annotation's label is the place of its category's name in the prepared recipe's classes."""
    from pkdcli.compat import activate

    activate()
    from pkdcli.engine.data.dataset import PkdCocoDataset

    own.write("classes: [dot, rbc, wbc]")
    data = own.prepare()
    dataset = PkdCocoDataset(
        ann_file=data.train.annotations,
        data_prefix={"img": data.train.images},
        metainfo={"classes": tuple(data.classes)},
    )
    first, second, third = (
        [data.classes[i["bbox_label"]] for i in dataset.get_data_info(n)["instances"]] for n in range(3)
    )
    assert (first, second, third) == (["dot", "rbc"], ["rbc"], ["wbc"])
    assert [one["bbox_label"] for one in dataset.get_data_info(0)["instances"]] == [0, 1]


def test_masks_are_there_only_if_every_annotation_has_one_and_can_be_declined(own):
    for item in own.coco["annotations"]:
        item["segmentation"] = [[4, 4, 24, 4, 24, 24]]
    own.write()
    assert own.prepare().masks is True
    own.write("masks: false")
    assert own.prepare().masks is False


def test_the_annotations_are_read_once_and_the_check_is_kept(own, monkeypatch):
    calls = []
    real = coco.read
    monkeypatch.setattr(coco, "read", lambda file, **rest: calls.append(file.name) or real(file, **rest))
    first = own.prepare()
    assert calls == ["train.json", "val.json"]
    assert own.prepare() == first
    assert calls == ["train.json", "val.json"]
    own.coco["annotations"].pop()
    own.write()
    second = own.prepare()
    assert len(calls) == 4
    assert (second.train_images, second.fingerprint != first.fingerprint) == (2, True)


def test_a_removed_image_is_noticed_though_a_check_was_kept(own):
    own.prepare()
    (own.root / "images" / "2.jpg").unlink()
    assert "1 of 4 image files are not in" in own.refused().message


def test_a_damaged_record_of_a_check_is_made_again(own):
    first = own.prepare()
    (record,) = (own.cache / "checks").iterdir()
    for damage in ("", "[]", '{"classes": []}'):
        record.write_text(damage)
        assert own.prepare() == first


def test_the_embedded_set_is_known_before_it_is_drawn(tmp_path):
    data = prepare.facts(load_data("shapes"), tmp_path)
    assert data.classes == list(CLASSES)
    assert (data.train_images, data.fingerprint) == (800, CHECKSUM[:16])
    assert data.val.annotations == str(tmp_path / "data" / "shapes-v1" / "annotations" / "val.json")
    assert list(tmp_path.iterdir()) == []


def test_facts_of_absent_data_stay_open(own):
    (own.root / "val.json").unlink()
    data = load_data(str(own.recipe))
    assert prepare.facts(data, own.cache) == data


# What is refused


def test_an_unknown_class_is_refused_with_the_nearest(own):
    own.write("classes: [wbc, rcb]")
    error = own.refused()
    assert error.message == "data set cells: classes: unknown class 'rcb'."
    assert error.hint == "Did you mean 'rbc'? Allowed: dot, rbc, wbc."


def test_nothing_to_train_on_is_refused(own):
    for image in own.coco["images"]:
        image["height"] = 31
    own.write()
    error = own.refused()
    assert error.message == f"{own.root / 'train.json'}: no image to train on."
    assert error.hint == "mmdet trains on images of at least 32 pixels a side with an annotation of a listed class."


def test_a_wrong_path_of_a_users_own_is_a_wrong_word(own):
    (own.root / "val.json").unlink()
    error = own.refused()
    assert error.code == ExitCode.USAGE
    assert error.message == f"data set cells is not there; expected:\n  {own.root / 'val.json'}"
    assert error.hint == "Correct the paths in the data recipe: they are relative to its own folder."


def test_absent_public_data_is_what_the_machine_lacks(tmp_path, monkeypatch):
    monkeypatch.setenv("PKD_COCO", str(tmp_path / "coco"))
    with pytest.raises(PkdError) as caught:
        prepare.prepare(load_data("coco"), tmp_path / "cache")
    assert caught.value.code == ExitCode.MISSING
    assert caught.value.message == (
        f"data set coco is not there; expected:\n"
        f"  {tmp_path}/coco/annotations/instances_train2017.json\n  {tmp_path}/coco/train2017\n"
        f"  {tmp_path}/coco/annotations/instances_val2017.json\n  {tmp_path}/coco/val2017"
    )


def test_a_folder_in_the_place_of_the_annotations(own):
    (own.root / "train.json").unlink()
    (own.root / "train.json").mkdir()
    error = own.refused()
    assert error.message == f"data set cells, train: {own.root / 'train.json'} is a folder."
    assert error.hint == "Name the annotation file in it."


def test_classes_must_agree_between_splits(own):
    own.write(splits=("train", "val", "test"))
    other = {**own.coco, "categories": [*own.coco["categories"][:2], {"id": 1, "name": "dots"}]}
    (own.root / "test.json").write_text(json.dumps(other))
    error = own.refused()
    assert error.code == ExitCode.USAGE
    assert "only" in error.message
    assert "'dot' and 'dots'" in error.hint


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty."),
        ("{", "stops too early"),
        ("[1]", "holds a list, not an object."),
        ('{"images": [], "annotations": [], "categories": []}', "categories"),
    ],
)
def test_unusable_json(own, text, says):
    (own.root / "train.json").write_text(text)
    error = own.refused()
    assert error.message.startswith(f"data set cells, train: {own.root / 'train.json'}")
    assert says in error.message
    assert error.hint
    assert error.code == ExitCode.USAGE


def test_boxes_without_area_are_named_and_left_out(own, capsys):
    own.coco["annotations"][0]["bbox"][2] = 0
    own.write()
    assert own.prepare().train_images == 3
    assert "1 of 4 boxes have a side below one pixel or no area and are ignored." in capsys.readouterr().err


def test_a_set_without_annotations(own):
    own.coco["annotations"] = []
    own.write()
    assert "annotations is an empty list" in own.refused().message


@pytest.mark.parametrize("ready", [prepare.facts, prepare.prepare])
def test_classes_of_the_drawn_data_are_all_of_them(tmp_path, ready):
    """They were left unheeded: the recipe said one class, and the run learned six."""
    some = load_data("shapes").model_copy(update={"classes": ["circle", "star"]})
    with pytest.raises(PkdError) as caught:
        ready(some, tmp_path)
    assert caught.value.message == (
        "data set shapes: classes: circle, star can't be chosen: shapes is used with all that are drawn, "
        "circle, square, triangle, star, cross, crescent."
    )
    images, file = (tmp_path / "data" / "shapes-v1" / name for name in ("images/train", "annotations/train.json"))
    assert f"whose `train` is {{images: {images}, annotations: {file}}}, and `val` likewise." in caught.value.hint
    whole = load_data("shapes").model_copy(update={"classes": list(CLASSES)})  # as recipes of runs have it
    assert prepare.facts(whole, tmp_path).classes == list(CLASSES)
