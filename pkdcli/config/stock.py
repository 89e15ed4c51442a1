"""A run's config -> a config of its detector alone, in mmdet's own types, for stock mmdet without this package."""

from __future__ import annotations

import colorsys
import pprint
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pkdcli.config.build import build_config
from pkdcli.errors import PkdError
from pkdcli.recipe.detectors.read import modules
from pkdcli.recipe.references import Import
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import write_text

# What mmdet's and mmcv's types take of what ours do.
_DATASET = ("data_root", "ann_file", "data_prefix", "metainfo", "pipeline", "test_mode", "filter_cfg", "backend_args")
LOADS = ("to_float32", "color_type", "imdecode_backend", "ignore_empty", "backend_args")

_DEFAULT_HOOKS = {
    "timer": {"type": "IterTimerHook"},
    "logger": {"type": "LoggerHook", "interval": 50},
    "param_scheduler": {"type": "ParamSchedulerHook"},
    "checkpoint": {"type": "CheckpointHook", "interval": 1},
    "sampler_seed": {"type": "DistSamplerSeedHook"},
    "visualization": {"type": "DetVisualizationHook"},
}
_VISUALIZER = {"type": "DetLocalVisualizer", "vis_backends": [{"type": "LocalVisBackend"}], "name": "visualizer"}


def write(recipe: Recipe, paths: RunPaths, classes: Sequence[str], config: dict[str, Any] | None = None) -> Path:
    """Write student.py (teacher.py) beside a run's exported weights; returns the file.

    Args:
        recipe: The run's.
        paths: Its directory.
        classes: In the order of the weights' labels.
        config: The run's own, where it is built already.

    Raises:
        PkdError: It can't be written.
    """
    path = paths.stock_config(recipe.role)
    weights = paths.weights(recipe.role)
    config = stock_config(recipe, classes, config or build_config(recipe, paths.root))
    lines = [
        f"# {paths.run}",
        f"# The detector alone, for stock mmdet: this file and {weights.name} are all that it takes, in",
        "# init_detector, in DetInferencer and in tools/test.py.",
    ]
    if "test_evaluator" not in config:
        lines += [
            "# No test_evaluator: mmdet's CocoMetric numbers labels in the order of the categories of its annotation",
            f"# file, which is not that of these in {recipe.data.val.annotations!r}. `pkd eval` goes by names.",
        ]
    if folders := sorted({one.folder for one in _imports(recipe) if one.folder}):
        places = ", ".join(map(repr, folders))
        lines += [f"# Its own modules lie in {places}, copies in `modules` beside this file: put that into PYTHONPATH."]
    # As mmengine says where a config lies, so that the folder may be moved; but it puts that in without quoting.
    movable = not set("\"'\\\n{}") & set(str(paths.root.absolute()))
    load_from = f'"{{{{ fileDirname }}}}/{weights.name}"' if movable else repr(str(weights.absolute()))
    lines += [f"load_from = {load_from}", f"work_dir = {'./work_dirs/' + paths.run!r}"]
    lines += [f"{key} = {pprint.pformat(value, width=110, sort_dicts=False)}" for key, value in config.items()]
    write_text(path, "\n".join(lines) + "\n")
    return path


def stock_config(recipe: Recipe, classes: Sequence[str], config: dict[str, Any]) -> dict[str, Any]:
    """The config itself, without places of files of the run.

    Args:
        recipe: Complete.
        classes: In the order of the weights' labels; where the annotation file has another, there is no evaluation.
        config: The run's.
    """
    found = {
        "default_scope": config["default_scope"],
        "model": _detector(recipe, config["model"]),
        "test_dataloader": _loader(config["val_dataloader"], classes),
        "test_evaluator": _evaluator(config["val_evaluator"], recipe),
        "test_cfg": {"type": "TestLoop", **{k: v for k, v in config["val_cfg"].items() if k != "type"}},
        "default_hooks": _DEFAULT_HOOKS,
        "visualizer": _VISUALIZER,
        "log_processor": {"type": "LogProcessor", "window_size": 50, "by_epoch": True},
        "env_cfg": config["env_cfg"],
        "log_level": "INFO",
        "resume": False,
    }
    if imports := _imports(recipe):
        # A module may be one of the training alone, which stock mmdet needs nothing of.
        found["custom_imports"] = {"imports": [one.module for one in imports], "allow_failed_imports": True}
    if not _file_has_order(recipe, classes):
        del found["test_evaluator"], found["test_cfg"]
    return found


def _imports(recipe: Recipe) -> list[Import]:
    """The user's own modules that the detector may need; a loss is the training's."""
    return [one for one in (*recipe.imports, *recipe.student.imports) if one.module.partition(".")[0] != "pkdcli"]


def _detector(recipe: Recipe, model: dict[str, Any]) -> dict[str, Any]:
    if recipe.role == "distill":
        model = {**model["architecture"], "data_preprocessor": model["data_preprocessor"]["student"]}
    for module in modules(model):
        init = module.get("init_cfg")
        if isinstance(init, dict) and init.get("type") == "Pretrained":
            module["init_cfg"] = None  # the run's own weights stand beside the config
        elif isinstance(init, list):
            module["init_cfg"] = [one for one in init if not one["type"].startswith("Pkd")]  # stock mmdet has no such
    return model


def _loader(loader: dict[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    dataset = dict(loader["dataset"])
    if dataset["type"] == "PkdCocoDataset":
        dataset = {"type": "CocoDataset", **{key: dataset[key] for key in _DATASET if key in dataset}}
        dataset["metainfo"] = {"classes": tuple(classes), "palette": palette(classes)}
    dataset["pipeline"] = [
        {"type": "LoadImageFromFile", **{key: step[key] for key in LOADS if key in step}}
        if step["type"] == "PkdLoadImage"
        else step
        for step in dataset["pipeline"]
    ]
    return {**loader, "dataset": dataset}


def _evaluator(evaluator: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    if evaluator["type"] != "PkdCocoMetric":
        return evaluator
    ann_file = evaluator.get("ann_file", recipe.data.val.annotations)
    return {"type": "CocoMetric", "ann_file": ann_file, "metric": "bbox", "format_only": False, "backend_args": None}


def _file_has_order(recipe: Recipe, classes: Sequence[str]) -> bool:
    from pkdcli.data.checks.coco import read_classes

    try:
        names = read_classes(Path(recipe.data.val.annotations))
    except PkdError:  # gone since it was last read, which shall cost no finished run
        return False
    return [name for name in names if name in classes] == list(classes)


def palette(classes: Sequence[str]) -> list[tuple[int, int, int]]:
    """A colour (red, green, blue; 0 to 255) for each class: hues a golden section apart, always the same."""
    hues = ((0.95 + place * 0.618034) % 1.0 for place in range(len(classes)))
    colours = (colorsys.hsv_to_rgb(hue, 0.85, 0.65 if place % 2 else 0.95) for place, hue in enumerate(hues))
    return [tuple(round(255 * part) for part in colour) for colour in colours]
