"""Every fault is found with its place and its weight, and nothing is found where nothing is wrong."""

from __future__ import annotations

import shutil

import pytest
from PIL import Image

from pkdcli.data.survey.faults import ODD, SPOILS


def test_nothing_is_wrong_with_what_is_right(own):
    found = own.look()
    assert found.faults == []
    assert found.ok


def test_numbers_of_a_split(own):
    own.splits["val"]["annotations"] = own.splits["val"]["annotations"][:5]
    found = own.look().splits["val"]
    assert {key: found[key] for key in ("images", "boxes", "empty", "crowds", "ignored")} == {
        "images": 12, "boxes": 5, "empty": 9, "crowds": 0, "ignored": 0,
    }  # fmt: skip
    assert found["classes"]["cat"] == {
        "boxes": 3, "images": 3, "sizes": {"S": 1.0, "M": 0.0, "L": 0.0}, "width": [20.0] * 3, "height": [40.0] * 3,
        "aspect": [0.5] * 3,
    }  # fmt: skip
    assert found["classes"]["dog"]["sizes"] == {"S": 0.0, "M": 0.0, "L": 1.0}
    assert found["all"]["sizes"] == {"S": 0.6, "M": 0.0, "L": 0.4}
    assert found["image_width"] == [160.0] * 3


BOX_FAULTS = [
    ("zero-size", [5, 5, 0, 20], "1 boxes have a side below one pixel", "1.png: annotation 1 [5, 5, 0, 20]"),
    ("normalised", [0.1, 0.1, 0.5, 0.5], "1 boxes are fractions of the picture, not pixels",
     "1.png: annotation 1 [0.1, 0.1, 0.5, 0.5]"),
    ("box-outside", [200, 5, 10, 20], "1 boxes lie outside their picture", "1.png: annotation 1 [200, 5, 10, 20]"),
    ("box-beyond", [100, 5, 90, 20], "1 boxes reach beyond their picture", "1.png: annotation 1 [100, 5, 90, 20]"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "box", "text", "place"), BOX_FAULTS)
def test_a_wrong_box_is_named_with_its_id(own, kind, box, text, place):
    own.splits["val"]["annotations"][0]["bbox"] = box
    faults = own.faults(decode=False)
    assert list(faults) == [("val", kind)]
    found = faults["val", kind]
    assert (found.weight, found.text, found.places, found.count) == (ODD, text, [place], 1)


def test_copies_of_boxes_spoil_from_a_quarter_on(own):
    items = own.splits["train"]["annotations"]
    items += [{**item, "id": 100 + item["id"]} for item in items[:3]]
    few = own.faults(decode=False)["train", "doubled"]
    assert (few.weight, few.count, few.places[0]) == (ODD, 3, "1.png: annotation 101 [4, 8, 20, 40]")
    items += [{**item, "id": 200 + item["id"]} for item in items[:9]]
    found = own.look(decode=False)
    assert not found.ok
    assert [one.kind for one in found.faults if one.weight == SPOILS] == ["refused"]


def test_corners_given_as_sizes_spoil(own):
    for item in own.splits["train"]["annotations"]:
        x, y, w, h = item["bbox"]
        item["bbox"] = [x, y, x + w, y + h]
    found = own.look(decode=False)
    assert not found.ok
    (refused,) = [one for one in found.faults if one.kind == "refused"]
    assert "if they were the corners [x1, y1, x2, y2]" in refused.text
    assert "write [x1, y1, x2 - x1, y2 - y1]" in refused.remedy


def test_a_majority_of_boxes_outside_spoils(own):
    for item in own.splits["val"]["annotations"][:13]:
        item["bbox"] = [150, 110, 300, 300]
    found = own.faults(decode=False)["val", "outside"]
    assert found.weight == SPOILS
    assert found.text == "13 of 24 boxes reach beyond their picture, the first is annotations[0] (id 1) in 1.png"
    own.splits["val"]["annotations"][0]["bbox"] = [4, 8, 20, 40]
    assert own.look(decode=False).ok


@pytest.mark.parametrize("decode", [True, False])
def test_the_same_image_in_two_splits_spoils(own, decode):
    shutil.copy(own.root / "train" / "3.png", own.root / "val" / "7.png")
    faults = own.faults(decode=decode)
    assert list(faults) == [("", "leakage")]
    leak = faults["", "leakage"]
    told = "train 3.png = val 7.png" if decode else "val 7.png, in train too"
    assert (leak.weight, leak.text, leak.places) == (SPOILS, "1 images are in several splits", [told])
    own.extra = "accept: [leakage]"
    assert own.look(decode=decode).ok


def test_the_same_image_twice_in_a_split_is_odd(own):
    shutil.copy(own.root / "train" / "3.png", own.root / "train" / "4.png")
    found = own.faults()
    assert list(found) == [("", "doubled-images")]
    assert found["", "doubled-images"].places == ["train 3.png = train 4.png"]


def test_near_duplicates_are_found_and_others_are_not(own):
    picture = Image.open(own.root / "train" / "3.png").convert("RGB")
    picture.resize((80, 60)).resize((160, 120)).save(own.root / "val" / "7.jpg", quality=60)
    own.splits["val"]["images"][6]["file_name"] = "7.jpg"
    Image.open(own.root / "train" / "5.png").point(lambda value: value * 0.9).save(own.root / "train" / "6.png")
    found = own.faults()
    assert set(found) == {("", "near-leakage"), ("", "near-duplicates")}
    assert found["", "near-leakage"].places == ["train 3.png ~ val 7.jpg"]
    assert found["", "near-leakage"].weight == ODD
    assert found["", "near-duplicates"].places == ["train 5.png ~ train 6.png"]


def test_pictures_without_content_are_not_alike(own):
    for name in ("1.png", "2.png"):
        Image.new("RGB", (160, 120), (int(name[0]), 0, 0)).save(own.root / "train" / name)
    assert own.faults() == {}


def test_images_that_can_t_be_used_are_named_and_the_others_go_on(own):
    cut = own.paint("train", "2.jpg", 2)
    cut.write_bytes(cut.read_bytes()[:800])
    own.splits["train"]["images"][1]["file_name"] = "2.jpg"
    (own.root / "val" / "9.png").write_text("<!doctype html>")
    ticks = []
    found = {(one.split, one.kind): one for one in own.look(counting=_counter(ticks)).faults}
    assert found["train", "unreadable"].places == ["2.jpg is cut short"]
    assert found["val", "unreadable"].places == ["9.png is no image but a web page (HTML)"]
    assert found["val", "image-files"].places == ["9.png is no image but a web page (HTML)"]
    assert all(one.weight == SPOILS for one in found.values())
    assert ticks == [(n, 24) for n in range(1, 25)]


def _counter(ticks):
    from contextlib import nullcontext

    return lambda text: nullcontext(lambda done, total: ticks.append((done, total)))


def test_what_else_is_odd_about_images(own):
    own.paint("train", "1.png", 1, format="JPEG")
    own.paint("train", "2.png", 2, (120, 160))
    own.paint("train", "3.png", 3, (20, 160))
    own.splits["train"]["images"][2].update(width=20, height=160)
    own.splits["val"]["annotations"] = own.splits["val"]["annotations"][2:]
    own.splits["val"]["images"][3].update(id=2**60, file_name="A.png")
    own.splits["val"]["annotations"] = [one for one in own.splits["val"]["annotations"] if one["image_id"] != 4]
    own.splits["val"]["images"][4]["file_name"] = "a.png"
    own.paint("val", "A.png", 900)
    own.paint("val", "a.png", 901)
    found = own.faults()
    assert found["train", "mislabelled"].places == ["1.png is JPEG"]
    assert found["train", "image-files"].places == ["2.png is 120 x 160, annotated as 160 x 120"]
    assert found["train", "small-image"].places == ["3.png"]
    assert found["val", "empty"].places == ["1.png", "A.png"]
    assert found["val", "huge-id"].places == [f"A.png: image {2**60}"]
    huge = "1 images have ids above 9007199254740992, which other tools can't tell apart"
    assert found["val", "huge-id"].text == huge
    assert found["val", "capitals"].places == ["a.png and A.png"]
    assert found["val", "capitals"].text == "1 file names differ from others in capital letters only"
    assert [key for key, one in found.items() if one.weight == SPOILS] == [("train", "image-files"),
                                                                           ("train", "unreadable")]  # fmt: skip


@pytest.mark.parametrize(
    ("orientation", "text"),
    [
        (6, "1 photos have an EXIF orientation and the annotated size of their pixels as stored: they are not turned"),
        (3, "1 photos have an EXIF orientation that leaves their size as it is, the first is 1.jpg: they are turned "
            "upright; if their boxes were drawn on the pixels as stored, set `exif: stored` in the data recipe"),
    ],
)  # fmt: skip
def test_photos_with_an_orientation_are_told_with_what_becomes_of_them(own, orientation, text):
    exif = Image.Exif()
    exif[0x0112] = orientation
    own.paint("train", "1.jpg", 1, exif=exif)
    own.splits["train"]["images"][0]["file_name"] = "1.jpg"
    found = own.faults(decode=False)
    assert list(found) == [("", "reading")]
    assert (found["", "reading"].weight, found["", "reading"].text) == (ODD, text)


def test_annotations_that_can_t_be_read_are_a_fault_and_the_other_split_is_told(own):
    own.write()
    own.file("val").write_text('{"images": [')
    from pkdcli.data.survey.survey import survey
    from pkdcli.recipe.resolve import load_data

    found = survey(load_data(str(own.recipe)))
    (fault,) = found.faults
    assert (fault.split, fault.kind, fault.weight) == ("val", "unreadable-annotations", SPOILS)
    assert "stops too early" in fault.text
    assert list(found.splits) == ["train"]


def test_ids_of_other_types_and_used_twice(own):
    own.splits["train"]["annotations"][3]["id"] = 1
    own.splits["val"]["images"][0]["id"] = "1"
    found = own.look(decode=False)
    refused = {one.split: one for one in found.faults if one.kind == "refused"}
    assert [one.places[0] for one in found.faults if "whole numbers" in one.text] == ['images[0].id = "1"']
    assert refused["train"].text.endswith("ids of annotations are used twice")
    assert refused["train"].places == ["annotations[0].id and annotations[3].id = 1"]
    assert refused["val"].places == ["annotations[0].image_id = 1", "annotations[1].image_id = 1"]
    assert found.splits["train"]["boxes"] == 24


def test_classes_that_differ_or_are_never_used(own):
    own.splits["train"]["categories"].append({"id": 3, "name": "cow"})
    found = own.faults(decode=False)
    assert "only" in found["val", "classes"].text
    assert "has 'cow'" in found["val", "classes"].text
    assert found["val", "classes"].weight == SPOILS
    assert found["train", "note"].text == "no annotation of 'cow'"
