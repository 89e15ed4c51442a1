"""Section `predict`: how much of the detector's own speed `pkd predict` leaves, with all that it reads and writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
import yaml
from mmdet.registry import MODELS
from mmengine.config import Config
from torch import nn

from pkdcli.config.build import detector
from pkdcli.engine.bench.measure import Section, settle
from pkdcli.engine.bench.sections.startup import baseline
from pkdcli.engine.checkpoint import export_student
from pkdcli.errors import ExitCode, PkdError
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import write_text

REACH = 0.9
BOXES = 10  # to be drawn in an image, about
LEAST, MOST, SECONDS = 16, 2048, 6.0  # images, and how long the detector alone is to take for them
_SCORE = {"bbox_head": "test_cfg.score_thr", "roi_head": "test_cfg.rcnn.score_thr"}


def prediction(recipe: Recipe, repeat: int, folder: Path, images: int | None = None) -> Section:
    """Time the student on batches that lie ready in memory, and `pkd predict` on the same images as files.

    The detector alone is mmdet's `test_step`: normalising, forward, decoding and suppression, and no more. Both take
    turns. Of the command the seconds are those from the loaded detector to the last picture written.

    Args:
        recipe: Of a run on drawn pictures.
        repeat: Rounds.
        folder: For a run and what it predicts.
        images: How many; by default as many as take the detector some seconds.

    Raises:
        PkdError: The command failed.
    """
    alone, model = _run(baseline(recipe), folder / "run")
    files = sorted(Path(recipe.data.train.images).glob("*.jpg"))
    ready = _ready(alone, files)
    batches = [
        {key: [ready[(n + at) % len(ready)][key] for at in range(recipe.batch)] for key in ("inputs", "data_samples")}
        for n in range(len(ready))
    ]

    @torch.inference_mode()
    def bare(count: int) -> tuple[float, float]:
        begin, processor = time.perf_counter(), time.process_time()
        for number in range(count // recipe.batch):
            model.test_step(batches[number % len(batches)])
            settle()
        return (time.perf_counter() - begin) / count, (time.process_time() - processor) / count

    with torch.inference_mode():
        scores = torch.cat([one.pred_instances.scores for one in model.test_step(batches[0])]).sort(descending=True)[0]
    score = float(scores[BOXES * recipe.batch]) if len(scores) > BOXES * recipe.batch else 0.0
    once, _ = bare(recipe.batch)
    count = images or min(MOST, max(LEAST, 2 * recipe.batch, int(SECONDS / once)))
    count -= count % recipe.batch
    looked = folder / "images"
    looked.mkdir()
    for number in range(count):
        os.link(files[number % len(files)], looked / f"{number:04}.jpg")
    samples: dict[str, list[float]] = {"the detector alone": [], "pkd predict": [], "pkd predict --no-pictures": []}
    processor: dict[str, list[float]] = {name: [] for name in samples}
    for _ in range(repeat):
        seconds, of_cores = bare(count)
        samples["the detector alone"].append(seconds)
        processor["the detector alone"].append(of_cores)
        for name, words in (("pkd predict", ()), ("pkd predict --no-pictures", ("--no-pictures",))):
            told = _predicted(folder, looked, recipe.batch, score, words)
            samples[name].append(told["seconds_an_image_in_all"])
            processor[name].append(told["processor_seconds_an_image_in_all"])
    section = Section("predict", f"Prediction of {count} images in batches of {recipe.batch}, seconds an image")
    section.time(samples)
    for name in list(samples)[1:]:
        section.ratio(f"{name}, of the detector's speed", ["the detector alone"], [name], at_least=REACH)
    section.number("boxes drawn in an image", told["detections"]["student"] / count, "")
    for name in list(samples)[1:]:
        shares = [alone / whole for alone, whole in zip(processor["the detector alone"], processor[name], strict=True)]
        section.number(f"{name}, the detector's share of its processor time", median(shares), "")
    section.notes += [
        "The smaller the detector, the more reading and drawing weigh beside it.",
        "The speed is by the wall's clock; the share of the processor time stays nearly the same on a busy machine.",
    ]
    return section


def _run(recipe: Recipe, folder: Path) -> tuple[Recipe, nn.Module]:
    """A finished run of a student without a training, as far as a prediction asks; any box may be one of an object."""
    head = "bbox_head" if recipe.student.kind == "one-stage" else "roi_head"
    student = recipe.student.model_copy(update={"set": {**recipe.student.set, _SCORE[head]: 0.0}})
    recipe = recipe.model_copy(update={"student": student})
    torch.manual_seed(0)
    model = MODELS.build(Config({"model": detector(recipe, student)}).model).eval()
    model.init_weights()
    paths = RunPaths(folder)
    write_text(paths.recipe, yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))
    export_student(model, paths.student, {"dataset_meta": {"classes": recipe.data.classes}})
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return recipe, model.to(device)


def _ready(recipe: Recipe, files: Sequence[Path]) -> list[dict[str, Any]]:
    """Images as the command's own pipeline makes them ready."""
    from mmengine.dataset import Compose

    from pkdcli.config.data import val_pipeline
    from pkdcli.data.images.pixels import read

    pipeline, found = Compose(val_pipeline(recipe)[1:]), []
    for number, file in enumerate(files):
        pixels = read(file)
        shape = pixels.shape[:2]
        found.append(pipeline({"img": pixels, "img_path": None, "img_id": number, "img_shape": shape,
                               "ori_shape": shape}))  # fmt: skip
    return found


def _predicted(folder: Path, images: Path, batch: int, score: float, words: Sequence[str]) -> dict[str, Any]:
    """What `pkd predict --json` says of these images."""
    command = [sys.executable, "-m", "pkdcli", "predict", str(folder / "run"), str(images), "--batch", str(batch),
               "--score", str(score), "-o", str(folder / "found"), "--force", "--json", *words]  # fmt: skip
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PkdError("pkd predict failed.", done.stderr[-500:], ExitCode.RUN_FAILED)
    return json.loads(done.stdout.splitlines()[-1])
