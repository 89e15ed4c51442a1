"""Section `experiment`: a whole training at scale tiny, validated every epoch, against mmrazor's own flow.

Started as `python -m pkdcli.engine.bench.sections.experiment CONFIG.json` this process is that flow: mmengine's
Runner with the hooks and loops of mmrazor's configs, mmdet's own data set, samplers and CocoMetric, and both
detectors validated.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from pkdcli.engine.bench.measure import Section, elsewhere, interleaved
from pkdcli.errors import ExitCode, PkdError
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_json, write_json, write_text

REACH = 0.8
EPOCHS = 12


def experiment(recipe: Recipe, teacher: Path | None, repeat: int, folder: Path, epochs: int = EPOCHS) -> Section:
    """Time both flows from launch to the end, in processes of their own.

    Args:
        recipe: A distilled run's, its data on disk.
        teacher: The teacher's run directory, finished; None to let both go on with random weights.
        repeat: Runs of each, by turns.
        folder: For run directories.
        epochs: Length of each.
    """
    recipe = of_epochs(recipe, epochs).model_copy(update={"val_interval": 1})
    title = f"{epochs} epochs of {recipe.pair}, data {recipe.data.name}, scale {recipe.scale.name}, launch to result"
    section = Section("experiment", title)
    weights = str(RunPaths(teacher).teacher) if teacher else None
    count = {"pkd": 0, "mmrazor": 0}

    def ours() -> None:
        count["pkd"] += 1
        train(recipe, teacher, RunPaths(folder / f"pkd{count['pkd']}"), folder)

    def theirs() -> None:
        count["mmrazor"] += 1
        root = folder / f"mmrazor{count['mmrazor']}"
        write_json(root / "request.json", {"recipe": recipe.model_dump(mode="json"), "teacher": weights,
                                           "work_dir": str(root)})  # fmt: skip
        _run([sys.executable, "-m", "pkdcli.engine.bench.sections.experiment", str(root / "request.json")], root)

    pieces: dict[str, Callable[[], None]] = {"pkd": ours, "mmrazor": theirs}
    section.time(interleaved(pieces, repeat, warmup=0, read=elsewhere()))
    section.ratio("against mmrazor's flow", ["pkd"], ["mmrazor"], at_most=REACH)
    metrics = (read_json(folder / "pkd1" / "result.json") or {}).get("metrics", {})
    section.number("mAP, pkd", metrics.get("mAP") or 0.0, "points")
    section.notes.append("The teacher is trained." if teacher else "The teacher has random weights.")
    return section


def of_epochs(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe with a schedule of another length and the same shape.

    Args:
        recipe: Of a run.
        epochs: How many.
    """
    schedule = recipe.schedule
    factor = epochs / schedule.epochs
    milestones = [round(one * factor, 4) for one in schedule.milestones]
    return recipe.model_copy(
        update={"schedule": schedule.model_copy(update={"epochs": epochs, "milestones": milestones})}
    )


def train(recipe: Recipe, teacher: Path | None, paths: RunPaths, folder: Path) -> None:
    """A whole run in a process of its own.

    Args:
        recipe: Of the run, its data on disk.
        teacher: The teacher's run directory; None for random weights.
        paths: The run's directory.
        folder: For the cache, where the environment names none.
    """
    write_text(paths.recipe, yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))
    job = {"cache": os.environ.get("PKD_CACHE") or str(folder / "cache"), "teacher": str(teacher or "") or None}
    write_json(paths.job, job)
    _run([sys.executable, "-m", "pkdcli.engine.worker", str(paths.root)], paths.root)


def _run(command: list[str], folder: Path) -> None:
    with open(folder / "log.txt", "wb") as log:
        code = subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=False).returncode
    if code:
        last = (folder / "log.txt").read_text(errors="replace").splitlines()[-5:]
        raise PkdError(f"{command[2]} ended with exit code {code}.", "\n".join(last), ExitCode.RUN_FAILED)


def razor_config(recipe: Recipe, teacher: str | None, work_dir: str) -> dict[str, Any]:
    """mmrazor's flow as its configs have it (configs/distill/mmdet/pkd), on this recipe's pair, data and schedule.

    Args:
        recipe: Of the distilled run.
        teacher: The teacher's file of weights; None for random ones.
        work_dir: Where mmengine writes.
    """
    import copy

    from pkdcli.config.build import build_config
    from pkdcli.engine.bench.inputs.models import razor_section

    config = build_config(recipe, work_dir)
    for name in ("train", "val"):
        for step in config[f"{name}_dataloader"]["dataset"]["pipeline"]:
            if step["type"] == "PkdLoadImage":
                step.clear()
                step |= {"type": "LoadImageFromFile", "backend_args": None}
        config[f"{name}_dataloader"]["dataset"].pop("seed")
        config[f"{name}_dataloader"]["dataset"]["type"] = "CocoDataset"
    config["train_dataloader"]["sampler"] = {"type": "DefaultSampler", "shuffle": True}
    config["train_dataloader"]["batch_sampler"] = {"type": "AspectRatioBatchSampler"}
    ann_file = recipe.data.val.annotations
    evaluator = {"type": "CocoMetric", "ann_file": ann_file, "metric": "bbox", "format_only": False}
    section = razor_section(recipe)
    section["teacher_ckpt"] = teacher
    for key in ("test_dataloader", "test_evaluator", "test_cfg", "channels_last", "load_from", "resume"):
        config.pop(key)
    config |= {
        "model": section,
        "val_evaluator": evaluator,
        "val_cfg": {"type": "mmrazor.SingleTeacherDistillValLoop"},
        "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": recipe.schedule.epochs, "val_interval": 1},
        "optim_wrapper": {**copy.deepcopy(config["optim_wrapper"]), "type": "OptimWrapper"},
        "default_hooks": {
            "timer": {"type": "IterTimerHook"},
            "logger": {"type": "LoggerHook", "interval": 50},
            "param_scheduler": {"type": "ParamSchedulerHook"},
            "checkpoint": {"type": "CheckpointHook", "interval": 1},
            "sampler_seed": {"type": "DistSamplerSeedHook"},
        },
        "custom_hooks": [],
        "find_unused_parameters": True,
    }
    return config


def main(argv: list[str]) -> int:
    """Run mmrazor's flow on the request in a JSON file."""
    import pkdcli.engine.register  # noqa: F401

    # isort: split
    from mmengine.config import Config
    from mmengine.runner import Runner

    from pkdcli.recipe.library import parse

    request = read_json(Path(argv[0]))
    recipe = parse(Recipe, request["recipe"], "the recipe of the experiment")
    Runner.from_cfg(Config(razor_config(recipe, request["teacher"], request["work_dir"]))).train()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
