"""A data set with a train and a val split, whose files a test spoils before it is looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pkdcli.data.survey.survey import Survey, survey
from pkdcli.recipe.resolve import load_data

WIDTH, HEIGHT = 160, 120


class Own:
    """Twelve pictures in each split with two boxes each, a cat of 20 x 40 and a dog of 100 x 100."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.recipe = root / "own.yaml"
        self.extra = ""
        self.splits: dict[str, dict[str, Any]] = {}
        for number, split in enumerate(("train", "val")):
            images = [
                {"id": n, "file_name": f"{n}.png", "width": WIDTH, "height": HEIGHT} for n in range(1, 13)
            ]
            boxes = []
            for image in images:
                for category, box in ((1, [4, 8, 20, 40]), (2, [55, 15, 100, 100])):
                    number_of = len(boxes) + 1
                    boxes.append({"id": number_of, "image_id": image["id"], "category_id": category, "bbox": box,
                                  "area": box[2] * box[3], "iscrowd": 0})  # fmt: skip
                self.paint(split, image["file_name"], 100 * number + image["id"])
            categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
            self.splits[split] = {"images": images, "annotations": boxes, "categories": categories}

    def paint(self, split: str, name: str, seed: int, size: tuple[int, int] = (WIDTH, HEIGHT), **how: Any) -> Path:
        path = self.root / split / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).resize(size).save(path, **how)
        return path

    def file(self, split: str) -> Path:
        return self.root / f"{split}.json"

    def write(self) -> Path:
        for split, coco in self.splits.items():
            self.file(split).write_text(json.dumps(coco))
        lines = [f"{split}: {{images: {split}, annotations: {split}.json}}" for split in self.splits]
        self.recipe.write_text("\n".join(["name: own", *lines, self.extra]) + "\n")
        return self.recipe

    def look(self, **how: Any) -> Survey:
        return survey(load_data(str(self.write())), **how)

    def faults(self, **how: Any) -> dict[tuple[str, str], Any]:
        return {(one.split, one.kind): one for one in self.look(**how).faults}


@pytest.fixture
def own(tmp_path) -> Own:
    """A data set to be spoilt, in a folder of its own."""
    return Own(tmp_path / "own")
