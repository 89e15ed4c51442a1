"""Section `compare`: `pkd compare` of two runs whose detections are drawn."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

from pkdcli.data.scoring.predictions import write
from pkdcli.engine.bench.inputs.coco_val import NAMES, Drawn
from pkdcli.engine.bench.measure import Section, elsewhere, interleaved
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.schema import Data, Recipe, Split
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import write_json, write_text

RESAMPLES = 1000
SECONDS = 30.0  # of the bound, which is for 5,000 images


def compare(recipe: Recipe, images: int, repeat: int, folder: Path) -> Section:
    """Time `pkd compare` with 1,000 resamples, from launch to its table.

    Args:
        recipe: A distilled run's.
        images: How many there are.
        repeat: Rounds.
        folder: For annotations and run directories.
    """
    drawn, path = Drawn(images), folder / "annotations.json"
    drawn.write(path)
    split = Split(images=str(folder), annotations=str(path))
    data = Data(name="drawn", train=split, val=split, classes=list(NAMES), masks=False, train_images=images)
    runs, kept = [], 0
    for seed in (0, 1):
        one = recipe.model_copy(update={"data": data, "seed": seed})
        paths = RunPaths(folder / "runs" / run_id(one))
        write_text(paths.recipe, yaml.safe_dump(one.model_dump(mode="json"), sort_keys=False))
        write_json(paths.status, {"schema": 1, "run": paths.run, "state": "done"})
        write_json(paths.result, {"schema": 1, "run": paths.run, "metrics": {"mAP": 0.0}})
        found = drawn.found(seed, better=0.02 * seed)
        write(paths.predictions, found)
        kept += len(found.scores)
        runs.append(paths.run)
    title = f"pkd compare of two runs, {images} images, {kept / images / len(runs):.0f} detections in each"
    section = Section("compare", title)
    command = [sys.executable, "-m", "pkdcli", "compare", *runs, "--resamples", str(RESAMPLES), "--quiet"]
    env = {**os.environ, "PKD_RUNS": str(folder / "runs"), "PKD_CACHE": str(folder / "cache")}

    def compared() -> None:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, env=env)

    section.time(interleaved({"pkd compare": compared}, repeat, warmup=0, read=elsewhere()))
    seconds = section.timings[0]["median"]
    section.number("pkd compare", seconds, "s", at_most=SECONDS if images >= 5000 else None)
    section.notes.append(f"{RESAMPLES} resamples; {os.cpu_count()} cores.")
    return section
