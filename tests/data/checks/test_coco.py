"""The check of a user's data set: every kind of bad input, with the very words a user reads."""

from __future__ import annotations

import gc
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pkdcli.data.annotations.read import read
from pkdcli.data.checks.coco import check_split, read_classes, same_classes
from pkdcli.errors import ExitCode, PkdError


class Split:
    """A small data set on disk, laid out like a real one: JPEG files in one folder, annotations in another."""

    def __init__(self, root: Path) -> None:
        self.root, self.images, self.file = root, root / "images", root / "annotations" / "train.json"
        self.images.mkdir()
        self.file.parent.mkdir()
        self.coco: dict[str, Any] = {
            "images": [
                {"id": n, "file_name": f"BloodImage_{n:05d}.jpg", "width": 640, "height": 480} for n in (1, 2, 3)
            ],
            "annotations": [self.box(1, 1, 2), self.box(2, 1, 1), self.box(3, 3, 1)],
            "categories": [{"id": 1, "name": "RBC"}, {"id": 2, "name": "WBC"}],
        }
        for image in self.coco["images"]:
            (self.images / image["file_name"]).write_bytes(b"\xff\xd8")

    @staticmethod
    def box(number: int, image: int, category: int, bbox: Any = (68.0, 315.0, 20.0, 15.0), **more: Any) -> dict:
        bbox = list(bbox) if isinstance(bbox, tuple) else bbox
        return {"id": number, "image_id": image, "category_id": category, "bbox": bbox, "area": 300.0, **more}

    def check(self, **options: Any):
        if not self.file.exists():
            self.file.write_text(json.dumps(self.coco))
        return check_split(self.images, self.file, **options)

    def refused(self, **options: Any) -> PkdError:
        with pytest.raises(PkdError) as caught:
            self.check(**options)
        assert caught.value.hint
        return caught.value


@pytest.fixture
def split(tmp_path) -> Split:
    return Split(tmp_path)


# What is right


def test_a_good_split(split):
    report = split.check()
    assert (report.n_images, report.n_annotations) == (3, 3)
    assert report.classes == ["RBC", "WBC"]
    assert report.per_class == {"RBC": 2, "WBC": 1}
    assert (report.n_zero_size, report.n_outside, report.n_empty) == (0, 0, 1)
    assert report.has_masks is False
    assert report.problems == []
    assert (report.images, report.annotations) == (split.images, split.file)


def test_classes_come_in_the_order_of_the_file_not_of_their_ids(split):
    """mmdet numbers its labels in that order: pycocotools' getCatIds keeps it."""
    from pycocotools.coco import COCO

    split.coco["categories"] = [{"id": 7, "name": "WBC"}, {"id": 1, "name": "RBC"}, {"id": 2, "name": "x"}]
    assert split.check().classes == ["WBC", "RBC", "x"]
    coco = COCO(str(split.file))
    assert [coco.cats[i]["name"] for i in coco.getCatIds()] == ["WBC", "RBC", "x"]
    assert read_classes(split.file) == ["WBC", "RBC", "x"]


@pytest.mark.parametrize("mask", [[[1.0, 1.0, 9.0, 1.0, 9.0, 9.0]], {"counts": "abc", "size": [480, 640]}])
def test_masks_are_found_where_every_annotation_has_one(split, mask):
    for item in split.coco["annotations"]:
        item["segmentation"] = mask
    report = split.check()
    assert (report.has_masks, report.problems) == (True, [])


def test_masks_in_part_are_no_masks(split):
    split.coco["annotations"][0]["segmentation"] = [[1.0, 1.0, 9.0, 1.0, 9.0, 9.0]]
    split.coco["annotations"][1]["segmentation"] = []
    report = split.check()
    assert report.has_masks is False
    assert report.problems == ["2 of 3 annotations have no segmentation: no mask can be learned from this split."]


def test_images_in_folders_below(split):
    (split.images / "a" / "b").mkdir(parents=True)
    (split.images / "BloodImage_00002.jpg").rename(split.images / "a" / "b" / "2.jpg")
    split.coco["images"][1]["file_name"] = "a/b/2.jpg"
    assert split.check().n_images == 3


def test_the_folders_are_listed_and_not_asked_for_each_file(split, monkeypatch):
    split.coco["images"] += [{"id": n, "file_name": f"{n}.jpg", "width": 9, "height": 9} for n in range(10, 60)]
    for n in range(10, 60):
        (split.images / f"{n}.jpg").touch()
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(Path(path)) or scandir(path))
    split.check()
    assert listed == [split.images]


def test_a_crowd_may_be_any_size(split):
    split.coco["annotations"].append(split.box(4, 1, 1, (0.0, 0.0, 0.0, 0.0), iscrowd=1))
    report = split.check()
    assert (report.n_annotations, report.n_zero_size, report.problems) == (4, 0, [])


def test_the_collector_is_on_again(split):
    split.check()
    assert gc.isenabled()
    split.file.write_text("{")
    split.refused()
    assert gc.isenabled()


# What is odd


def test_boxes_that_mmdet_leaves_out_are_counted(split):
    boxes = [
        (0.0, 0.0, 0.0, 9.0),
        (0.0, 0.0, 9.0, -4.0),
        (5.0, 5.0, 0.5, 9.0),
        (640.0, 0.0, 9.0, 9.0),
        (0.0, 480.0, 9.0, 9.0),
        (-9.0, 0.0, 9.0, 9.0),
        (-8.0, 470.0, 9.0, 99.0),
        (639.0, 479.0, 1.0, 1.0),
    ]
    split.coco["annotations"] += [split.box(10 + n, 2, 1, box) for n, box in enumerate(boxes)]
    split.coco["annotations"].append(split.box(30, 2, 1, area=0))
    report = split.check()
    assert (report.n_annotations, report.n_zero_size, report.n_outside) == (12, 4, 3)
    assert report.problems == [
        "4 of 12 boxes have a side below one pixel or no area and are ignored.",
        "3 of 12 boxes lie outside their image and are ignored.",
    ]


def test_the_same_boxes_as_mmdet(split):
    """Counted against mmdet's own reading of the file."""
    pytest.importorskip("mmdet")
    import random

    draw = random.Random(1)
    for n in range(300):
        box = (draw.uniform(-60, 690), draw.uniform(-60, 520), draw.uniform(-2, 30), draw.uniform(-2, 30))
        split.coco["annotations"].append(split.box(100 + n, 1, 1, box, area=draw.choice([0, -1, 5, 60.5])))
    report = split.check()
    from pkdcli.compat import activate

    activate()
    from mmdet.datasets import CocoDataset

    read = CocoDataset(
        ann_file=str(split.file),
        data_prefix={"img": str(split.images)},
        metainfo={"classes": ("RBC", "WBC")},
        pipeline=[],
        test_mode=True,
    )
    kept = sum(len(read.get_data_info(i)["instances"]) for i in range(3))
    assert report.n_zero_size > 30
    assert report.n_outside > 30
    assert kept == report.n_annotations - report.n_zero_size - report.n_outside


def test_a_class_without_annotations(split):
    split.coco["categories"].append({"id": 3, "name": "Platelets"})
    report = split.check()
    assert report.per_class["Platelets"] == 0
    assert report.problems == ["no annotation of 'Platelets'."]


# Files that can't be read


def test_no_annotation_file(split):
    with pytest.raises(PkdError) as caught:
        check_split(split.images, split.root / "no.json")
    assert caught.value.message == f"the annotation file {split.root / 'no.json'} does not exist."
    assert caught.value.hint == (
        "`annotations` in a data recipe names a COCO-format JSON file, relative to the recipe."
    )
    assert caught.value.code == ExitCode.USAGE


def test_a_known_data_set_that_is_absent(split):
    for images, file in ((split.images, split.root / "no.json"), (split.root / "no", split.file)):
        split.file.write_text(json.dumps(split.coco))
        with pytest.raises(PkdError) as caught:
            check_split(images, file, where="coco: val", absent=ExitCode.MISSING, remedy="Get it from its site.")
        assert caught.value.message.startswith("coco: val: the ")
        assert caught.value.message.endswith(" does not exist.")
        assert (caught.value.hint, caught.value.code) == ("Get it from its site.", ExitCode.MISSING)


def test_no_image_folder(split):
    split.images = split.root / "pictures"
    error = split.refused(where="bccd.yaml: train")
    assert error.message == f"bccd.yaml: train: the image folder {split.root / 'pictures'} does not exist."
    assert error.hint == "`images` in a data recipe names the folder of the image files, relative to the recipe."
    assert error.code == ExitCode.USAGE


def test_an_image_folder_that_is_a_file(split):
    split.images = split.root / "x.zip"
    split.images.touch()
    assert split.refused().message == f"the image folder {split.images} is not a folder."


def test_annotations_that_are_a_folder(split):
    split.file.mkdir()
    assert split.refused().message == f"{split.file} is a folder."


def test_annotations_that_may_not_be_read(split, monkeypatch):
    split.file.write_text("{}")

    def denied(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    error = split.refused()
    assert error.message == f"can't read {split.file}: Permission denied."
    assert error.hint == "Check the permissions of the file and of the folders above it."


INTERRUPTED = "Its download or conversion was probably interrupted: fetch or make it again."
FORMAT = "Annotations are one JSON object in COCO's format, with `images`, `annotations` and `categories`."


@pytest.mark.parametrize("text", ["", "  \n "])
def test_an_empty_file(split, text):
    split.file.write_text(text)
    error = split.refused()
    assert (error.message, error.hint) == (f"{split.file} is empty.", INTERRUPTED)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('{"images": [],\n "anno', "stops too early: line 2, column 2: Unterminated string starting at.", INTERRUPTED),
        ('{"images": [', "stops too early: line 1, column 13: Expecting value.", INTERRUPTED),
        ('{"images": []', "stops too early: line 1, column 14: Expecting ',' delimiter.", INTERRUPTED),
        ('{\n"images": [}', "is not valid JSON: line 2, column 12: Expecting value.", FORMAT),
        (
            "<html>404</html>",
            "is not valid JSON: line 1, column 1: Expecting value.",
            FORMAT,
        ),
        ('{"images": []} {}', "is not valid JSON: line 1, column 16: Extra data.", FORMAT),
    ],
)
def test_text_that_is_not_json(split, text, message, hint):
    split.file.write_text(text)
    error = split.refused()
    assert (error.message, error.hint) == (f"{split.file} {message}", hint)


def test_every_truncation_is_a_clear_error(split):
    split.coco["images"][0]["file_name"] = "é.jpg"
    whole = json.dumps(split.coco, ensure_ascii=False).encode()
    for stop in range(len(whole)):
        split.file.write_bytes(whole[:stop])
        error = split.refused()
        assert str(split.file) in error.message
        assert "\n" not in error.message


def test_a_packed_file(split):
    split.file.write_bytes(b"\x1f\x8b\x08\x00abc")
    error = split.refused()
    assert error.message == f"{split.file} is not a text file in UTF-8."
    assert error.hint == "If it is packed (.gz, .zip), unpack it; otherwise save it as JSON in UTF-8."


def test_nested_too_deeply(split):
    split.file.write_text("[" * 200000)
    assert split.refused().message == f"{split.file} is nested too deeply."


@pytest.mark.parametrize(
    ("content", "kind"), [([], "a list"), (None, "null"), (3, "a number"), (True, "true"), ("x", "a string")]
)
def test_json_that_is_no_object(split, content, kind):
    split.file.write_text(json.dumps(content))
    assert split.refused().message == f"{split.file} holds {kind}, not an object."


def test_detections_in_place_of_annotations(split):
    split.file.write_text('[{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 0.5}]')
    assert split.refused().hint.startswith("These look like detections (they have a `score`), not annotations.")


# Content


@pytest.mark.parametrize("part", ["images", "annotations", "categories"])
def test_a_part_that_is_missing(split, part):
    del split.coco[part]
    error = split.refused(where="bccd.yaml: val")
    assert error.message.startswith(f"bccd.yaml: val: {split.file}: the key {part} is missing")
    assert error.hint == "A COCO-format file has the keys `images`, `annotations` and `categories`."


def test_a_part_under_another_name(split):
    split.coco["annotation"] = split.coco.pop("annotations")
    assert split.refused().message == f"{split.file}: the key annotations is missing (there is 'annotation')."


def test_parts_of_the_wrong_kind(split):
    split.coco.update(images={"1": {}}, categories=None)
    error = split.refused()
    assert error.message == f"{split.file}: 2 problems:\n  images is an object.\n  categories is null."
    assert error.hint == "`images`, `annotations` and `categories` are lists of objects."


def test_items_that_are_no_objects(split):
    split.coco["annotations"][1] = [1, 2]
    split.coco["annotations"][2] = None
    assert split.refused().message == (
        f"{split.file}: annotations holds what is no object: annotations[1] is a list, annotations[2] is null."
    )


@pytest.mark.parametrize(
    ("part", "key"),
    [("images", key) for key in ("id", "file_name", "width", "height")]
    + [("annotations", key) for key in ("id", "image_id", "category_id", "bbox")]
    + [("categories", key) for key in ("id", "name")],
)
def test_a_key_that_is_missing(split, part, key):
    del split.coco[part][1][key]
    error = split.refused()
    assert error.message == f"{split.file}: keys are missing: {part}[1].{key}."
    assert error.hint.startswith(f"Every one of `{part}` needs `id`, ")


@pytest.mark.parametrize("absent", [True, False])
def test_areas_that_are_missing_are_those_of_the_boxes(split, absent):
    for item in split.coco["annotations"][:2]:
        item.pop("area") if absent else item.update(area=None)
    report = split.check()
    assert report.problems == ["2 of 3 annotations have no `area`: width x height of the box is taken."]
    assert read(split.file).area.tolist() == [300.0, 300.0, 300.0]


def test_no_images_at_all(split):
    split.coco.update(images=[], annotations=[])
    error = split.refused()
    assert (error.message, error.hint) == (
        f"{split.file}: images is an empty list.",
        "A split needs at least one image.",
    )


def test_no_annotations_at_all(split):
    split.coco["annotations"] = []
    error = split.refused()
    assert error.message == f"{split.file}: annotations is an empty list."
    assert error.hint == (
        "Nothing can be learned from images without boxes, or measured on them: label them, or name another file."
    )
    report = split.check(may_be_empty=True)
    assert (report.n_annotations, report.n_empty, report.has_masks, report.problems) == (0, 3, False, [])


def test_no_usable_box_at_all(split):
    for item in split.coco["annotations"]:
        item["bbox"][2] = 0
    assert split.refused().message == f"{split.file}: none of its 3 annotations is a usable box."
    assert split.check(may_be_empty=True).n_zero_size == 3


def test_only_crowds(split):
    for item in split.coco["annotations"]:
        item["iscrowd"] = 1
    assert split.refused().message == f"{split.file}: none of its 3 annotations is a usable box."


def test_no_classes(split):
    split.coco["categories"] = []
    assert f"{split.file}: 2 problems:\n  categories is an empty list.\n  annotations name classes" in (
        split.refused().message
    )


def test_annotations_of_images_and_classes_that_are_not_there(split):
    split.coco["annotations"] += [split.box(10 + n, 90 + n, 1) for n in range(7)]
    split.coco["annotations"] += [split.box(30, 1, 0), split.box(31, "1", None)]
    error = split.refused(limit_list=2)
    assert error.message == (
        f"{split.file}: 4 problems:\n"
        '  annotations name images by what is no whole number: annotations[11].image_id = "1".\n'
        "  annotations name images that are not listed: annotations[3].image_id = 90, annotations[4].image_id = 91 "
        "and 5 more.\n"
        "  annotations name classes by what is no whole number: annotations[11].category_id = null.\n"
        "  annotations name classes that are not listed: annotations[10].category_id = 0."
    )
    ids = "Ids are whole numbers from 0 to 9223372036854775807, each used once. Text is none: write 1 in place of "
    assert error.hint == (
        f'{ids}"1", in `id` and `image_id` alike. '
        "Every `image_id` is the `id` of one of `images`: remove these annotations or list their images. "
        f'{ids}"1", in `id` and `category_id` alike. '
        "Every `category_id` is the `id` of one of `categories`: list the class, or correct the annotation."
    )
    assert error.code == ExitCode.USAGE


def test_a_class_listed_twice(split):
    split.coco["categories"].append({"id": 3, "name": "RBC"})
    error = split.refused()
    assert error.message == (
        f"{split.file}: classes are listed twice: categories[0].name and categories[2].name = 'RBC'."
    )
    with pytest.raises(PkdError) as caught:
        read_classes(split.file)
    assert caught.value.message == error.message


@pytest.mark.parametrize("part", ["images", "annotations", "categories"])
def test_ids_used_twice(split, part):
    split.coco[part][1]["id"] = split.coco[part][0]["id"]
    message = f"ids of {part} are used twice: {part}[0].id and {part}[1].id = 1."
    assert message in split.refused().message


@pytest.mark.parametrize("value", ["1", 1.5, None, [1], True, -1])
def test_ids_that_are_no_whole_numbers(split, value):
    split.coco["categories"][1]["id"] = value
    assert f"ids are not whole numbers from 0: categories[1].id = {json.dumps(value)}." in split.refused().message


@pytest.mark.parametrize("value", [None, 3, "", " "])
def test_a_class_without_a_name(split, value):
    split.coco["categories"][1]["name"] = value
    assert split.refused().message == (f"{split.file}: classes have no name: categories[1].name = {json.dumps(value)}.")


@pytest.mark.parametrize(("value", "shown"), [("640", '"640"'), (0, "0"), (-3, "-3"), (None, "null")])
def test_a_size_that_is_none(split, value, shown):
    split.coco["images"][2]["height"] = value
    error = split.refused()
    assert error.message == f"{split.file}: sizes are not positive numbers: images[2].height = {shown}."
    assert error.hint == "`width` and `height` are those of the image file, in pixels."


def test_a_file_name_that_is_none(split):
    split.coco["images"][2]["file_name"] = 7
    assert split.refused().message == f"{split.file}: file names are not strings: images[2].file_name = 7."


@pytest.mark.parametrize(
    ("box", "shown"),
    [
        ([1, 2, 3], "[1, 2, 3]"),
        ([1, 2, 3, 4, 5], "[1, 2, 3, 4, 5]"),
        ([1, 2, "3", 4], '[1, 2, "3", 4]'),
        ([1, 2, None, 4], "[1, 2, null, 4]"),
        ([1, 2, True, 4], "[1, 2, true, 4]"),
        ([1, 2, float("nan"), 4], "[1, 2, NaN, 4]"),
        ([1, float("-inf"), 3, 4], "[1, -Infinity, 3, 4]"),
        ({"x": 1}, '{"x": 1}'),
        (None, "null"),
        ([0.1] * 30, "[" + "0.1, " * 11 + "0..."),
    ],
)
def test_a_box_that_is_none(split, box, shown):
    split.coco["annotations"][1]["bbox"] = box
    error = split.refused()
    assert error.message == f"{split.file}: boxes are not four finite numbers: annotations[1].bbox = {shown}."
    assert error.hint == "`bbox` is [x, y, width, height] in pixels: four finite numbers."


def test_an_area_that_is_none(split):
    split.coco["annotations"][1]["area"] = float("nan")
    assert split.refused().message == (f"{split.file}: areas are not finite numbers: annotations[1].area = NaN.")


# Image files


def test_missing_images(split):
    split.coco["images"] += [{"id": n, "file_name": f"{n}.jpg", "width": 9, "height": 9} for n in range(10, 20)]
    error = split.refused(limit_list=3)
    assert error.message == (
        f"{split.file}: 10 of 13 image files are not in {split.images}: 10.jpg, 11.jpg, 12.jpg and 7 more."
    )
    assert error.hint == (
        "`images` in a data recipe names the folder that the `file_name`s in the JSON are relative to: check it, and "
        "that the images were all copied there."
    )
    assert error.code == ExitCode.USAGE


def test_a_folder_with_the_name_of_an_image_is_no_image(split):
    (split.images / "BloodImage_00002.jpg").unlink()
    (split.images / "BloodImage_00002.jpg").mkdir()
    assert "1 of 3 image files are not in " in split.refused().message


def test_images_one_folder_below(split):
    below = split.images / "train"
    below.mkdir()
    for path in list(split.images.glob("*.jpg")):
        path.rename(below / path.name)
    assert split.refused().hint == f"They seem to be in {below}: give that folder as `images`."


def test_images_one_folder_above(split):
    for path in list(split.images.glob("*.jpg")):
        path.rename(split.root / path.name)
    assert split.refused().hint == f"They seem to be in {split.root}: give that folder as `images`."


def test_images_without_the_folder_in_their_names(split):
    for image in split.coco["images"]:
        image["file_name"] = "train/" + image["file_name"]
    assert split.refused().hint == (
        f"{split.images} has BloodImage_00001.jpg itself: leave the folder out of `file_name`, or move the images."
    )


def test_images_with_other_capitals(split):
    (split.images / "BloodImage_00002.jpg").rename(split.images / "BloodImage_00002.JPG")
    if (split.images / "BloodImage_00002.jpg").exists():
        pytest.skip("this file system does not tell capital letters apart")
    assert split.refused().hint == "There is BloodImage_00002.JPG: names must agree in capital letters too."


def test_odd_names_are_missing_and_no_crash(split):
    split.coco["images"][0]["file_name"] = "a\0b/c\0.jpg"
    split.coco["images"][1]["file_name"] = "../../\n.jpg"
    assert "2 of 3 image files are not in " in split.refused().message


# Classes of several splits


def test_equal_classes():
    assert same_classes(["RBC", "WBC"], ("RBC", "WBC"), "train.json", "val.json") is None


def test_classes_that_differ():
    with pytest.raises(PkdError) as caught:
        same_classes(["RBC", "WBC", "Platelets"], ["RBC", "Platelet", "x"], "train.json", Path("val.json"))
    assert caught.value.message == (
        "the classes of two splits differ: only train.json has 'WBC', 'Platelets'; only val.json has 'Platelet', 'x'."
    )
    assert caught.value.hint == (
        "Are these meant to be the same: 'Platelets' and 'Platelet'? List the same categories in the same order in "
        "every file; a class without annotations is listed too."
    )


def test_a_class_that_one_split_lacks():
    with pytest.raises(PkdError) as caught:
        same_classes(["RBC", "WBC"], ["RBC"], "train.json", "val.json")
    assert caught.value.message == "the classes of two splits differ: only train.json has 'WBC'."
    assert caught.value.hint == (
        "List the same categories in the same order in every file; a class without annotations is listed too."
    )


def test_classes_in_another_order():
    with pytest.raises(PkdError) as caught:
        same_classes(["RBC", "WBC"], ["WBC", "RBC"], "train.json", "val.json")
    assert caught.value.message == (
        "two splits list their classes in different orders: train.json has 'RBC', 'WBC', val.json has 'WBC', 'RBC'."
    )


def test_read_classes_needs_no_images(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"categories": [{"id": 3, "name": "a"}]}')
    assert read_classes(path) == ["a"]
    path.write_text('{"categories": []}')
    with pytest.raises(PkdError) as caught:
        read_classes(path, where="mine.yaml: train")
    assert caught.value.message == f"mine.yaml: train: {path}: categories is an empty list."
