"""YOLO: shares of the picture become pixels, class numbers become names, and what is no label is said by line."""

from __future__ import annotations

import numpy as np
import pytest
from hotcoco import COCO
from label_files import passed
from PIL import Image

from pkdcli.errors import ExitCode, PkdError


@pytest.fixture
def yolo(tmp_path, picture):
    """Ten pictures of 200 x 100 with a cat or a dog on each."""
    root = tmp_path / "source"
    (root / "labels").mkdir(parents=True)
    for number in range(10):
        picture(f"images/p{number}.png", 200, 100)
        (root / "labels" / f"p{number}.txt").write_text(f"{number % 2} 0.5 0.5 0.25 0.5\n")
    (root / "data.yaml").write_text("names: [cat, dog]\nnc: 2\n")
    return root


def test_shares_become_pixels_of_the_image_file(yolo, take):
    found, boxes = take(yolo)
    assert (found.form, found.classes, found.ok) == ("YOLO", ["cat", "dog"], True)
    assert boxes["images/p1.png"] == [
        {"class": "dog", "bbox": [75.0, 25.0, 50.0, 50.0], "area": 2500.0, "iscrowd": 0}
    ]


def test_a_class_number_beyond_the_names_is_refused(yolo, take):
    (yolo / "labels" / "p3.txt").write_text("0 0.5 0.5 0.25 0.5\n7 0.5 0.5 0.25 0.5\n")
    with pytest.raises(PkdError) as caught:
        take(yolo)
    error = caught.value
    assert error.code == ExitCode.USAGE
    assert error.message == (
        f"{yolo / 'labels' / 'p3.txt'}, line 2: class 7, but {yolo / 'data.yaml'} names 2: 0 cat, 1 dog."
    )
    assert "numbers begin at 0, so the last is 1" in error.hint


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("0 0.5 0.5 0.25", "has 4 numbers: five make a box, and an odd number from seven on a polygon"),
        ("0 0.5 0.5 0.25 0.5 0.9", "has a sixth number, as detections have a score; labels have five"),
        ("0 100 50 20 20", "has numbers that are no shares of the picture, from 0 to 1"),
        ("0 0.5 0.5 0 0.5", "has no width or height"),
        ("cat 0.5 0.5 0.25 0.5", "'cat 0.5 0.5 0.25 0.5' is not made of numbers"),
        ("0.5 0.5 0.5 0.25 0.5", "'0.5 0.5 0.5 0.25 0.5' does not begin with a class number, or is not finite"),
        ("0 nan 0.5 0.25 0.5", "'0 nan 0.5 0.25 0.5' does not begin with a class number, or is not finite"),
        ("0 0.5 0.5 0.25 0.25\n0 0.5 0.5 0.25 0.25", "stands there before"),
    ],
)
def test_lines_that_are_no_labels(yolo, take, line, why):
    (yolo / "labels" / "p0.txt").write_text(f"\n1 0.5 0.5 0.5 0.5\n{line}\n")
    found, boxes = take(yolo)
    place = f"labels/p0.txt, line {4 if 'before' in why else 3}"
    assert passed(found) == {place: why}
    assert boxes["images/p0.png"][0]["class"] == "dog"
    assert len(boxes["images/p0.png"]) == (2 if "before" in why else 1)


def test_polygons_have_a_box_and_a_mask(yolo, take):
    (yolo / "labels" / "p0.txt").write_text("0 0.1 0.1 0.6 0.1 0.6 0.5\n")
    _, boxes = take(yolo)
    assert boxes["images/p0.png"] == [
        {"class": "cat", "bbox": [20.0, 10.0, 100.0, 40.0], "area": 2000.0, "iscrowd": 0,
         "segmentation": [[20.0, 10.0, 120.0, 10.0, 120.0, 50.0]]}
    ]  # fmt: skip


def test_an_image_without_labels_is_background_and_labels_without_an_image_are_said(yolo, take):
    (yolo / "labels" / "p0.txt").unlink()
    (yolo / "labels" / "lost.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    found, boxes = take(yolo)
    assert boxes["images/p0.png"] == []
    assert "1 images have no label file and so, as YOLO has it, no objects." in found.notes
    assert passed(found) == {"labels/lost.txt": "there is no image of its name"}


def test_labels_of_a_photo_that_is_turned_are_of_the_upright_one(yolo, take):
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (200, 100)).save(yolo / "images" / "turned.jpg", exif=exif)
    (yolo / "labels" / "turned.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    _, boxes = take(yolo)
    assert boxes["images/turned.jpg"][0]["bbox"] == [25.0, 50.0, 50.0, 100.0]


def test_splits_of_data_yaml_and_of_roboflow_s_folders(tmp_path, picture, take):
    root = tmp_path / "source"
    for split in ("train", "valid"):
        for number in range(4):
            picture(f"{split}/images/{split}{number}.jpg")
            label = root / split / "labels" / f"{split}{number}.txt"
            label.parent.mkdir(exist_ok=True)
            label.write_text("0 0.5 0.5 0.5 0.5\n")
    (root / "data.yaml").write_text("train: ../train/images\nval: ../valid/images\nnames: {0: cat}\n")
    assert take(root)[0].images == {"train": 4, "val": 4}
    (root / "list.txt").write_text("./valid/images/valid0.jpg\n")
    (root / "data.yaml").write_text("train: train/images\nval: list.txt\nnames: {0: cat}\n")
    assert take(root / "data.yaml")[0].images == {"train": 4, "val": 1}


def test_labels_beside_images_with_a_list_of_names(tmp_path, picture, take):
    root = tmp_path / "source"
    for number in range(4):
        picture(f"p{number}.jpg")
        (root / f"p{number}.txt").write_text(f"{number % 2} 0.5 0.5 0.5 0.5\n")
    (root / "classes.txt").write_text("cat\ndog\n")
    found, boxes = take(root, split=[0.5, 0.5])
    assert found.classes == ["cat", "dog"]
    assert sorted(one["class"] for found in boxes.values() for one in found) == ["cat", "cat", "dog", "dog"]


def test_labels_without_names_are_refused(yolo, take):
    (yolo / "data.yaml").unlink()
    with pytest.raises(PkdError, match=r"labels of YOLO without the names of their classes"):
        take(yolo)


def test_agrees_with_hotcoco(yolo, take):
    rng = np.random.default_rng(1)
    for number in range(10):
        lines = []
        for _ in range(5):
            w, h = rng.uniform(0.05, 0.4, 2)
            x, y = rng.uniform(w / 2, 1 - w / 2), rng.uniform(h / 2, 1 - h / 2)
            lines.append(f"{rng.integers(2)} {x:.6f} {y:.6f} {w:.6f} {h:.6f}")
        (yolo / "labels" / f"p{number}.txt").write_text("\n".join(lines))
    _, boxes = take(yolo)
    (yolo / "labels" / "data.yaml").write_text("names: [cat, dog]\nnc: 2\n")
    theirs = COCO.from_yolo(str(yolo / "labels"), str(yolo / "images")).dataset
    names = {one["id"]: one["name"] for one in theirs["categories"]}
    stems = {one["id"]: one["file_name"].split(".")[0] for one in theirs["images"]}
    expected: dict[str, list] = {stem: [] for stem in stems.values()}
    for one in theirs["annotations"]:
        expected[stems[one["image_id"]]].append((names[one["category_id"]], *one["bbox"]))
    for name, found in boxes.items():
        ours = sorted((one["class"], *one["bbox"]) for one in found)
        for mine, other in zip(ours, sorted(expected[name[7:-4]]), strict=True):
            assert mine[0] == other[0]
            assert mine[1:] == pytest.approx(other[1:], abs=1e-3)
