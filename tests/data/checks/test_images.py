"""Image files against their annotations before anything is trained: the file, both sizes and the cause are told."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pkdcli.data import prepare
from pkdcli.data.checks import images
from pkdcli.errors import ExitCode, PkdError
from pkdcli.recipe.resolve import load_data
from pkdcli.recipe.schema import Data

ORIENTATION = 0x0112


class Photos:
    """A data set of one's own, whose images `train` and `val` share."""

    def __init__(self, root: Path) -> None:
        self.root, self.cache = root / "own", root / "cache"
        (self.root / "images").mkdir(parents=True)
        self.images: list[dict] = []
        self.more: dict = {}

    def add(self, name: str, annotated: tuple[float, float], stored: tuple[int, int], orientation: int = 1) -> None:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        Image.new("RGB", stored).save(self.root / "images" / name, exif=exif.tobytes())
        self.list(name, annotated)

    def list(self, name: str, annotated: tuple[float, float]) -> None:
        number = len(self.images) + 1
        self.images.append({"id": number, "file_name": name, "width": annotated[0], "height": annotated[1]})

    def prepare(self, extra: str = "") -> Data:
        boxes = [
            {"id": n, "image_id": n, "category_id": 1, "bbox": [4, 4, 20, 20], "area": 400, **self.more}
            for n in range(1, len(self.images) + 1)
        ]
        content = {"images": self.images, "annotations": boxes, "categories": [{"id": 1, "name": "cat"}]}
        for split in ("train", "val"):
            (self.root / f"{split}.json").write_text(json.dumps(content))
        lines = ["name: own", *(f"{one}: {{images: images, annotations: {one}.json}}" for one in ("train", "val"))]
        (self.root / "own.yaml").write_text("\n".join([*lines, extra]) + "\n")
        return prepare.prepare(load_data(str(self.root / "own.yaml")), self.cache)

    def refused(self, extra: str = "") -> tuple[str, str]:
        """Message, without the place that all begin with, and hint."""
        with pytest.raises(PkdError) as caught:
            self.prepare(extra)
        assert caught.value.code == ExitCode.USAGE
        begin = f"data set own, train: {self.root / 'train.json'}: "
        assert caught.value.message.startswith(begin)
        return caught.value.message.removeprefix(begin), caught.value.hint


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Photos:
    monkeypatch.setattr(prepare, "_shared", lambda reports: [])  # which says that the splits share all images
    return Photos(tmp_path)


# Sizes


def test_pictures_of_the_annotated_size_are_taken_without_a_word(photos, capsys):
    for name in ("a.jpg", "b.png", "c.webp", "d.tif", "e.bmp"):
        photos.add(name, (64, 48), (64, 48))
    photos.add("f.jpg", (64.0, 48.0), (64, 48))
    data = photos.prepare()
    assert (data.exif, data.pixel_range, capsys.readouterr().err) == (None, None, "")


@pytest.mark.parametrize(
    ("annotated", "stored", "cause"),
    [
        ((200, 160), (100, 80), "The pictures seem to have been resized after they were annotated (the first by 0.5)"),
        ((200, 160), (133, 107), "The pictures seem to have been resized after they were annotated (the first by 0.6"),
        ((200, 160), (160, 200), "`width` and `height` seem to be exchanged in the JSON"),
        ((200, 160), (190, 160), "The boxes are those of other pictures, or of cropped ones"),
    ],
)
def test_another_size_is_told_with_the_file_both_sizes_and_the_cause(photos, annotated, stored, cause):
    photos.add("right.jpg", (64, 48), (64, 48))
    photos.add("a.jpg", annotated, stored)
    photos.add("b.png", annotated, stored)
    message, hint = photos.refused()
    a, b = (f"{name} is {stored[0]} x {stored[1]}, annotated as 200 x 160" for name in ("a.jpg", "b.png"))
    assert message == f"2 of 3 pictures are not of the annotated size: {a}, {b}."
    assert hint.startswith(cause)


def test_of_many_a_spread_sample_is_looked_at(photos, monkeypatch):
    monkeypatch.setattr(images, "SAMPLE", 3)
    for number in range(9):
        photos.add(f"{number}.jpg", (64, 48), (64, 48 if number < 8 else 40))
    message, _ = photos.refused()
    assert message == "1 of 3 pictures are not of the annotated size: 8.jpg is 64 x 40, annotated as 64 x 48."


# Orientation


@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
def test_a_photo_annotated_upright_is_taken(photos, kind, capsys):
    photos.add(f"a.{kind}", (48, 64), (64, 48), 6)
    assert photos.prepare().exif is None
    assert capsys.readouterr().err == ""


def test_photos_annotated_as_stored_are_taken_and_counted(photos, capsys):
    photos.add("a.jpg", (64, 48), (64, 48), 6)
    assert photos.prepare().exif is None  # the size of each tells
    assert capsys.readouterr().err == (
        "warning: data set own: 2 photos have an EXIF orientation and the annotated size of their pixels as stored: "
        "they are not turned.\n"
    )


OPEN = "photos have an EXIF orientation that leaves their size as it is, the first is a.jpg: they are"


@pytest.mark.parametrize(
    ("others", "exif", "said"),
    [
        ([], None, f"2 {OPEN} turned upright; if their boxes were drawn on the pixels as stored, set `exif: stored`"),
        ([(48, 64)], None, None),
        ([(64, 48)], "stored", f"2 {OPEN} not turned either; if their boxes were drawn on the upright pictures, set "),
        ([(64, 48), (48, 64)], None, f"2 {OPEN} turned upright; if their boxes"),
    ],
)
def test_upside_down_is_read_as_the_photos_are_whose_size_tells(photos, others, exif, said, capsys):
    photos.add("a.jpg", (64, 48), (64, 48), 3)
    for number, annotated in enumerate(others):
        photos.add(f"{number}.jpg", annotated, (64, 48), 6)
    assert photos.prepare().exif == exif
    err = capsys.readouterr().err
    assert (said in err) if said else err == ""


@pytest.mark.parametrize("exif", ["shown", "stored"])
def test_what_the_recipe_says_holds(photos, exif, capsys):
    photos.add("a.jpg", (64, 48), (64, 48), 3)
    assert photos.prepare(f"exif: {exif}").exif == exif
    assert capsys.readouterr().err == ""


# Depth


def deep(photos: Photos, low: int, high: int, name: str = "a.png") -> None:
    pixels = np.linspace(low, high, 64 * 48).astype(np.uint16).reshape(48, 64)
    cv2.imwrite(str(photos.root / "images" / name), pixels)
    photos.list(name, (64, 48))


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0, 4080, (0.0, 4095.0)),
        (0, 1023, (0.0, 1023.0)),
        (0, 255, (0.0, 255.0)),
        (0, 65535, None),
        (100, 33000, None),
    ],
)
def test_the_bits_of_deep_pixels_are_found_and_told(photos, low, high, found, capsys):
    photos.add("b.jpg", (64, 48), (64, 48))
    deep(photos, low, high)
    assert photos.prepare().pixel_range == found
    err = capsys.readouterr().err
    assert (f"the values found go from {low} to {high}: 0 to {found[1]:g} become black to white" in err) if found else (
        err == ""
    )


def test_few_grey_levels_are_told_with_the_range_that_spreads_them(photos, capsys):
    deep(photos, 28000, 31000)
    assert photos.prepare().pixel_range == (0.0, 32767.0)
    assert "24 of 256 grey levels: `pixel_range: [28000, 31000]` in the data recipe spreads them." in (
        capsys.readouterr().err
    )
    assert photos.prepare("pixel_range: [28000, 31000]").pixel_range == (28000.0, 31000.0)
    assert capsys.readouterr().err == ""


def test_floats_are_refused_before_training_and_taken_with_a_range(photos):
    pixels = np.linspace(0, 255, 64 * 48, dtype=np.float32).reshape(48, 64)
    cv2.imwrite(str(photos.root / "images" / "a.tif"), pixels)
    photos.list("a.tif", (64, 48))
    message, hint = photos.refused()
    assert message == (
        f"image {photos.root}/images/a.tif has pixels of 32-bit floats (here from 0 to 255), and which of them are "
        "black and white is not known."
    )
    assert "such as `pixel_range: [0, 255]`" in hint
    assert photos.prepare("pixel_range: [0, 255]").pixel_range == (0.0, 255.0)


@pytest.mark.parametrize("text", ["[4095, 0]", "[1, 1]"])
def test_a_range_goes_upwards(photos, text):
    photos.add("a.jpg", (64, 48), (64, 48))
    with pytest.raises(PkdError) as caught:
        photos.prepare(f"pixel_range: {text}")
    assert "pixel_range" in caught.value.message
    assert "should be the value of black and then, higher, that of white" in str(caught.value)


@pytest.mark.parametrize("text", ["255", "[0, 4095, 3]", "[]"])
def test_what_is_no_range_is_told_in_words(photos, text):
    photos.add("a.png", (64, 48), (64, 48))
    with pytest.raises(PkdError) as caught:
        photos.prepare(f"pixel_range: {text}")
    assert "pixel_range: should be two numbers, the value of black and that of white, such as [0, 4095]" in (
        caught.value.message
    )


# Files


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"<!DOCTYPE html><html></html>", "a.jpg is no image but a web page (HTML)"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a.jpg is a pointer of Git LFS, not the picture itself"),
        (b"", "a.jpg is empty"),
    ],
)
def test_what_is_no_picture_is_told_before_training(photos, content, what):
    photos.add("b.jpg", (64, 48), (64, 48))
    (photos.root / "images" / "a.jpg").write_bytes(content)
    photos.list("a.jpg", (64, 48))
    assert photos.refused()[0] == f"image files can't be used: {what}."


def test_an_image_over_opencvs_limit_is_told_before_training(photos, monkeypatch):
    monkeypatch.setenv("OPENCV_IO_MAX_IMAGE_PIXELS", "3071")
    photos.add("a.jpg", (64, 48), (64, 48))
    message, hint = photos.refused()
    assert message == (
        f"image {photos.root}/images/a.jpg has 64 x 48 pixels, 3072 in all: more than the 3071 that opencv decodes."
    )
    assert "put OPENCV_IO_MAX_IMAGE_PIXELS=3072 before the command" in hint


# Masks


def test_run_lengths_of_another_size_are_told_and_not_needed_for_boxes(photos):
    photos.add("a.jpg", (64, 48), (64, 48))
    photos.more = {"segmentation": {"size": [48, 64], "counts": [0, 48 * 64]}}
    assert photos.prepare().masks is True
    photos.more = {"segmentation": {"size": [100, 100], "counts": [0, 10000]}}
    message, hint = photos.refused()
    assert message == (
        "run lengths are of another size than their image: annotations[0].segmentation.size = [100, 100] for [48, 64]."
    )
    assert "set `masks: false` in the data recipe" in hint
    assert photos.prepare("masks: false").masks is False


# The record


def test_what_was_found_is_kept_with_the_check(photos, monkeypatch, capsys):
    deep(photos, 0, 4080)
    first = photos.prepare()
    assert first.pixel_range == (0.0, 4095.0)
    monkeypatch.setattr(images, "look", None)
    assert photos.prepare() == first
    assert prepare.thinnest(first, photos.cache) == {"train": ["a.png", 64.0, 48.0], "val": ["a.png", 64.0, 48.0]}


def test_a_check_of_an_older_version_is_made_again(photos):
    photos.add("a.jpg", (64, 48), (64, 48))
    photos.prepare()
    (record,) = (photos.cache / "checks").iterdir()
    old = {key: value for key, value in json.loads(record.read_text()).items() if key not in ("reading", "exif")}
    record.write_text(json.dumps(old))
    Image.new("RGB", (32, 24)).save(photos.root / "images" / "a.jpg")
    assert photos.refused()[0].endswith("a.jpg is 32 x 24, annotated as 64 x 48.")
