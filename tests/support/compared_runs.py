"""Runs that were never trained: recipe, result and kept detections, as workers leave them, over one small data set."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from asking import answer

from pkdcli.cli.look import compare as compare_command
from pkdcli.data.prepare import facts
from pkdcli.data.scoring.predictions import Detections, write
from pkdcli.errors import PkdError
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import write_json, write_text

CLASSES = ("car", "person")
SIDE = 120


class ComparedRuns:
    """Writes runs into a folder of runs.

    Attributes:
        runs: The runs folder.
        cache: The cache folder.
        data: The data recipe's file.
    """

    def __init__(self, folder: Path, images: int = 30, name: str = "mine") -> None:
        self.runs, self.cache, self.data = folder / "runs", folder / "cache", folder / f"{name}.yaml"
        self.folder = folder / name
        (self.folder / "images").mkdir(parents=True)
        random = np.random.default_rng(0)
        self.content = {"images": [], "annotations": [],
                        "categories": [{"id": n, "name": label} for n, label in enumerate(CLASSES, 1)]}  # fmt: skip
        for image in range(1, images + 1):
            file = f"{image}.png"
            cv2.imwrite(str(self.folder / "images" / file), np.full((SIDE, SIDE, 3), 7 * image % 255, np.uint8))
            self.content["images"].append({"id": image, "file_name": file, "width": SIDE, "height": SIDE})
            for _ in range(random.integers(1, 4)):
                x, y, w, h = *random.uniform(0, 60, 2), *random.uniform(12, 60, 2)
                self.content["annotations"].append({
                    "id": len(self.content["annotations"]) + 1, "image_id": image, "bbox": [x, y, w, h],
                    "area": w * h, "category_id": int(random.integers(1, 3)), "iscrowd": 0,
                })  # fmt: skip
        self.annotate(self.content)
        split = {"images": f"{name}/images", "annotations": f"{name}/val.json"}
        self.data.write_text(yaml.safe_dump({"name": name, "train": split, "val": split}))

    def annotate(self, content) -> None:
        """Write the annotation file anew."""
        (self.folder / "val.json").write_text(json.dumps(content))

    def add(self, loss: str, noise: float, seed: int = 0, images: int | None = None, **result) -> RunPaths:
        """A finished run whose boxes are off by so many pixels."""
        recipe = resolve(Request(scale="tiny", data=str(self.data), loss=loss, seed=seed))
        known = recipe.model_copy(update={"data": facts(recipe.data, self.cache)})
        paths = RunPaths(self.runs / run_id(recipe))
        write_text(paths.recipe, yaml.safe_dump(known.model_dump(mode="json"), sort_keys=False))
        write_json(paths.status, {"schema": 1, "run": paths.run, "state": "done"})
        write_json(paths.result, {"schema": 1, "run": paths.run, "metrics": {"mAP": 30.0}, **result})
        write(paths.predictions, self.detections(noise, seed, known.data.fingerprint, images))
        return paths

    def detections(self, noise: float, seed: int, fingerprint: str | None, images: int | None = None) -> Detections:
        """What a detector finds whose boxes are off by so many pixels, in the first few images or all."""
        random = np.random.default_rng(seed + 1)
        shown = [image["id"] for image in self.content["images"]][:images]
        counts, boxes, scores, labels = [], [], [], []
        for image in shown:
            own = [one for one in self.content["annotations"] if one["image_id"] == image]
            for one in own:
                x, y, w, h = one["bbox"]
                corners = np.array([x, y, x + w, y + h]) + random.normal(0, noise, 4)
                boxes.append([*np.minimum(corners[:2], corners[2:]), *np.maximum(corners[:2], corners[2:])])
                scores.append(random.uniform(0.3, 1))
                labels.append(one["category_id"] - 1 if random.random() < 0.9 else int(random.integers(0, 2)))
            counts.append(len(own))
        return Detections(np.array(shown), np.array(counts), np.array(boxes, np.float32), np.array(scores, np.float32),
                          np.array(labels), CLASSES, self.data.stem, "val", fingerprint)  # fmt: skip


class Desk(ComparedRuns):
    """The command in this process, in a folder of its own."""

    def __call__(self, *words, code=0):
        return answer(compare_command.command, (*words, "--quiet"), code)


def desk_in(folder, monkeypatch, **made) -> Desk:
    """A folder of runs and a cache that commands look in.

    Args:
        folder: Where both are made.
        monkeypatch: pytest's.
        made: As for `ComparedRuns`.
    """
    desk = Desk(folder, **made)
    monkeypatch.setenv("PKD_RUNS", str(desk.runs))
    monkeypatch.setenv("PKD_CACHE", str(desk.cache))
    return desk


def refused(desk, *words) -> PkdError:
    """The error of a command that is refused."""
    with pytest.raises(PkdError) as caught:
        desk(*words)
    return caught.value
