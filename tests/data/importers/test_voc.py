"""Pascal VOC: corners of pixels counted from 1 or from 0, difficult objects, and files that are wrong one by one."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hotcoco import COCO
from label_files import passed, voc_xml


def test_a_box_from_pixel_1_is_the_whole_picture(voc, take):
    (voc / "Annotations" / "p0.xml").write_text(voc_xml("p0.jpg", (100, 50), [("cat", (1, 1, 100, 50))]))
    found, boxes = take(voc, split=[0.6, 0.4])
    assert found.form == "Pascal VOC"
    assert found.ok
    whole = {"class": "cat", "bbox": [0.0, 0.0, 100.0, 50.0], "area": 5000.0, "iscrowd": 0}
    assert boxes["JPEGImages/p0.jpg"] == [whole]
    part = {"class": "dog", "bbox": [3.0, 1.0, 40.0, 40.0], "area": 1600.0, "iscrowd": 0}
    assert boxes["JPEGImages/p3.jpg"] == [part]


def test_pixels_counted_from_0_are_seen_and_said(voc, take):
    (voc / "Annotations" / "p0.xml").write_text(voc_xml("p0.jpg", (100, 50), [("cat", (0, 0, 100, 50))]))
    found, boxes = take(voc)
    assert boxes["JPEGImages/p0.jpg"][0]["bbox"] == [0.0, 0.0, 100.0, 50.0]
    assert boxes["JPEGImages/p3.jpg"][0]["bbox"] == [4.0, 2.0, 39.0, 39.0]
    assert found.notes[0] == (
        "1 boxes begin at pixel 0, so pixels are counted from 0 and not from 1 as in Pascal VOC itself; "
        "`--first-pixel 1` counts them from 1."
    )
    found, boxes = take(voc, first_pixel=1)
    assert boxes["JPEGImages/p0.jpg"][0]["bbox"] == [-1.0, -1.0, 101.0, 51.0]


def test_difficult_objects_are_ignored_and_not_crowds(voc, take):
    text = voc_xml("p0.jpg", (100, 50), [("cat", (1, 1, 9, 9))], "<difficult>1</difficult><truncated>1</truncated>")
    (voc / "Annotations" / "p0.xml").write_text(text)
    found, boxes = take(voc)
    assert boxes["JPEGImages/p0.jpg"] == [
        {"class": "cat", "bbox": [0.0, 0.0, 9.0, 9.0], "area": 81.0, "iscrowd": 0, "ignore": 1}
    ]
    assert any(note.startswith("1 difficult objects have `ignore` 1") for note in found.notes)


def test_boxes_of_parts_are_no_objects(voc, take):
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
    (voc / "Annotations" / "p0.xml").write_text(voc_xml("p0.jpg", (100, 50), [("cat", (1, 1, 9, 9))], part))
    found, boxes = take(voc)
    assert [one["bbox"] for one in boxes["JPEGImages/p0.jpg"]] == [[0.0, 0.0, 9.0, 9.0]]
    assert found.classes == ["cat", "dog"]


@pytest.mark.parametrize(
    ("text", "place", "why"),
    [
        ("<annotation><filename>p0.jpg</filename>", "Annotations/p0.xml", "is no whole XML: no element found"),
        (voc_xml("p0.jpg", (50, 25), []), "Annotations/p0.xml",
         "was made for a picture of 50 x 25, but JPEGImages/p0.jpg is 100 x 50"),
        (voc_xml("p0.jpg", (100, 50), [("cat", (9, 9, 5, 20))]), "Annotations/p0.xml, object 1",
         "its corners 9, 9, 5, 20 leave no width or height"),
        (voc_xml("p0.jpg", (100, 50), [("", (1, 1, 5, 20))]), "Annotations/p0.xml, object 1", "has no <name>"),
        (voc_xml("p0.jpg", (100, 50), [("cat", (1, 1, "nan", 20))]), "Annotations/p0.xml, object 1",
         "has no <bndbox> of four numbers"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_passed_over_by_name(voc, take, text, place, why):
    (voc / "Annotations" / "p0.xml").write_text(text)
    found, boxes = take(voc)
    assert not found.ok
    told = passed(found)
    assert told[place].startswith(why)
    assert len(boxes) == (10 if "object" in place else 9)
    record = json.loads((found.recipe.parent / "import.json").read_text())
    assert place in [one["file"] for one in record["passed"]]


def test_a_file_that_names_another_image_is_about_the_one_of_its_own_name(voc, take):
    (voc / "Annotations" / "p0.xml").write_text(voc_xml("renamed.jpg", (100, 50), []))
    found, boxes = take(voc)
    assert found.ok
    assert boxes["JPEGImages/p0.jpg"] == []


def test_an_image_that_is_broken_or_missing(voc, take, picture):
    (voc / "JPEGImages" / "p0.jpg").write_text("<!doctype html>")
    (voc / "JPEGImages" / "p1.jpg").unlink()
    picture("JPEGImages/alone.jpg")
    found, boxes = take(voc)
    assert passed(found) == {
        "Annotations/p0.xml": "its image JPEGImages/p0.jpg is no image but a web page (HTML)",
        "Annotations/p1.xml": "its image 'p1.jpg' is not there, or several have that name",
        "JPEGImages/p0.jpg": "no XML file is about this image",
        "JPEGImages/alone.jpg": "no XML file is about this image",
    }
    assert [one.file for one in found.passed if one.wrong] == ["Annotations/p0.xml", "Annotations/p1.xml"]
    assert len(boxes) == 8


def test_image_sets_are_the_splits(voc, take):
    sets = voc / "ImageSets" / "Main"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("".join(f"p{n}\n" for n in range(6)))
    (sets / "val.txt").write_text("p6\np7\np8\n")
    found, _ = take(voc)
    assert found.images == {"train": 6, "val": 3}
    assert passed(found) == {"JPEGImages/p9.jpg": "is in none of the source's splits; --split deals all anew"}
    assert found.ok
    assert take(voc, split=[0.5, 0.5])[0].images == {"train": 5, "val": 5}


def by_regular_expressions(folder):
    """A slow reading of VOC files that shares nothing with ours: by file name, labels and boxes of pixels from 1."""
    found = {}
    for path in folder.glob("*.xml"):
        text = path.read_text()
        things = []
        for body in re.findall(r"<object>(.*?)</object>", text, re.DOTALL):
            keys = ("xmin", "ymin", "xmax", "ymax")
            side = {key: float(re.search(rf"<{key}>(.*?)</{key}>", body)[1]) for key in keys}
            columns = [x for x in range(1, 2000) if side["xmin"] <= x <= side["xmax"]]
            rows = [y for y in range(1, 2000) if side["ymin"] <= y <= side["ymax"]]
            label = re.search("<name>(.*?)</name>", body)[1]
            things.append((label, columns[0] - 1, rows[0] - 1, len(columns), len(rows)))
        found[re.search("<filename>(.*?)</filename>", text)[1]] = sorted(things)
    return found


def test_agrees_with_a_slow_reading_and_with_hotcoco(voc, take):
    rng = np.random.default_rng(0)
    for number in range(10):
        things = []
        for _ in range(6):
            x, y = rng.integers(1, 60), rng.integers(1, 30)
            things.append((str(rng.choice(["cat", "dog"])), (x, y, x + rng.integers(1, 40), y + rng.integers(1, 20))))
        (voc / "Annotations" / f"p{number}.xml").write_text(voc_xml(f"p{number}.jpg", (100, 50), things))
    _, boxes = take(voc)
    ours = {
        name.rpartition("/")[2]: sorted((one["class"], *one["bbox"]) for one in found) for name, found in boxes.items()
    }
    assert ours == by_regular_expressions(voc / "Annotations")
    theirs = COCO.from_voc(str(voc)).dataset
    names = {one["id"]: one["name"] for one in theirs["categories"]}
    files = {one["id"]: one["file_name"] for one in theirs["images"]}
    expected = {name: [] for name in files.values()}
    for one in theirs["annotations"]:
        expected[files[one["image_id"]]].append((names[one["category_id"]], *one["bbox"]))
    assert ours == {name: sorted(found) for name, found in expected.items()}
