"""`--fix`: what is repaired is said, the original stays, and what comes out has nothing left to repair."""

from __future__ import annotations

import json
import shutil

import pytest

from pkdcli.data.survey.repair import repair
from pkdcli.data.survey.survey import survey
from pkdcli.errors import PkdError
from pkdcli.recipe.resolve import load_data


@pytest.fixture
def repaired(own, tmp_path):
    """Repair the data set; returns what was changed, the split's annotations, and what a second look finds."""

    def repaired(split: str = "train"):
        found = own.look()
        before = own.file(split).read_bytes()
        recipe, changed = repair(found, tmp_path / "out")
        assert own.file(split).read_bytes() == before
        coco = json.loads((tmp_path / "out" / "annotations" / f"{split}.json").read_text())
        told = [text.removeprefix(f"{split}: ") for text in changed if text.startswith(split)]
        return told, coco, survey(load_data(str(recipe)))

    return repaired


def test_of_right_annotations_nothing_is_changed(own, repaired):
    told, coco, again = repaired()
    assert told == ["nothing had to be changed"]
    assert coco == own.splits["train"]
    assert again.faults == []


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda x, y, w, h: [x, y, x + w, y + h],
         "24 boxes were written as corners [x1, y1, x2, y2] and are [x, y, width, height] now"),
        (lambda x, y, w, h: [x + w / 2, y + h / 2, w, h],
         "24 boxes were written as [centre x, centre y, width, height] and are [x, y, width, height] now"),
    ],
)  # fmt: skip
def test_boxes_of_another_form_are_as_they_were_meant(own, repaired, write, said):
    for item in own.splits["train"]["annotations"]:
        item["bbox"] = write(*item["bbox"])
    told, coco, again = repaired()
    assert told == [said]
    assert [one["bbox"] for one in coco["annotations"][:2]] == [[4, 8, 20, 40], [55, 15, 100, 100]]
    assert again.ok


def test_single_boxes(own, repaired):
    items = own.splits["train"]["annotations"]
    items[0]["bbox"] = [100, 5, 90, 20]
    items[2]["bbox"] = [300, 300, 20, 20]
    items[4]["bbox"] = [5, 5, 0, 20]
    items[6]["bbox"] = [0.25, 0.5, 0.5, 0.25]
    items[8]["area"] = 0
    items.append({**items[9], "id": 99})
    told, coco, again = repaired()
    assert told == [
        "1 boxes were fractions of their picture and are pixels now",
        "1 boxes were cut off at the edge of their picture",
        "2 boxes without a width and height of a pixel inside their picture were removed",
        "1 copies of boxes were removed",
        "1 areas of 0 or below are width x height now",
    ]
    by_id = {one["id"]: one for one in coco["annotations"]}
    assert sorted(by_id) == sorted({*range(1, 25)} - {3, 5})
    assert (by_id[1]["bbox"], by_id[1]["area"]) == ([100, 5, 60, 20], 1200)
    assert by_id[7]["bbox"] == [40, 60, 80, 30]
    assert by_id[9]["area"] == 800
    assert again.faults == []


def test_ids_and_references(own, repaired):
    coco = own.splits["train"]
    for image in coco["images"]:
        image["id"] = str(image["id"])
    coco["annotations"][3]["id"] = 1
    coco["annotations"][5]["image_id"] = 77
    coco["annotations"][7]["category_id"] = "2"
    coco["annotations"][9]["bbox"] = [1, 2, None, 4]
    told, coco, again = repaired()
    assert told == [
        "12 images were numbered anew from 1",
        "1 annotations of images or classes that are not listed were removed",
        "1 annotations whose box is not four finite numbers were removed",
        "22 annotations were numbered anew from 1",
    ]
    assert [one["id"] for one in coco["annotations"]] == list(range(1, 23))
    assert {one["image_id"] for one in coco["annotations"]} == set(range(1, 13))
    assert again.ok


def test_images_that_can_t_be_used_and_sizes(own, repaired):
    (own.root / "train" / "1.png").unlink()
    (own.root / "train" / "2.png").write_text("no image")
    own.paint("train", "3.png", 3, (120, 160))
    own.paint("train", "4.png", 4, (320, 240))
    own.paint("train", "5.png", 5, (300, 100))
    own.splits["train"]["images"][5]["file_name"] = "6.PNG"
    told, coco, again = repaired()
    assert told == [
        "1 file names were written as the files' own",
        "width and height of 1 images were exchanged, as in their files",
        "1 images and their boxes were brought to the size of their files",
        "3 images that are missing, listed before, unusable or of another shape were removed, with 6 annotations",
        "1 boxes were cut off at the edge of their picture",
    ]
    sizes = {one["file_name"]: (one["width"], one["height"]) for one in coco["images"]}
    assert len(sizes) == 9
    assert (sizes["3.png"], sizes["4.png"], sizes["6.png"]) == ((120, 160), (320, 240), (160, 120))
    boxes = [one["bbox"] for one in coco["annotations"] if one["image_id"] == 4]
    assert boxes == [[8, 16, 40, 80], [110, 30, 200, 200]]
    assert again.faults == []


def test_leaked_images_are_taken_out_of_training(own, repaired):
    shutil.copy(own.root / "train" / "3.png", own.root / "val" / "7.png")
    own.extra = "background: true"
    told, coco, again = repaired()
    assert told == ["1 images that another split has too were taken out, with 2 annotations"]
    assert [one["id"] for one in coco["images"]] == [1, 2, *range(4, 13)]
    assert again.ok
    assert again.data.background


def test_the_folder_of_the_data_set_is_refused(own, tmp_path):
    (tmp_path / "own" / "annotations").mkdir(parents=True)
    own.write()
    shutil.move(own.file("val"), tmp_path / "own" / "annotations" / "val.json")
    own.recipe.write_text(own.recipe.read_text().replace("annotations: val", "annotations: annotations/val"))
    with pytest.raises(PkdError, match="the annotations of the data set are there"):
        repair(survey(load_data(str(own.recipe)), decode=False), tmp_path / "own")
