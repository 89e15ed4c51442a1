"""File names whose form is another system's: taken where one file is meant, named where none or several are."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from pkdcli.data.checks.coco import check_split
from pkdcli.data.images.file_names import Folder, path_of
from pkdcli.errors import PkdError


@pytest.fixture
def folder(tmp_path) -> Path:
    root = tmp_path / "images"
    for name in ("b c.jpg", "train/a.jpg", "train/x/a.jpg", unicodedata.normalize("NFC", "Zellkörper.jpg"), "B.JPG"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("b%20c.jpg", "b c.jpg"),
        ("train\\a.jpg", "train/a.jpg"),
        (".\\train\\a.jpg", "train/a.jpg"),
        (unicodedata.normalize("NFD", "Zellkörper.jpg"), unicodedata.normalize("NFC", "Zellkörper.jpg")),
        ("/home/me/project/images/train/a.jpg", "train/a.jpg"),
        ("C:\\pictures\\images\\train\\x\\a.jpg", "train/x/a.jpg"),
        ("C:/pictures/b c.jpg", "b c.jpg"),
        ("file:///home/me/b%20c.jpg", "b c.jpg"),
        ("https://storage.example/bucket/train/a.jpg", "train/a.jpg"),
    ],
)
def test_a_name_of_another_form_is_taken(folder, name, meant):
    assert Folder(folder).find(name) == meant
    assert path_of(folder, name) == folder / meant


@pytest.mark.parametrize("name", ["a.jpg", "val/a.jpg", "../images/b%20c.jpg", "/elsewhere/c.jpg", "", "b.jpg"])
def test_another_file_is_not_taken(folder, name):
    """Not one of the same name in another folder, nor one with other capital letters."""
    assert Folder(folder).find(name) is None


def test_of_two_that_differ_in_how_an_accent_is_written_none_is_taken(tmp_path):
    for form in ("NFC", "NFD"):
        (tmp_path / unicodedata.normalize(form, "ö é.jpg")).touch()
    mixed = unicodedata.normalize("NFC", "ö") + " " + unicodedata.normalize("NFD", "é") + ".jpg"
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system does not tell the forms apart")
    assert Folder(tmp_path).find(mixed) is None


def written(folder: Path, names: list[str]) -> Path:
    file = folder.parent / "train.json"
    images = [{"id": n, "file_name": name, "width": 64, "height": 48} for n, name in enumerate(names)]
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [4, 4, 9, 9], "area": 81} for n in range(len(names))]
    file.write_text(json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "a"}]}))
    return file


def test_the_check_says_which_names_it_took(folder):
    report = check_split(folder, written(folder, ["b%20c.jpg", "train\\a.jpg", "./train/x/a.jpg"]))
    assert report.problems == [
        "2 file names are written in another form than the files' own, which are taken: 'b%20c.jpg' is b c.jpg."
    ]


def test_two_names_of_one_file_are_refused(folder):
    """Of an absolute path only the end lies in the folder: the pictures of another folder may end alike."""
    (folder / "a.jpg").touch()
    file = written(folder, ["/data/old/a.jpg", "/data/new/a.jpg"])
    with pytest.raises(PkdError) as caught:
        check_split(folder, file)
    assert caught.value.message == (
        f"{file}: file names that differ mean one file: '/data/old/a.jpg' and '/data/new/a.jpg' are a.jpg."
    )
    assert caught.value.hint.startswith("Each image has a file of its own")


def test_other_capitals_in_a_folder_below_are_named(folder):
    with pytest.raises(PkdError) as caught:
        check_split(folder, written(folder, ["Train/a.jpg", "b c.jpg"]))
    assert caught.value.message.endswith(f"1 of 2 image files are not in {folder}: Train/a.jpg.")
    assert caught.value.hint == "There is train/a.jpg: names must agree in capital letters too."
