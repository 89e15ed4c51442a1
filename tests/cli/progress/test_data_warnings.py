"""What the check of a user's data found is said with every command, and stands in the result and the log."""

from __future__ import annotations

import json
import shutil

import pytest

SHORT = ("--loss", "none", "--scale", "tiny", "--max-iters", "1", "--batch-size", "2", "--workers", "0")


@pytest.fixture
def own(micro, tmp_path):
    """A copy of the micro data set whose annotations can be changed."""
    shutil.copytree(micro.parent, tmp_path / "own")

    def change(split, edit):
        path = tmp_path / "own" / "annotations" / f"{split}.json"
        coco = json.loads(path.read_text())
        edit(coco)
        path.write_text(json.dumps(coco))
        return path

    return tmp_path / "own" / micro.name, change


def no_width(coco):
    coco["annotations"][0]["bbox"][2] = 0


def test_a_warning_is_said_with_every_command_and_kept(pkd, own, tmp_path):
    data, change = own
    path = change("train", no_width)
    total = len(json.loads(path.read_text())["annotations"])
    warning = f"{path}: 1 of {total} boxes have a side below one pixel or no area and are ignored."
    words = ("train", *SHORT, "--data", data)
    for _ in range(2):
        answer = pkd(*words, "--dry-run")
        assert (answer.code, answer.err.count(f"warning: {warning}\n")) == (0, 1)
    answer = pkd(*words)
    assert (answer.code, answer.err.count(f"warning: {warning}\n")) == (0, 1)
    (run,) = (tmp_path / "runs").iterdir()
    assert json.loads((run / "result.json").read_text())["data_warnings"] == [warning]
    assert warning in (run / "log.txt").read_text()
    # A finished run is not run again, and its data is no better for it.
    assert f"warning: {warning}\n" in pkd(*words).err


def test_images_without_objects_are_let_in_by_the_key_that_the_warning_names(pkd, own, tmp_path):
    data, change = own

    def empty(coco):
        kept = {image["id"] for image in coco["images"][:8]}
        coco["annotations"] = [item for item in coco["annotations"] if item["image_id"] in kept]

    path = change("train", empty)
    warning = f"warning: {path}: 8 of 16 images have no object of the classes and are left out of training: write"
    answer = pkd("train", *SHORT, "--data", data, "--dry-run")
    assert "train_images: 8\n" in answer.out
    assert f"{warning} `background: true` into the data recipe to train on them.\n" in answer.err
    # What leads nowhere says what does.
    answer = pkd("train", *SHORT, "--data", data, "--set",
                 "config.train_dataloader.dataset.filter_cfg.filter_empty_gt=false")  # fmt: skip
    assert answer.code == 2
    assert "data set micro: 16 usable training images, where the recipe says 8." in answer.err
    assert "`background: true` in the data recipe (--set data.background=true) lets in those" in answer.err
    data.write_text(data.read_text() + "background: true\n")
    answer = pkd("train", *SHORT, "--data", data)
    assert (answer.code, "warning" in answer.err) == (0, False)
    (done,) = (tmp_path / "runs").glob("*/result.json")
    assert "16 training images, loaded" in (done.parent / "log.txt").read_text()
