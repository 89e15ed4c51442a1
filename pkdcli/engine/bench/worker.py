"""The process behind `pkd bench`: `python -m pkdcli.engine.bench.worker REQUEST.json`.

Prints JSON lines: `{"doing": NAME}` when a section begins, `{"section": {...}}` when it has ended, `{"machine": {...}}`
first, and `{"error": {...}}` where something went wrong.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

import pkdcli.engine.register  # noqa: F401

# isort: split
from pkdcli.engine.bench import measure
from pkdcli.engine.bench.compare import compare
from pkdcli.engine.bench.inputs.coco_file import TRAIN as COCO
from pkdcli.engine.bench.inputs.pictures import with_pictures
from pkdcli.engine.bench.keeping import keeping
from pkdcli.engine.bench.machine import machine
from pkdcli.engine.bench.measure import Section
from pkdcli.engine.bench.sections.coco_size import coco_size
from pkdcli.engine.bench.sections.evaluation import evaluation
from pkdcli.engine.bench.sections.experiment import experiment
from pkdcli.engine.bench.sections.imports import FILES, imports
from pkdcli.engine.bench.sections.launches import launches
from pkdcli.engine.bench.sections.loading import loading
from pkdcli.engine.bench.sections.losses import SHAPES, losses
from pkdcli.engine.bench.sections.operators import PYRAMID, operators
from pkdcli.engine.bench.sections.prediction import prediction
from pkdcli.engine.bench.sections.reports import reports
from pkdcli.engine.bench.sections.startup import startup
from pkdcli.engine.bench.sections.step import group, step
from pkdcli.engine.bench.sections.suggest import suggest
from pkdcli.engine.setup.imports import import_for
from pkdcli.errors import PkdError
from pkdcli.recipe.library import parse
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.store import read_json

ON_CPU = (256, 320)  # (height, width) of images at full size where no GPU is, so that a step takes seconds
FULL = (800, 1333)


def sections(request: Mapping[str, Any], folder: Path) -> dict[str, Callable[[], Section]]:
    """What can be measured, by name, each as a function that measures it.

    Args:
        request: `recipe`, `image` ([height, width] or None), `repeat`, `students`, `eval_images`, `coco_images`,
            `runs`, `teacher` (a run directory or None), `epochs`, `shapes` (of the losses' levels, or None).
        folder: For whatever has to lie on disk.
    """
    init_default_scope("mmdet")
    recipe = parse(Recipe, request["recipe"], "the recipe to measure")
    import_for(recipe)
    repeat = request["repeat"]
    drawn: list[Recipe] = []

    def on_pictures() -> Recipe:
        if not drawn:
            height, width = request["image"] or usual_size(recipe)
            count = max(2 * recipe.batch, 8)
            drawn.append(with_pictures(recipe, folder / "pictures", height, width, count))
        return drawn[0]

    shapes = [tuple(shape) for shape in request.get("shapes") or SHAPES]
    teacher = Path(request["teacher"]) if request.get("teacher") else None

    def voc_files() -> int:
        return max(40, round(request["coco_images"] * FILES / COCO))

    return {
        "losses": lambda: losses(repeat, shapes),
        "launches": lambda: launches(on_pictures()),
        "step": lambda: step(on_pictures(), repeat),
        "group": lambda: group(on_pictures(), repeat, request["students"]),
        "eval": lambda: evaluation(request["eval_images"], min(repeat, 3), folder / "eval"),
        "data": lambda: loading(on_pictures(), repeat),
        "startup": lambda: startup(on_pictures(), min(repeat, 3), request["runs"], folder / "startup"),
        "suggest": lambda: suggest(on_pictures(), repeat, teacher),
        "coco": lambda: coco_size(request["coco_images"], min(repeat, 3), folder / "coco"),
        "import": lambda: imports(voc_files(), min(repeat, 3), folder / "import"),
        "report": lambda: reports(on_pictures(), min(repeat, 3), request["runs"], folder / "report"),
        "experiment": lambda: experiment(recipe, teacher, 1, folder / "experiment", request["epochs"]),
        "compare": lambda: compare(recipe, request["eval_images"], min(repeat, 3), folder / "compare"),
        "predictions": lambda: keeping(recipe, teacher, repeat, folder / "predictions", request["epochs"]),
        "predict": lambda: prediction(on_pictures(), min(repeat, 5), folder / "predict", request.get("predicted")),
        "operators": lambda: operators(repeat, request.get("operators") or PYRAMID),
    }


def usual_size(recipe: Recipe) -> tuple[int, int]:
    """(height, width) of the pictures where none is asked for."""
    if recipe.data.image and not recipe.scale.upscale:
        return recipe.data.image, recipe.data.image
    if recipe.scale.rules:
        return recipe.scale.image[1], recipe.scale.image[0]
    return FULL if torch.cuda.is_available() else ON_CPU


def say(answers: TextIO, **what: Any) -> None:
    """Print one line for who has started this process.

    Args:
        answers: Where the lines go.
        what: The keys and values of one JSON object.
    """
    print(json.dumps(what), file=answers, flush=True)


def main(argv: Sequence[str]) -> int:
    """Measure what a JSON file asks for."""
    from pkdcli.engine.worker.lifecycle import as_user_error

    request = read_json(Path(argv[0]))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    MMLogger.get_instance("bench", log_level="ERROR")
    try:
        measure.clock = request["clock"]
        if request["threads"]:
            torch.set_num_threads(request["threads"])
        say(answers, machine=machine())
        with tempfile.TemporaryDirectory(prefix="pkd-bench-") as folder:
            found = sections(request, Path(folder))
            for name in request["only"]:
                say(answers, doing=name)
                say(answers, section=found[name]().as_dict())
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if not isinstance(error, PkdError):
            traceback.print_exc()
            error = as_user_error(error)
            error.hint = None
        say(answers, error={"message": error.message, "hint": error.hint, "code": int(error.code)})
        return int(error.code)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
