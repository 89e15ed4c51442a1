"""What the check says of boxes written in another way, of copies, of shared images, and of what training leaves out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pkdcli.data import prepare
from pkdcli.data.annotations.read import read
from pkdcli.data.checks.coco import check_split
from pkdcli.data.checks.split_overlap import shared_images
from pkdcli.errors import PkdError
from pkdcli.recipe.resolve import load_data

WIDTH, HEIGHT = 160, 120
ACCEPT = (
    "If they are right all the same, write `accept: [{}]` into the data recipe, or add --allow-bad-data to the command."
)


class Pictures:
    """A data set of two splits on disk: twelve pictures each, with three boxes in each."""

    def __init__(self, root: Path) -> None:
        self.root, self.cache, self.extra = root, root / "cache", ""
        self.splits = {name: self.drawn(seed, name) for seed, name in enumerate(("train", "val"))}

    def drawn(self, seed: int, name: str) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        (self.root / name).mkdir()
        images = [{"id": n, "file_name": f"{n}.jpg", "width": WIDTH, "height": HEIGHT} for n in range(1, 13)]
        annotations = []
        for image in images:
            picture = Image.new("RGB", (WIDTH, HEIGHT), (20 * image["id"], 99 * seed, 0))
            picture.save(self.root / name / image["file_name"])
            for _ in range(3):
                size = rng.uniform(12, [70, 24])
                begin = rng.uniform(0, np.array([WIDTH, HEIGHT]) - size)
                annotations.append(self.box(len(annotations) + 1, image["id"], [*begin, *size]))
        return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "x"}]}

    @staticmethod
    def box(number: int, image: int, box: Any, **more: Any) -> dict[str, Any]:
        x, y, w, h = (round(float(side), 1) for side in box)
        return {"id": number, "image_id": image, "category_id": 1, "bbox": [x, y, w, h], "area": w * h, **more}

    def file(self, name: str) -> Path:
        return self.root / f"{name}.json"

    def write(self) -> Path:
        for name, coco in self.splits.items():
            self.file(name).write_text(json.dumps(coco))
        lines = ["name: pictures", *(f"{n}: {{images: {n}/, annotations: {n}.json}}" for n in self.splits), self.extra]
        (self.root / "pictures.yaml").write_text("\n".join(lines) + "\n")
        return self.root / "pictures.yaml"

    def prepare(self):
        return prepare.prepare(load_data(str(self.write())), self.cache)

    def refused(self) -> PkdError:
        with pytest.raises(PkdError) as caught:
            self.prepare()
        assert caught.value.code == 2
        return caught.value

    def every(self, split: str, **changes: Any) -> None:
        for item in self.splits[split]["annotations"]:
            item.update(changes)

    def boxes(self, split: str, change) -> None:
        for item in self.splits[split]["annotations"]:
            item["bbox"] = [round(float(side), 1) for side in change(*item["bbox"])]


@pytest.fixture
def pictures(tmp_path) -> Pictures:
    return Pictures(tmp_path)


def test_nothing_is_said_of_a_good_set(pictures, capsys):
    data = pictures.prepare()
    assert data.warnings == []
    assert data.train_images == 12
    assert capsys.readouterr().err == ""


# Boxes written in another way

FORMS = {
    "corners": (lambda x, y, w, h: (x, y, x + w, y + h), "the corners [x1, y1, x2, y2]",
                "write [x1, y1, x2 - x1, y2 - y1]"),
    "swapped": (lambda x, y, w, h: (x, y, h, w), "[x, y, height, width]", "swap the last two"),
    "centres": (lambda x, y, w, h: (x + w / 2, y + h / 2, w, h), "[centre x, centre y, width, height]",
                "write [x - width / 2, y - height / 2, width, height]"),
}  # fmt: skip


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("form", FORMS)
def test_boxes_in_another_form_are_refused_with_it(pictures, split, form):
    change, meaning, remedy = FORMS[form]
    pictures.boxes(split, change)
    boxes = np.array([item["bbox"] for item in pictures.splits[split]["annotations"]])
    out = int((boxes[:, :2] + boxes[:, 2:] > [WIDTH * 1.01 + 1, HEIGHT * 1.01 + 1]).any(axis=1).sum())
    error = pictures.refused()
    beginning = f"data set pictures, {split}: {pictures.file(split)}: {out} of 36 boxes reach beyond their picture, "
    assert error.message.startswith(beginning + "the first is annotations[")
    assert error.message.endswith(f"in a picture of 160 x 120; all would lie in theirs if they were {meaning}.")
    assert error.hint == f"`bbox` is [x, y, width, height] in pixels: {remedy}. {ACCEPT.format(form)}"
    # The remedy that lets them pass works, and is remembered.
    pictures.extra = f"accept: [{form}]"
    (warning,) = pictures.prepare().warnings
    assert warning.startswith(f"{pictures.file(split)}: {out} of 36 boxes reach beyond their picture, the first is")
    pictures.extra = ""
    assert pictures.refused().message == error.message


def test_sizes_of_images_that_are_swapped(pictures):
    pictures.boxes("val", lambda x, y, w, h: (min(y, 90), x, h, w))
    error = pictures.refused()
    assert "would lie in theirs if they were right, and `width` and `height` of the images swapped." in error.message
    assert error.hint.endswith("swap these. " + ACCEPT.format("swapped-sizes"))


def test_boxes_that_reach_over_the_edge_for_no_known_reason_are_said(pictures):
    for item in pictures.splits["val"]["annotations"][::3]:
        item["bbox"] = [100.0, 0.0, 90.0, 9.0]
    for item in pictures.splits["val"]["annotations"][1::3]:
        item["bbox"] = [0.0, -50.0, 90.0, 90.0]
    (warning,) = pictures.prepare().warnings
    assert warning == (
        f"{pictures.file('val')}: 24 of 36 boxes reach beyond their picture by more than a hundredth of its side, the "
        "first is annotations[0].bbox = [100.0, 0.0, 90.0, 9.0] in a picture of 160 x 120."
    )


def test_a_few_boxes_over_the_edge_refuse_nothing(pictures):
    """Width and height swapped, four wide boxes would fit as well: too few to say that all are so."""
    for n in range(4):
        pictures.splits["val"]["annotations"][9 * n]["bbox"] = [120.0, 10.0, 60.0, 20.0]
    (warning,) = pictures.prepare().warnings
    assert warning.startswith(f"{pictures.file('val')}: 4 of 36 boxes reach beyond their picture by more than")


def test_a_little_over_the_edge_is_nothing(pictures):
    pictures.boxes("val", lambda x, y, w, h: (x, y, WIDTH - x + 2.5, HEIGHT - y + 2))
    assert pictures.prepare().warnings == []


# Copies


def test_every_box_twice_is_refused(pictures):
    items = pictures.splits["train"]["annotations"]
    items += [{**item, "id": 100 + item["id"]} for item in items]
    error = pictures.refused()
    assert error.message == (
        f"data set pictures, train: {pictures.file('train')}: 36 of 72 boxes stand there before, with the same image, "
        "class and numbers, the first in 1.jpg."
    )
    assert error.hint == (
        "Of two equal boxes a detector finds one, so half of them count as missed: remove the copies. "
        + ACCEPT.format("doubled")
    )
    pictures.extra = "accept: [doubled]"
    assert pictures.prepare().warnings == [
        f"{pictures.file('train')}: 36 of 72 boxes stand there before, with the same image, class and numbers, the "
        "first in 1.jpg."
    ]


def test_a_few_copies_are_said(pictures):
    items = pictures.splits["val"]["annotations"]
    items.append({**items[4], "id": 99})
    items.append({**items[4], "id": 98, "image_id": 9})
    assert pictures.prepare().warnings == [
        f"{pictures.file('val')}: 1 of 38 boxes stand there before, with the same image, class and numbers, the first "
        "in 2.jpg."
    ]


def test_an_image_listed_twice_is_said(pictures):
    pictures.splits["val"]["images"][3]["file_name"] = "2.jpg"
    assert pictures.prepare().warnings == [
        f"{pictures.file('val')}: 1 of 12 images are listed before under another id, the first is 2.jpg."
    ]


# Images that two splits share


def test_shared_images_are_said(pictures):
    for n in (3, 5, 6):
        content = (pictures.root / "train" / f"{n}.jpg").read_bytes()
        (pictures.root / "val" / f"{n + 1}.jpg").write_bytes(content)
    assert pictures.prepare().warnings == [
        f"{pictures.file('val')}: 3 of 12 images of val are trained on too, the first is 4.jpg: what is measured on "
        "them was learned by heart."
    ]


def test_shared_by_path_or_link_without_being_read(tmp_path, monkeypatch):
    from pkdcli.data.checks import split_overlap

    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(name.encode() * 100)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "hard").hardlink_to(tmp_path / "b")
    monkeypatch.setattr(split_overlap, "_READ", 0)
    assert shared_images((tmp_path, ["a", "b"]), (tmp_path, ["c", "link", "hard", "none"])) == ["link", "hard"]


def test_files_that_agree_in_part_are_not_the_same(tmp_path):
    for name, first, last in (("a", b"1", b"1"), ("b", b"2", b"1"), ("c", b"1", b"2"), ("d", b"1", b"1")):
        (tmp_path / name).write_bytes(first + bytes(100_000) + last)
    assert shared_images((tmp_path, ["a"]), (tmp_path, ["b", "c", "d"])) == ["d"]


# What training leaves out


def test_images_without_objects(pictures):
    items = pictures.splits["train"]["annotations"]
    pictures.splits["train"]["annotations"] = [item for item in items if item["image_id"] > 5]
    data = pictures.prepare()
    assert data.train_images == 7
    assert data.warnings == [
        f"{pictures.file('train')}: 5 of 12 images have no object of the classes and are left out of training: write "
        "`background: true` into the data recipe to train on them."
    ]
    pictures.extra = "background: true"
    data = pictures.prepare()
    assert (data.train_images, data.warnings) == (12, [])


def test_background_is_another_run_and_its_absence_the_same_as_ever():
    from pkdcli.recipe.identity import content
    from pkdcli.recipe.resolve import Request, resolve

    recipe = resolve(Request(scale="tiny"))
    assert "background" not in content(recipe)["data"]
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"background": True})})
    assert content(recipe)["data"]["background"] is True


def test_small_images_crowds_and_images_without_a_usable_box(pictures):
    coco = pictures.splits["train"]
    coco["images"][0]["height"] = 31
    Image.new("RGB", (WIDTH, 31)).save(pictures.root / "train" / "1.jpg")
    for item in coco["annotations"][:3]:
        item["bbox"] = [0, 0, 20, 20]
    for item in coco["annotations"][3:6]:
        item["iscrowd"] = 1
    coco["annotations"][6]["bbox"][2] = 0
    data = pictures.prepare()
    assert data.train_images == 11
    file = pictures.file("train")
    assert data.warnings[0] == f"{file}: 1 of 36 boxes have a side below one pixel or no area and are ignored."
    assert data.warnings[-3:] == [
        f"{file}: 1 of 12 images have a side below 32 pixels and are left out of training: enlarge them, with their "
        "boxes, to keep them.",
        f"{file}: 3 of 36 annotations have `iscrowd` 1, a region of many objects: none is learned there.",
        f"{file}: 1 of 12 images have annotations but no usable box, and are trained on as background, the first is "
        "2.jpg.",
    ]


def test_what_is_dropped_but_measured(pictures):
    pictures.splits["val"]["annotations"][0]["area"] = 0
    pictures.splits["val"]["annotations"][1]["bbox"] = [200, 0, 20, 20]
    measured = " When measuring they count all the same, as objects that are not found."
    assert pictures.prepare().warnings == [
        f"{pictures.file('val')}: 1 of 36 boxes have a side below one pixel or no area and are ignored.{measured}",
        f"{pictures.file('val')}: 1 of 36 boxes lie outside their image and are ignored.{measured}",
    ]


# Flags

UNUSABLE = "bbox is [x, y, width, height] in pixels with width and height of at least 1, and inside the image."


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (
            {"iscrowd": 1},
            "All 36 have `iscrowd` 1, which marks a region of many objects: set it to 0 for single objects.",
        ),
        ({"iscrowd": "true"}, "All 36 have `iscrowd` 1, which marks a region of many objects: set it to 0 for single "
         "objects."),
        ({"ignore": 1}, "All 36 have `ignore` 1, which leaves them out: set it to 0, or remove the key."),
        (
            {"area": 0},
            "All 36 have an `area` of 0 or below and a box of a width and height: remove `area`, which is then width "
            "x height, or correct it.",
        ),
        (
            {"bbox": [0.2, 0.3, 0.25, 0.5], "area": 0.125},
            "All 36 have a `bbox` of numbers from 0 to 1, which seem to be fractions of the picture: multiply them by "
            "its width and height. " + UNUSABLE,
        ),
        ({"bbox": [0, 0, 0, 0]}, UNUSABLE),
    ],
)  # fmt: skip
def test_where_no_box_is_usable_the_cause_is_told(pictures, change, hint):
    pictures.every("val", **change)
    error = pictures.refused()
    assert error.message == (
        f"data set pictures, val: {pictures.file('val')}: none of its 36 annotations is a usable box."
    )
    assert error.hint == hint


def test_the_remedy_for_an_area_of_zero_works(pictures):
    for item in pictures.splits["val"]["annotations"]:
        del item["area"]
    assert pictures.prepare().warnings == [
        f"{pictures.file('val')}: 36 of 36 annotations have no `area`: width x height of the box is taken."
    ]


def test_a_flag_as_text_is_what_it_says(pictures):
    pictures.every("train", iscrowd="0")
    pictures.every("val", iscrowd="false", ignore="0")
    assert pictures.prepare().warnings == []


@pytest.mark.parametrize("key", ["iscrowd", "ignore"])
def test_a_flag_that_is_none_is_refused(pictures, key):
    pictures.splits["val"]["annotations"][7][key] = "maybe"
    error = pictures.refused()
    assert error.message == (
        f'data set pictures, val: {pictures.file("val")}: flags are neither 0 nor 1: annotations[7].{key} = "maybe".'
    )
    assert error.hint == f"`{key}` is 0 or 1, or absent."


def test_ignored_ones_are_counted_and_left_out_of_the_measure_as_of_learning(pictures):
    from pkdcli.engine.metrics.coco import evaluate_detections

    coco = pictures.splits["val"]
    found = [
        {"image_id": one["image_id"], "category_id": 1, "bbox": one["bbox"], "score": 0.9}
        for one in coco["annotations"][2:]
    ]
    pictures.write()
    # Two of 36 are not found: of 101 points of recall those up to 34/36 = 0.944 are reached, 95 of them.
    assert evaluate_detections(pictures.file("val"), found)["mAP"] == pytest.approx(100 * 95 / 101)
    for item in coco["annotations"][:2]:
        item["ignore"] = 1
    assert pictures.prepare().warnings == [
        f"{pictures.file('val')}: 2 of 36 annotations are marked `ignore`: they are not learned from, and detections "
        "on them count neither as right nor as wrong. Remove the key to keep them."
    ]
    assert evaluate_detections(pictures.file("val"), found)["mAP"] == pytest.approx(100)
    on_them = [
        {"image_id": one["image_id"], "category_id": 1, "bbox": one["bbox"], "score": 0.99}
        for one in coco["annotations"][:2]
    ]
    assert evaluate_detections(pictures.file("val"), found + on_them)["mAP"] == pytest.approx(100)


# Masks


def test_run_lengths_of_another_size_are_refused_where_they_are_learned(pictures):
    for split in ("train", "val"):
        for item in pictures.splits[split]["annotations"]:
            item["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": [0, 9]}
    assert pictures.prepare().masks is True
    pictures.splits["val"]["annotations"][5]["segmentation"]["size"] = [WIDTH, HEIGHT]
    assert (pictures.prepare().masks, pictures.prepare().warnings) == (True, [])
    pictures.splits["train"]["annotations"][5]["segmentation"]["size"] = [WIDTH, HEIGHT]
    assert pictures.refused().message == (
        f"data set pictures, train: {pictures.file('train')}: run lengths are of another size than their image: "
        "annotations[5].segmentation.size = [160, 120] for [120, 160]."
    )


@pytest.mark.parametrize(
    "mask",
    [[[1, 2, 3, 4]], [1, 2, 3, 4], [[1, 2, 3, 4, 5, 6, 7]], [[], []], {"size": [HEIGHT, WIDTH]}, [["a"]], [{"x": 1}]],
)
def test_masks_of_which_nothing_can_be_made_are_counted(pictures, mask):
    for item in pictures.splits["train"]["annotations"]:
        item["segmentation"] = [[1, 2, 3, 4, 5, 6], [1, 2]]
    pictures.splits["train"]["annotations"][5]["segmentation"] = mask
    assert pictures.prepare().warnings == [
        f"{pictures.file('train')}: 1 of 36 segmentations are no polygon of at least three points and no run lengths, "
        "the first is annotations[5].segmentation: a Mask R-CNN does not learn these objects."
    ]


# Ids


@pytest.mark.parametrize("value", [2**63, 1e30])
def test_ids_that_no_program_holds_are_refused(pictures, value):
    pictures.splits["val"]["images"][2]["id"] = value
    error = pictures.refused()
    assert f"ids are above 9223372036854775807: images[2].id = {json.dumps(value)}" in error.message
    assert "Ids are whole numbers from 0 to 9223372036854775807, each used once." in error.hint


def test_two_ids_that_a_float_takes_for_one_are_two(pictures):
    for image in pictures.splits["val"]["images"]:
        image["id"] += 2**53
    for item in pictures.splits["val"]["annotations"]:
        item["image_id"] += 2**53
    pictures.prepare()
    assert len(set(read(pictures.file("val")).image.tolist())) == 12


# What is remembered


def test_warnings_are_said_each_time_and_an_older_check_is_made_again(pictures, capsys):
    for item in pictures.splits["val"]["annotations"]:
        del item["area"]
    expected = f"{pictures.file('val')}: 36 of 36 annotations have no `area`: width x height of the box is taken."
    for _ in range(2):
        assert pictures.prepare().warnings == [expected]
        assert capsys.readouterr().err == f"warning: {expected}\n"
    (record,) = (pictures.cache / "checks").iterdir()
    kept = json.loads(record.read_text())
    # As the last release wrote it: without a version, and without warnings.
    record.write_text(json.dumps({key: kept[key] for key in ("classes", "masks", "train_images", "folders", "listed")}))
    assert pictures.prepare().warnings == [expected]
    assert json.loads(record.read_text()) == kept


def test_a_split_by_itself_says_no_more_than_it_did(pictures):
    pictures.splits["train"]["annotations"] = pictures.splits["train"]["annotations"][6:]
    pictures.write()
    report = check_split(pictures.root / "train", pictures.file("train"))
    assert (report.n_background, report.n_empty, report.problems) == (2, 2, [])
