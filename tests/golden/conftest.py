"""What golden tests share: the command line in this process, and files of what it said before.

A golden test holds what a user sees, and nothing of how the modules are arranged: it types commands, and compares with
a file kept here. `PKD_GOLDEN=write pytest -n 0 tests/golden` writes the files anew; look at their differences before
they are committed.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent


@pytest.fixture
def golden():
    """Hold a text against a file of this folder, or write it there if asked to."""

    def golden(name: str, text: str, form=lambda text: text) -> None:
        path = GOLDEN / name
        if os.environ.get("PKD_GOLDEN") == "write":
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        assert form(text) == form(path.read_text()), f"{name} is not as before"

    return golden


@pytest.fixture
def type_(tmp_path, monkeypatch, capsys):
    """Type a command in an empty folder, on a terminal of 100 columns; returns (exit code, out, err)."""
    from pkdcli.__main__ import main

    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    for name in ("PKD_RUNS", "PKD_COCO", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")

    def type_(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pkd", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        return (left.value.code or 0, *capsys.readouterr())

    return type_


@pytest.fixture
def own(type_) -> Path:
    """A data set of one's own, of two classes, whose pictures are grey."""
    from PIL import Image

    here = Path.cwd()
    for split, shade in (("train", 60), ("val", 160)):
        images = [{"id": n, "file_name": f"{split}{n}.png", "width": 64, "height": 64} for n in (1, 2)]
        boxes = [{"id": n, "image_id": n, "category_id": n, "bbox": [4, 4, 20, 20], "area": 400} for n in (1, 2)]
        classes = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
        for image in images:
            Image.new("L", (64, 64), shade).save(here / image["file_name"])
        whole = {"images": images, "annotations": boxes, "categories": classes}
        (here / f"{split}.json").write_text(json.dumps(whole))
    lines = ["name: own", *(f"{split}: {{images: ., annotations: {split}.json}}" for split in ("train", "val"))]
    (here / "own.yaml").write_text("\n".join(lines) + "\n")
    return here / "own.yaml"
