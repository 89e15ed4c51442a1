"""Evaluate a detector's exported weights on a split of a data set, as the run itself did at its end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process

import pkdcli.engine.register  # noqa: F401
from pkdcli.config import data as data_section
from pkdcli.data.images.loading_error import as_wrong_file
from pkdcli.engine import checkpoint
from pkdcli.engine.metrics import kept, labels, samples
from pkdcli.engine.setup.config import run_config
from pkdcli.engine.train.runner import PkdRunner
from pkdcli.engine.train.trainer import fit_loaders
from pkdcli.recipe.library import parse
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.collect import METRICS
from pkdcli.runs.status import now
from pkdcli.runs.store import write_json


def evaluate_request(request: dict[str, Any]) -> None:
    """Carry out a request of `pkd eval` and write what came out.

    Args:
        request: `recipe` (of a detector alone: role `baseline` or `teacher`), `weights` (file), `split`,
            `answer` (file to write), `columns` (written along), `samples` (file for a few images' detections, or None),
            `predictions` (file for all detections, or None),
            `own_pipeline` (whether images are prepared as the detector's own config says).

    Raises:
        PkdError: Weights that are damaged or of another architecture, data that is wrong.
    """
    recipe = parse(Recipe, request["recipe"], "the recipe to evaluate")
    begin = time.perf_counter()
    keep = request.get("samples")
    with as_wrong_file():
        metrics, by_class, notes = evaluate(
            recipe,
            Path(request["weights"]),
            request["split"],
            Path(request["answer"]).parent,
            Path(keep) if keep else None,
            request.get("own_pipeline", False),
            Path(request["predictions"]) if request.get("predictions") else None,
        )
    if is_main_process():
        written = {
            **request["columns"],
            "split": request["split"],
            "weights": request["weights"],
            "weights_sha256": checkpoint.sha256(request["weights"]),
            "metrics": metrics,
            "classes": by_class,
            "data_warnings": recipe.data.warnings,
            "notes": notes,
            "seconds": round(time.perf_counter() - begin, 2),
            "evaluated": now(),
        }
        write_json(Path(request["answer"]), written)


def evaluate(
    recipe: Recipe,
    weights: Path,
    split: str,
    work_dir: Path,
    keep: Path | None = None,
    own_pipeline: bool = False,
    detections: Path | None = None,
) -> tuple[dict[str, float], dict[str, float] | None, list[str]]:
    """The six metrics of a detector alone, in AP points; NaN where the data has no object of that size.

    Args:
        recipe: Names the detector as its `student`, the data and the scale.
        weights: Any checkpoint of that detector; of a distilled one the student.
        split: `train`, `val` or `test`.
        work_dir: An existing folder; nothing is written to it.
        keep: A file for the detections in a few images.
        own_pipeline: Prepare images as the detector's own config does, not as the scale says.
        detections: A file for all detections.

    Returns:
        The metrics, AP points by class (NaN for one without objects), and what is to be said of them.
    """
    orders, notes = labels.orders_of(weights, recipe.data)
    where = data_section.split_of(recipe, split)
    # What the user has set in the config speaks of its section for the val split, whatever is evaluated.
    data = recipe.data.model_copy(update={"val": where})
    config, _ = run_config(recipe.model_copy(update={"data": data}), work_dir)
    labels.as_many_classes(config, recipe.data, weights)
    own = data_section.own_test_pipeline(recipe.student, data_section.load_image(recipe)) if own_pipeline else None
    if own is not None:
        config["val_dataloader"]["dataset"]["pipeline"] = own
    for key in ("train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler", "load_from"):
        config.pop(key)
    fit_loaders(config, recipe)
    config["custom_hooks"] = []
    config["default_hooks"] = {**config["default_hooks"], "checkpoint": None}
    runner = PkdRunner.from_cfg(Config(config, format_python_code=False))
    checkpoint.load_into(runner.model, weights, strict="exact", what="the detector")
    metrics, _, more = labels.measure(runner, orders, weights)
    if keep is not None:
        samples.write(runner, keep, split=split)
    if detections is not None:
        kept.write(runner, detections, split=split)
    return {name: metrics[name] for name in METRICS}, kept.by_class(runner), [*notes, *more]
