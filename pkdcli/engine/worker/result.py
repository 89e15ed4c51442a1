"""result.json: the contract between a run and every table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process

from pkdcli.engine.train.trainer import Outcome
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.record import SIZES
from pkdcli.runs.status import columns
from pkdcli.runs.store import read_json, write_json


def write(recipe: Recipe, paths: RunPaths, outcome: Outcome, job: dict[str, Any], seconds: float) -> None:
    """Write the result of a run; NaN metrics (no object of that size) become null.

    Args:
        recipe: What was run.
        paths: The run directory.
        outcome: What the training left behind.
        job: Names the teacher's run, whose own metrics go into the result.
        seconds: Wall time of this process from its start.
    """
    if not is_main_process():
        return
    teacher = read_json(RunPaths(Path(job["teacher"])).result) if job.get("teacher") else None
    write_json(
        paths.result,
        {
            **columns(recipe, paths.run),
            "split": "val",
            "epoch": outcome.epoch,
            "metrics": outcome.metrics,
            "classes": outcome.by_class,
            "teacher_metrics": teacher["metrics"] if teacher else None,
            "teacher_run": teacher["run"] if teacher else None,
            "seconds": round(seconds, 2),
            "train_seconds": round(outcome.train_seconds, 2),
            "images_per_second": round(outcome.images_seen / outcome.train_seconds, 3)
            if outcome.train_seconds
            else None,
            "peak_memory_mb": round(outcome.peak_memory_mb, 1),
            **(outcome.size.columns() if outcome.size else {}),
            **({f"teacher_{name}": teacher.get(name) for name in SIZES} if teacher else {}),
            "val_images": recipe.val_images,
            "max_iters": recipe.max_iters,
            **outcome.facts,
            "data_warnings": recipe.data.warnings,
            "warnings": (read_json(paths.status) or {}).get("warnings", []),
        },
    )
