"""`pkd data import` and `pkd data check` as they are typed, and trainings on data that would spoil them."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from asking import answer
from label_files import voc_xml
from PIL import Image

from pkdcli.cli.data.check import command as check
from pkdcli.cli.data.importing import command as import_
from pkdcli.cli.run.train import command as train
from pkdcli.errors import ExitCode, PkdError


@pytest.fixture
def voc(here):
    """Ten pictures of a cat in VOC's layout."""
    root = here / "cells"
    root.mkdir()
    for number in range(10):
        Image.new("RGB", (64, 48), (20 * number, 9, 9)).save(root / f"p{number}.jpg")
        (root / f"p{number}.xml").write_text(voc_xml(f"p{number}.jpg", (64, 48), [("cat", (1, 1, 40, 40))]))
    return root


def test_an_import_is_shown_and_can_be_trained_on(voc, here):
    found = answer(import_, ("cells", "--split", "0.6,0.4"), 0)
    assert re.search(r"train +│ +6 │ +6 │ +6", found.output)
    assert re.search(r"val +│ +4 │ +4 │ +4", found.output)
    recipe = here / "cells-coco" / "cells.yaml"
    assert f"next: pkd data check {recipe}" in found.output.replace("\n", "")
    assert (here / "cells-coco" / "import.json").is_file()
    (link, *_) = (here / "cells-coco" / "images" / "train").iterdir()
    assert link.is_symlink()
    assert link.resolve().parent == voc
    answer(train, ("--data", recipe, "--scale", "tiny", "--dry-run"), 0)


def test_what_was_wrong_is_named_and_the_exit_code_is_1(voc, here):
    (voc / "p3.xml").write_text("<annotation>")
    found = answer(import_, ("cells",), 1)
    assert "1 passed over, since something is wrong with them:\n  p3.xml: is no whole XML" in found.output
    record = json.loads(answer(import_, ("cells", "--json", "-o", "other"), 1).stdout)
    assert record["ok"] is False
    assert record["passed"][0]["file"] == "p3.xml"
    assert sum(record["images"].values()) == 9
    assert answer(import_, ("cells", "-q", "-o", "third"), 1).stdout == f"{here / 'third' / 'cells.yaml'}\n"


def test_a_folder_that_exists_is_never_overwritten_unasked(voc, here):
    answer(import_, ("cells",), 0)
    before = (here / "cells-coco" / "import.json").read_bytes()
    with pytest.raises(PkdError) as caught:
        answer(import_, ("cells",), 2)
    assert caught.value.message == f"{here / 'cells-coco'} exists already, and nothing is overwritten."
    assert (here / "cells-coco" / "import.json").read_bytes() == before
    answer(import_, ("cells", "--force", "--split", "0.5,0.5"), 0)
    (here / "mine").mkdir()
    (here / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(PkdError, match="was not made by `pkd data import`"):
        answer(import_, ("cells", "--force", "-o", "mine"), 2)
    with pytest.raises(PkdError, match="an import never writes over its source"):
        answer(import_, ("cells-coco", "--force", "-o", "cells-coco", "--format", "coco"), 2)
    assert (here / "mine" / "thesis.txt").read_text() == "mine"


def test_a_folder_without_annotations_says_what_was_looked_for(here):
    (here / "empty").mkdir()
    Image.new("RGB", (9, 9)).save(here / "empty" / "a.png")
    with pytest.raises(PkdError) as caught:
        answer(import_, ("empty",), 2)
    assert caught.value.code == ExitCode.USAGE
    first, *looked = caught.value.message.splitlines()
    assert first == f"{here / 'empty'}: no annotations among its 1 files, 1 of them images. Looked for:"
    assert [line.split(":")[0].strip() for line in looked] == [
        "Pascal VOC", "YOLO", "COCO", "CVAT", "Open Images", "LabelMe",
    ]  # fmt: skip
    with pytest.raises(PkdError, match="PATH: gone does not exist"):
        answer(import_, ("gone",), 2)


def test_a_check_of_right_data_leaves_with_0(own):
    found = answer(check, (own,), 0)
    assert re.search(r"cat +│ +4 │ +4 │ 100 % │ +0 % │ +0 % │ +20 │ +20 │ +1", found.output)
    assert "own: nothing would spoil a training" in found.output


def test_a_check_of_bad_data_leaves_with_1(own):
    folder = own.parent / "images"
    shutil.copy(folder / "1.jpg", folder / "v3.jpg")
    found = answer(check, (own, "--no-decode", "-q"), 1)
    assert found.stdout.startswith("spoils 1 images are in several splits\n")
    record = json.loads(answer(check, (own, "--json"), 1).stdout)
    assert record["ok"] is False
    assert [one["kind"] for one in record["faults"] if one["weight"] == "spoils"] == ["leakage"]
    assert record["splits"]["train"]["classes"]["dog"]["boxes"] == 4


def test_repaired_data_and_a_page_are_written_once(own, here):
    items = json.loads((own.parent / "train.json").read_text())
    items["annotations"][0]["bbox"] = [50, 50, 40, 40]
    (own.parent / "train.json").write_text(json.dumps(items))
    words = (own, "--fix", "out", "--html", "page.html")
    found = answer(check, words, 0)
    assert "repaired: train: 1 boxes were cut off at the edge of their picture" in found.output
    assert "repaired: val: nothing had to be changed" in found.output
    assert (here / "page.html").read_text().startswith("<!doctype html>")
    answer(check, ("out", "--no-decode"), 0)
    with pytest.raises(PkdError, match=r"--fix: out exists already"):
        answer(check, words, 2)
    answer(check, (*words, "--force"), 0)


def test_a_training_on_leaked_images_is_refused_until_it_is_allowed(own):
    folder = own.parent / "images"
    shutil.copy(folder / "1.jpg", folder / "v3.jpg")
    words = ("--data", own, "--scale", "tiny", "--dry-run")
    with pytest.raises(PkdError) as caught:
        answer(train, words, 2)
    error = caught.value
    assert error.code == ExitCode.USAGE
    assert error.message.startswith("data set own: a training on it would be spoilt.\n")
    assert "images of val are trained on too, the first is v3.jpg" in error.message
    assert error.hint.endswith("add --allow-bad-data, or write `accept: [leakage]` into the data recipe.")
    allowed = answer(train, (*words, "--allow-bad-data"), 0)
    own.write_text(own.read_text() + "accept: [leakage]\n")
    assert re.findall("s0-[0-9a-f]{8}", answer(train, words, 0).output) == re.findall(
        "s0-[0-9a-f]{8}", allowed.output
    )


def test_a_training_on_boxes_outside_is_refused(own):
    items = json.loads((own.parent / "train.json").read_text())
    for number, one in enumerate(items["annotations"]):
        one["bbox"] = [30 + number, 50, 60, 60]
    (own.parent / "train.json").write_text(json.dumps(items))
    with pytest.raises(PkdError, match="8 of 8 boxes reach beyond their picture"):
        answer(train, ("--data", own, "--scale", "tiny", "--dry-run"), 2)
    answer(train, ("--data", own, "--scale", "tiny", "--dry-run", "--allow-bad-data"), 0)
