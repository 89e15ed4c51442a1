"""COCO, CVAT, Open Images and LabelMe: what each form means, and what of it is passed over."""

from __future__ import annotations

import json
import math

import pytest
from hotcoco import COCO
from label_files import passed, voc_xml
from PIL import Image

from pkdcli.errors import PkdError

# CVAT

CVAT = """<annotations><version>1.1</version><meta><task><labels><label><name>dog</name></label><label><name>cat</name>
</label></labels></task></meta>{}</annotations>"""


def cvat_image(number: int, shapes: str, size: str = 'width="100" height="50"', more: str = "") -> str:
    return f'<image id="{number}" name="sub/p{number}.jpg" {size} {more}>{shapes}</image>'


@pytest.fixture
def cvat(tmp_path, picture):
    for number in range(6):
        picture(f"images/sub/p{number}.jpg")
    box = '<box label="cat" occluded="0" xtl="1.5" ytl="2" xbr="10.5" ybr="9"/>'

    def write(first: str) -> None:
        images = [cvat_image(0, first), *(cvat_image(n, box) for n in range(1, 6))]
        (tmp_path / "source" / "annotations.xml").write_text(CVAT.format("".join(images)))

    write(box)
    return tmp_path / "source", write


def test_cvat_s_boxes_polygons_masks_and_turned_boxes(cvat, take):
    root, write = cvat
    write(
        '<box label="cat" xtl="10" ytl="10" xbr="30" ybr="20" rotation="90.00"/>'
        '<polygon label="dog" points="1,1;5,1;5,6"/>'
        '<mask label="dog" rle="1,2" left="3" top="4" width="5" height="6"/>'
        '<polyline label="dog" points="1,1;5,1"/><tag label="dog"/><box label="" xtl="1" ytl="1" xbr="3" ybr="2"/>'
    )
    found, boxes = take(root)
    assert (found.form, found.classes) == ("CVAT", ["dog", "cat"])
    turned, polygon, mask = boxes["images/sub/p0.jpg"]
    assert (turned["bbox"], turned["area"]) == ([15.0, 5.0, 10.0, 20.0], 200.0)
    assert len(turned["segmentation"][0]) == 8
    assert (polygon["bbox"], polygon["area"], polygon["segmentation"]) == (
        [1.0, 1.0, 4.0, 5.0], 10.0, [[1.0, 1.0, 5.0, 1.0, 5.0, 6.0]],
    )  # fmt: skip
    assert mask["bbox"] == [3.0, 4.0, 5.0, 6.0]
    assert passed(found) == {
        "annotations.xml, image 0, shape 4": "a polyline is no box, polygon or mask",
        "annotations.xml, image 0, shape 5": "a tag is no box, polygon or mask",
        "annotations.xml, image 0, shape 6": "has no label",
    }


def test_cvat_agrees_with_hotcoco_where_nothing_is_turned(cvat, take):
    root, _ = cvat
    _, boxes = take(root)
    theirs = COCO.from_cvat(str(root / "annotations.xml")).dataset
    files = {one["id"]: one["file_name"] for one in theirs["images"]}
    assert {f"images/{files[one['image_id']]}": one["bbox"] for one in theirs["annotations"]} == {
        name: found[0]["bbox"] for name, found in boxes.items()
    }


def test_tracks_of_a_video_are_said(cvat, take):
    root, _ = cvat
    file = root / "annotations.xml"
    file.write_text(file.read_text().replace("</annotations>", '<track id="0" label="cat"/></annotations>'))
    assert passed(take(root)[0]) == {
        "annotations.xml": "1 tracks of a video: export the task as `CVAT for images 1.1`"
    }


# Open Images

OID = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"


@pytest.fixture
def open_images(tmp_path, picture):
    root = tmp_path / "source"
    for number in range(6):
        picture(f"train/p{number}.jpg")
    rows = [f"p{n},x,/m/0{n % 2},1,0.1,0.5,0.2,0.6,0,0,{int(n == 4)},0,0\n" for n in range(6)]
    (root / "boxes.csv").write_text(OID + "".join(rows))
    return root


def test_open_images_are_shares_with_names_and_groups(open_images, take):
    (open_images / "class-descriptions-boxable.csv").write_text("/m/00,Cat\n/m/01,Dog\n")
    found, boxes = take(open_images)
    assert (found.form, found.classes, found.ok) == ("Open Images", ["Cat", "Dog"], True)
    assert boxes["train/p1.jpg"] == [{"class": "Dog", "bbox": [10.0, 10.0, 40.0, 20.0], "area": 800.0, "iscrowd": 0}]
    assert boxes["train/p4.jpg"][0]["iscrowd"] == 1
    assert "1 boxes are of groups of objects (IsGroupOf) and have `iscrowd` 1." in found.notes


def test_open_images_without_names_and_with_wrong_lines(open_images, take):
    with open(open_images / "boxes.csv", "a") as file:
        file.write("p0,x,/m/00,1,0.1,1.5,0.2,0.6,0,0,0,0,0\np0,x\ngone,x,/m/00,1,0.1,0.5,0.2,0.6,0,0,0,0,0\n")
    found, _ = take(open_images)
    assert found.classes == ["/m/00", "/m/01"]
    assert any("class-descriptions-boxable.csv" in note for note in found.notes)
    assert passed(found) == {
        "boxes.csv, line 8": "its sides are no shares of the picture, from 0 to 1, or leave no width or height",
        "boxes.csv, line 9": "is not whole, or has sides that are no numbers",
        "boxes.csv, line 10": "the image 'gone' is not there, or several have that name",
    }


# LabelMe


@pytest.fixture
def labelme(tmp_path, picture):
    root = tmp_path / "source"

    def write(number: int, shapes: list) -> None:
        content = {"version": "5", "flags": {}, "shapes": shapes, "imagePath": f"..\\x\\p{number}.jpg",
                   "imageData": None, "imageHeight": 50, "imageWidth": 100}  # fmt: skip
        (root / f"p{number}.json").write_text(json.dumps(content))

    for number in range(6):
        picture(f"p{number}.jpg")
        write(number, [{"label": "cat", "points": [[30, 40], [10, 20]], "shape_type": "rectangle"}])
    return root, write


def test_labelme_s_shapes(labelme, take):
    root, write = labelme
    write(0, [
        {"label": "cat", "points": [[30, 40], [10, 20]], "shape_type": "rectangle"},
        {"label": "dog", "points": [[1, 1], [5, 1], [5, 6]], "shape_type": "polygon"},
        {"label": "dog", "points": [[20, 20], [30, 20]], "shape_type": "circle"},
        {"label": "dog", "points": [[1, 1], [5, 1]], "shape_type": "line"},
        {"points": [[1, 1], [5, 1]], "shape_type": "rectangle"},
    ])  # fmt: skip
    found, boxes = take(root)
    cat, dog, circle = boxes["p0.jpg"]
    assert cat == {"class": "cat", "bbox": [10.0, 20.0, 20.0, 20.0], "area": 400.0, "iscrowd": 0}
    assert (dog["bbox"], dog["area"]) == ([1.0, 1.0, 4.0, 5.0], 10.0)
    assert circle["bbox"] == [10.0, 10.0, 20.0, 20.0]
    assert circle["area"] == pytest.approx(math.pi * 100, rel=0.01)
    assert passed(found) == {
        "p0.json, shape 4": "a line of 2 points is no rectangle, polygon, circle or mask",
        "p0.json, shape 5": "has no label, or points that are no pairs of numbers",
    }


def test_labelme_files_that_are_torn(labelme, take):
    root, _ = labelme
    (root / "p1.json").write_text('{"shapes": [')
    told = passed(take(root)[0])
    assert told["p1.json"].startswith("is no whole JSON of LabelMe: Expecting value")
    assert told["p1.jpg"] == "no JSON file is about this image"


# COCO


def test_coco_keeps_crowds_ignored_ones_and_masks(tmp_path, picture, take):
    root = tmp_path / "source"
    for split, first in (("train", 0), ("val2017", 4)):
        things = [
            {"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 2, 30, 40], "area": 600, "iscrowd": 0,
             "segmentation": [[1, 2, 31, 2, 31, 42]]},
            {"id": 2, "image_id": 2, "category_id": 9, "bbox": [1, 2, 3, 4], "iscrowd": 1},
            {"id": 3, "image_id": 3, "category_id": 9, "bbox": [1, 2, 3, 4], "ignore": 1},
            {"id": 4, "image_id": 3, "category_id": 7, "bbox": [1, 2, 0, 4]},
            {"id": 5, "image_id": 4, "category_id": 9, "bbox": [1, 2, 3, 4]},
        ]  # fmt: skip
        images = [{"id": n + 1, "file_name": f"p{first + n}.jpg", "width": 100, "height": 50} for n in range(4)]
        for image in images:
            picture(f"{split}/{image['file_name']}")
        coco = {"images": images, "annotations": things,
                "categories": [{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}]}  # fmt: skip
        (root / "annotations").mkdir(exist_ok=True)
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(coco))
    found, boxes = take(root)
    assert (found.form, found.images) == ("COCO", {"train": 4, "val": 4})
    assert boxes["train/p0.jpg"] == [
        {"class": "cat", "bbox": [1, 2, 30, 40], "area": 600, "iscrowd": 0, "segmentation": [[1, 2, 31, 2, 31, 42]]}
    ]
    assert boxes["val2017/p5.jpg"][0]["iscrowd"] == 1
    assert boxes["val2017/p6.jpg"][0]["ignore"] == 1
    assert passed(found) == {
        f"annotations/instances_{split}.json, annotation 4": "its box has no width or height"
        for split in ("train", "val2017")
    }


# Which form, and several in one


def test_two_forms_in_one_folder_have_to_be_told_apart(voc, take):
    (voc / "data.yaml").write_text("names: [cat]\n")
    with pytest.raises(PkdError) as caught:
        take(voc)
    assert "holds annotations of several forms (voc: Annotations/p0.xml; yolo: data.yaml)" in caught.value.message
    assert "--format voc|yolo" in caught.value.hint
    assert take(voc, format="voc")[0].form == "Pascal VOC"


def test_images_in_another_folder(voc, tmp_path, take):
    (voc / "JPEGImages").rename(tmp_path / "elsewhere")
    with pytest.raises(PkdError, match="not one picture could be taken"):
        take(voc)
    _, boxes = take(voc, images=tmp_path / "elsewhere")
    assert sorted(boxes) == [f"p{n}.jpg" for n in range(10)]


def test_several_sources_become_one_with_classes_by_name(voc, labelme_second, take):
    from pkdcli import data_import

    found = data_import(voc, labelme_second, output=voc.parent / "both", name="both", split="0.5,0.5")
    assert found.form == "Pascal VOC and LabelMe"
    assert found.classes == ["cat", "dog", "cow"]
    assert sum(found.images.values()) == 13
    assert found.recipe == voc.parent / "both" / "both.yaml"
    assert (voc.parent / "both" / "images").is_dir()
    names = [path.relative_to(voc.parent / "both" / "images").parts[1] for path in (voc.parent / "both").rglob("*.jpg")]
    assert sorted(set(names)) == ["second", "source"]


@pytest.fixture
def labelme_second(tmp_path, picture):
    root = tmp_path / "second"
    for number in range(3):
        picture(f"p{number}.jpg", root=root)
        shapes = [{"label": label, "points": [[1, 2], [30, 40]], "shape_type": "rectangle"} for label in ("cow", "cat")]
        content = {"shapes": shapes, "imagePath": f"p{number}.jpg", "imageHeight": 50, "imageWidth": 100}
        (root / f"p{number}.json").write_text(json.dumps(content))
    return root


def test_images_of_the_same_name_in_different_folders(tmp_path, picture, take):
    root = tmp_path / "source"
    for split in ("train", "val"):
        for number in range(3):
            picture(f"images/{split}/p{number}.jpg")
            file = root / "labels" / split / f"p{number}.xml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(voc_xml(f"p{number}.jpg", (100, 50), [(split, (1, 1, 9, 9))]))
    found, boxes = take(root, classes="train,val", split="0.5,0.5", seed=3)
    assert {name: one[0]["class"] for name, one in boxes.items()} == {
        f"images/{split}/p{number}.jpg": split for split in ("train", "val") for number in range(3)
    }
    assert found.ok


@pytest.mark.parametrize(
    ("mode", "name"),
    [("L", "a.png"), ("I;16", "a.png"), ("RGBA", "a.png"), ("P", "a.png"), ("CMYK", "a.jpg"), ("RGB", "a.tif"),
     ("RGB", "a.webp")],
)  # fmt: skip
def test_every_kind_of_image_is_taken_with_its_size(voc, take, mode, name):
    for suffix in (".jpg", ".xml"):
        folder = "JPEGImages" if suffix == ".jpg" else "Annotations"
        (voc / folder / f"p0{suffix}").unlink()
    Image.new(mode, (100, 50)).save(voc / "JPEGImages" / name)
    (voc / "Annotations" / "a.xml").write_text(voc_xml(name, (0, 0), [("cat", (1, 1, 100, 50))]))
    found, boxes = take(voc)
    assert found.ok
    assert boxes[f"JPEGImages/{name}"][0]["bbox"] == [0.0, 0.0, 100.0, 50.0]
