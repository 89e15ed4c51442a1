"""A runs folder as a sweep leaves it: finished runs with curves, levels, detections, recipes and environments."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pkdcli.engine.bench.inputs.pictures import draw
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.schema import Data, Recipe
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import columns
from pkdcli.runs.store import write_json, write_text

# As many as the hooks of a training write, whatever its length.
TRAIN_RECORDS, LEVEL_RECORDS, EVALUATIONS = 200, 50, 12
IMAGES, DETECTIONS, OBJECTS = 8, 30, 7
ITERS = 20_000
LEVELS = 5
WEIGHTS = (1.0, 3.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0)
LOSSES = ("pkd", "mse", "norm-mse", "norm-kl")
_PARTS = ("loss_cls", "loss_bbox", "loss_centerness")


def write_runs(recipe: Recipe, root: Path, count: int, pictures: Path) -> None:
    """Write so many runs: baselines of 50 seeds, then 4 losses of 10 weights over the same seeds, and so on.

    Every run has numbers of its own, so nothing in them is shared that real runs would not share.

    Args:
        recipe: A distilled run's.
        root: The runs folder.
        count: Runs in all.
        pictures: Where the images of the samples are drawn.
    """
    data = draw(pictures, 480, 640, IMAGES, list(recipe.data.classes or ["a", "b", "c"]))
    env = {"command": "pkd sweep --loss pkd,mse,norm-mse,norm-kl --weights 1,10,50", "python": "3.11.7",
           "versions": {name: "1.2.3" for name in ("pkdcli", "torch", "torchvision", "mmdet", "mmengine", "numpy")},
           "git": {"pkdcli": "f" * 40, "here": None}, "platform": "Linux", "processor": "a processor", "cpus": 8,
           "threads": 8, "gpus": ["a GPU"], "cuda": "12.4"}  # fmt: skip
    for number, one in zip(range(count), variants(recipe), strict=False):
        paths = RunPaths(root / run_id(one))
        random = np.random.default_rng(number)
        known = columns(one, paths.run)
        metrics = _metrics(random)
        teacher = _metrics(np.random.default_rng(0)) if one.role == "distill" else None
        write_text(paths.recipe, yaml.safe_dump(one.model_dump(mode="json"), sort_keys=False))
        write_json(paths.status, {**known, "state": "done", "phase": None, "epoch": EVALUATIONS,
                                  "epochs": EVALUATIONS, "iter": ITERS, "iters": ITERS, "warnings": []})  # fmt: skip
        write_json(paths.env, env)
        write_json(paths.job, {"cache": None, "teacher": None})
        write_text(paths.metrics, "".join(json.dumps(line) + "\n" for line in _records(random, one, metrics)))
        write_json(paths.samples, _samples(random, data))
        write_json(paths.result, {**known, "split": "val", "epoch": EVALUATIONS, "metrics": metrics,
                                  "teacher_metrics": teacher, "seconds": 3600.5, "images_per_second": 43.2,
                                  "peak_memory_mb": 4321.0, "warnings": []})  # fmt: skip
        paths.weights(one.role).touch()


def variants(recipe: Recipe) -> Iterator[Recipe]:
    """Recipes of runs that differ as those of a sweep: by 50 seeds a baseline, and each loss with each weight."""
    for block in range(1000):
        for seed in range(50 * block, 50 * (block + 1)):
            alone = {"role": "baseline", "teacher": None, "adapters": {}, "seed": seed,
                     "loss": recipe.loss.model_copy(update={"name": "none", "weight": None})}  # fmt: skip
            yield recipe.model_copy(update=alone)
            for name in LOSSES:
                for weight in WEIGHTS:
                    loss = recipe.loss.model_copy(update={"name": name, "weight": weight})
                    yield recipe.model_copy(update={"seed": seed, "loss": loss})


def _metrics(random: np.random.Generator) -> dict[str, float]:
    names = ("mAP", "AP50", "AP75", "AP_S", "AP_M", "AP_L")
    return dict(zip(names, (np.array([38, 57, 41, 21, 42, 49]) + random.normal(0, 1, 6)).tolist(), strict=True))


def _records(random: np.random.Generator, recipe: Recipe, metrics: dict[str, float]) -> Iterator[dict[str, Any]]:
    """metrics.jsonl: losses that fall with noise, levels, evaluations."""
    distilled = recipe.role == "distill"
    names = [*_PARTS, *(f"distill.loss_{recipe.loss.name}_fpn{n}" for n in range(LEVELS))] if distilled else [*_PARTS]
    yield {"kind": "start", "iter": 0, "epoch": 0}
    steps = np.linspace(ITERS / TRAIN_RECORDS, ITERS, TRAIN_RECORDS).astype(int).tolist()
    fall = 1 + 3 * np.exp(-np.linspace(0, 5, TRAIN_RECORDS))[:, None]
    losses = (fall * random.uniform(0.1, 1, len(names)) * random.normal(1, 0.05, (TRAIN_RECORDS, len(names)))).tolist()
    kinds = ("loss", "r", "grad_norm", "grad_share", "top10_share")
    measured = random.uniform(0.01, 1, (TRAIN_RECORDS, LEVELS, len(kinds))).tolist()
    for n, (step, values) in enumerate(zip(steps, losses, strict=True)):
        head = {"epoch": n * EVALUATIONS // TRAIN_RECORDS + 1, "iter": step}
        rate = 0.02 if n < 0.7 * TRAIN_RECORDS else 0.002
        yield {"kind": "train", **head, "lr": rate, "seconds": step / 10, "data_seconds": 0.00123, "loss": sum(values),
               **dict(zip(names, values, strict=True))}  # fmt: skip
        if distilled and n % (TRAIN_RECORDS // LEVEL_RECORDS) == 0:
            rows = {f"level{k}.{kind}": measured[n][k][m] for k in range(LEVELS) for m, kind in enumerate(kinds)}
            yield {"kind": "levels", **head, **rows}
        if (n + 1) * EVALUATIONS // TRAIN_RECORDS > n * EVALUATIONS // TRAIN_RECORDS:
            share = (n + 1) / TRAIN_RECORDS
            now = {key: share * value for key, value in metrics.items()}
            yield {"kind": "val", **head, "val_seconds": 12.345, **now}


def _samples(random: np.random.Generator, data: Data) -> dict[str, Any]:
    """samples.json: the same objects in the same images, detections of this run's own."""
    truth = np.random.default_rng(0)
    images = []
    for number in range(1, IMAGES + 1):
        boxes, objects = _boxes(random, DETECTIONS), _boxes(truth, OBJECTS)
        scores = np.sort(random.beta(1, 2.5, DETECTIONS))[::-1]
        images.append({
            "id": number, "file": f"{number:06d}.jpg", "path": f"{data.val.images}/{number:06d}.jpg", "width": 640,
            "height": 480, "truth": [{"box": box, "label": n % len(data.classes)} for n, box in enumerate(objects)],
            "detections": [{"box": box, "label": n % len(data.classes), "score": round(float(score), 3)}
                           for n, (box, score) in enumerate(zip(boxes, scores, strict=True)) if score >= 0.05],
        })  # fmt: skip
    return {"schema": 1, "epoch": EVALUATIONS, "iter": ITERS, "classes": data.classes, "images": images}


def _boxes(random: np.random.Generator, count: int) -> list[list[float]]:
    corner, size = random.uniform(0, 400, (count, 2)), random.uniform(10, 200, (count, 2))
    return np.concatenate([corner, corner + size], axis=1).round(1).tolist()
