"""The commands that make the recorded runs again are those that made them, and their data is spoilt as it is said."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import battery
import heldout_make
import pytest
from battery import BATTERY, PACKED, asked
from heldout_make import DATA, HELD, LEAKED, Making

from pkdcli.recipe.modules.copies import read_recipe

_UNSAID = {"--loss": "pkd", "--schedule": "2x", "--weight": "10"}
"""The defaults; some of the recorded commands say them."""


def options(words: list[str]) -> dict[str, list[str]]:
    """Options and values, files by their names, without what changes nothing that is recorded."""
    given: dict[str, list[str]] = {}
    left = iter(words)
    for word in left:
        if word.startswith("--"):
            value = "" if word in ("--quiet", "--allow-bad-data") else re.sub(r"(^|(?<==))[\w/.-]*/", "", next(left))
            given[word] = sorted([*given.get(word, []), value]) if word == "--set" else [value]  # the last one holds
    for gone in ("--quiet", "--runs", "--threads", "--workers", "--teacher-checkpoint"):
        given.pop(gone, None)
    return {name: value for name, value in given.items() if _UNSAID.get(name) != value[0]}


def recorded_words(folder: Path) -> list[str]:
    """The command that made a run, as it was recorded."""
    return shlex.split(json.loads((folder / "env.json").read_text())["command"])[1:]


RENAMED = {"trained.pth": "student.pth", "deadstudent.pth": "half-constant-student.pth",
           "deadlevelstudent.pth": "dead-level-student.pth"}  # fmt: skip
"""Weights to start from that had other names when the runs were made."""


@pytest.mark.parametrize("name", HELD)
def test_a_held_out_run_is_made_again_by_the_command_that_made_it(folder, name):
    was = [re.sub(r"[\w-]+\.pth$", lambda found: RENAMED.get(found[0], found[0]), word)
           for word in recorded_words(folder(name))]  # fmt: skip
    now = heldout_make.command(HELD[name], Path("/t/teacher.pth"), Path("/root"))
    assert options(now) == options(was)
    assert now[1:3] == ["--teacher-checkpoint", "/t/teacher.pth"]
    assert shlex.split(HELD[name].words)[3].removesuffix(".yaml") in DATA


@pytest.mark.parametrize("name", BATTERY)
def test_a_run_of_the_battery_is_made_again_by_the_command_that_made_it(folder, name):
    now = battery.command(BATTERY[name], Path("/t/teacher.pth"))
    was = recorded_words(folder(name))
    if "--weights" in was:  # three of them were made by one sweep
        at = was.index("--weights")
        was[at : at + 2] = ["--weight", f"{read_recipe(folder(name) / 'recipe.yaml').loss.weight:g}"]
    assert options(list(now)) == options(was)


def test_what_is_typed(tmp_path, capsys):
    every = asked(BATTERY, PACKED, [str(tmp_path)], healthy="runs")
    assert (every.only, every.to, every.healthy, every.steps) == (list(BATTERY), PACKED, [], None)
    one = asked(HELD, PACKED, [str(tmp_path), "--only", "b1-bgr", "--only", "b2-leak"], cells="cells")
    assert (one.only, one.to) == (["b1-bgr", "b2-leak"], tmp_path / PACKED.name)  # the tests' own is left alone
    assert asked(HELD, PACKED, [str(tmp_path), "--steps", "2"]).to == tmp_path / PACKED.name
    with pytest.raises(SystemExit) as stopped:
        asked(HELD, PACKED, [str(tmp_path), "--only", "b1-bgrr"])
    assert stopped.value.code == 2
    assert "'b1-bgrr'" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="This run is of blood cells: name their folder, --cells BCCD"):
        Making(tmp_path).make("b1-bccd-healthy")


@pytest.fixture
def making(tmp_path) -> Making:
    """A folder with listed pictures of shapes and of cells, an object of each class in every one."""
    root = tmp_path / "made"
    for home, counts, classes in ((root / "cache/data/shapes-v1", {"train": 800, "val": 200}, 2),
                                  (tmp_path / "cells", {"train": 205, "val": 87}, 3)):  # fmt: skip
        for split, count in counts.items():
            images = [{"id": n + 1, "file_name": f"{n:06}.png"} for n in range(count)]
            boxes = [{"id": n * classes + k, "image_id": n + 1, "category_id": k, "bbox": [10, 20, 30, 40]}
                     for n in range(count) for k in range(classes)]  # fmt: skip
            content = {"images": images, "annotations": boxes, "categories": [{"id": k} for k in range(classes)]}
            (home / "annotations").mkdir(parents=True, exist_ok=True)
            (home / "annotations" / f"{split}.json").write_text(json.dumps(content))
            (home / "images" / split).mkdir(parents=True)
            for image in images:
                (home / "images" / split / image["file_name"]).write_text(split)
    return Making(root, cells=tmp_path / "cells")


def cut(making: Making, name: str) -> tuple[dict, dict]:
    """The annotations of a data set: those that train and those that validate."""
    making.cut(name)
    return tuple(json.loads((making.root / f"{name}-{split}.json").read_text()) for split in ("train", "val"))


@pytest.mark.parametrize(
    ("name", "train", "val", "boxes"),
    [("s66", ("000400.png", 66), ("000100.png", 40), 2), ("q133", ("000667.png", 133), ("000140.png", 60), 2),
     ("bshuf", ("000050.png", 50), ("000000.png", 30), 3), ("bswap", ("000150.png", 50), ("000030.png", 30), 3)],
)  # fmt: skip
def test_data_is_cut_as_it_was(making, name, train, val, boxes):
    for found, (first, count) in zip(cut(making, name), (train, val), strict=True):
        assert (found["images"][0]["file_name"], len(found["images"])) == (first, count)
        assert len(found["annotations"]) == boxes * count
    assert (making.root / f"{name}.yaml").read_text().startswith(f"name: {name}\n")


def test_labels_are_spoilt_in_the_training_alone(making):
    train, val = cut(making, "bswap")
    assert [one["category_id"] for one in train["annotations"][:3]] == [1, 2, 0]
    assert [one["category_id"] for one in val["annotations"][:3]] == [0, 1, 2]
    train, val = cut(making, "bshuf")
    assert 0.2 < sum(one["category_id"] == n % 3 for n, one in enumerate(train["annotations"])) / 150 < 0.5
    assert [one["category_id"] for one in val["annotations"]] == [0, 1, 2] * 30
    train, val = cut(making, "corners")
    assert {tuple(one["bbox"]) for one in train["annotations"]} == {(10, 20, 40, 60)}
    assert {tuple(one["bbox"]) for one in val["annotations"]} == {(10, 20, 30, 40)}


def test_validation_images_leak_into_the_training(making):
    train, val = cut(making, "leak")
    names = [[one["file_name"] for one in part["images"]] for part in (train, val)]
    assert (len(names[0]), len(set(names[0]) & set(names[1]))) == (66, LEAKED)
    assert {(making.root / "leak" / name).read_text() for name in names[1]} == {"val"}
    for part in (train, val):
        assert len({one["id"] for one in part["images"]}) == len(part["images"])
        assert len({one["id"] for one in part["annotations"]}) == len(part["annotations"])
    assert len(train["annotations"]) == 2 * 66
    assert {one["image_id"] for one in train["annotations"]} == {one["id"] for one in train["images"]}
