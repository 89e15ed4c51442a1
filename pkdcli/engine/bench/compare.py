"""Section `compare`: `pkd compare` of two runs whose detections are drawn."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml

from pkdcli.data.scoring.predictions import Detections, write
from pkdcli.engine.bench.measure import Section, elsewhere, interleaved
from pkdcli.engine.bench.sections.evaluation import CLASSES, drawn
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.schema import Data, Recipe, Split
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import write_json, write_text

RESAMPLES = 1000
KEPT = 20  # detections of an image: 100,000 in COCO's validation images
SECONDS = 30.0  # of the bound, which is for 5,000 images


def compare(recipe: Recipe, images: int, repeat: int, folder: Path) -> Section:
    """Time `pkd compare` with 1,000 resamples, from launch to its table.

    Args:
        recipe: A distilled run's.
        images: How many there are.
        repeat: Rounds.
        folder: For annotations and run directories.
    """
    section = Section("compare", f"pkd compare of two runs, {images} images, {KEPT} detections in each")
    path, rows = drawn(images, folder)
    split = Split(images=str(folder), annotations=str(path))
    classes = [str(number) for number in range(1, CLASSES + 1)]
    data = Data(name="drawn", train=split, val=split, classes=classes, masks=False, train_images=images)
    random = np.random.default_rng(0)
    runs = []
    for seed in (0, 1):
        one = recipe.model_copy(update={"data": data, "seed": seed})
        paths = RunPaths(folder / "runs" / run_id(one))
        write_text(paths.recipe, yaml.safe_dump(one.model_dump(mode="json"), sort_keys=False))
        write_json(paths.status, {"schema": 1, "run": paths.run, "state": "done"})
        write_json(paths.result, {"schema": 1, "run": paths.run, "metrics": {"mAP": 0.0}})
        write(paths.predictions, _kept(rows, images, 0.03 * seed, random))
        runs.append(paths.run)
    command = [sys.executable, "-m", "pkdcli", "compare", *runs, "--resamples", str(RESAMPLES), "--quiet"]
    env = {**os.environ, "PKD_RUNS": str(folder / "runs"), "PKD_CACHE": str(folder / "cache")}

    def compared() -> None:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, env=env)

    section.time(interleaved({"pkd compare": compared}, repeat, warmup=0, read=elsewhere()))
    seconds = section.timings[0]["median"]
    section.number("pkd compare", seconds, "s", at_most=SECONDS if images >= 5000 else None)
    section.notes.append(f"{RESAMPLES} resamples; {os.cpu_count()} cores.")
    return section


def _kept(rows: np.ndarray, images: int, noise: float, random: np.random.Generator) -> Detections:
    """The best detections of each image, their sides changed by so large a share."""
    order = np.lexsort((-rows[:, 5], rows[:, 0]))
    rows = rows[order]
    starts = np.searchsorted(rows[:, 0], np.arange(1, images + 1))
    rows = rows[np.arange(len(rows)) - starts[rows[:, 0].astype(int) - 1] < KEPT]
    boxes = rows[:, 1:5] * random.normal(1, noise, (len(rows), 4))
    boxes[:, 2:] += boxes[:, :2]
    return Detections(
        images=np.arange(1, images + 1),
        counts=np.bincount(rows[:, 0].astype(int), minlength=images + 1)[1:],
        boxes=boxes.astype(np.float32),
        scores=rows[:, 5].astype(np.float32),
        labels=rows[:, 6].astype(np.int64) - 1,
        classes=tuple(str(number) for number in range(1, CLASSES + 1)),
        data="drawn",
        split="val",
    )
