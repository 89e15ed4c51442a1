"""What `pkd verify` does: find weights and images, have a process measure, show and keep what it found."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pkdcli.config.teacher import teacher_recipe
from pkdcli.data.images.file_names import path_of
from pkdcli.errors import ExitCode, PkdError
from pkdcli.experiment.plan import with_weights_hash
from pkdcli.folders import cache_root, runs_root
from pkdcli.launch.request import ask
from pkdcli.recipe import library
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Data, Recipe
from pkdcli.recipe.sweep import baseline_of
from pkdcli.reporting import formats
from pkdcli.reporting.plots.verify import plot
from pkdcli.reporting.tables.verified import LIMIT_COLUMNS, rows_of, verified_tables
from pkdcli.reporting.write import emit
from pkdcli.runs.liveness import finished
from pkdcli.runs.paths import RunPaths, teachers_root
from pkdcli.runs.store import write_json, write_text

IMAGES = 2  # the paper's statistics were over the 2 images of one device


def verify(
    pair: str,
    scale: str,
    data: str | None,
    images: Sequence[Path],
    runs: Path | None,
    format: str,
    output: Path | None,
    quiet: bool,
) -> ExitCode:
    """Check the mathematics on a pair's features, print what was found, and write plot, CSV and JSON.

    Returns:
        OK, or RUN_FAILED where a claim does not hold.

    Raises:
        PkdError: A wrong word, data or images that are not there, weights that don't fit.
    """
    from pkdcli.data.prepare import facts, prepare

    root, cache = runs_root(runs), cache_root()
    request = Request(pair=pair, scale=scale, data=data, loss="pkd", init="scratch")
    recipe = with_weights_hash(resolve(request))
    known = facts(recipe.data, cache) if images else prepare(recipe.data, cache)
    recipe = recipe.model_copy(update={"data": known})
    files = _given(images) if images else _first_images(known)
    teacher, student, notes = _weights(request, recipe, root, cache)
    # Whatever weights there are come from the runs: nothing is downloaded for this.
    alone = recipe.model_copy(update={"pretrained": False})
    found = _measure(alone, teacher, student, files, quiet)
    found = {
        **{"schema": 1, "pair": recipe.pair, "data": recipe.data.name, "scale": recipe.scale.name},
        **{"teacher_weights": str(teacher) if teacher else None, "student_weights": str(student) if student else None},
        **{"images": [str(file) for file in files], "notes": notes, **found},
    }
    folder = (output or root / "verify").expanduser().absolute()
    stem = folder / f"{recipe.pair}__{recipe.data.name}-{recipe.scale.name}"
    kept = [stem.with_name(f"{stem.name}.{end}") for end in ("png", "csv", "json")]
    plot(found, kept[0])
    write_text(kept[1], formats.to_csv(rows_of(found), LIMIT_COLUMNS))
    write_json(kept[2], found)
    if format == "json":
        print(json.dumps(found, indent=1))
    else:
        emit(format, None, verified_tables(found), [], [], ())
    if not quiet:
        print(f"Wrote {kept[0]}, .csv and .json", file=sys.stderr)
    return ExitCode.OK if all(check["ok"] for check in found["checks"]) else ExitCode.RUN_FAILED


def _given(images: Sequence[Path]) -> list[Path]:
    for path in images:
        if not path.expanduser().is_file():
            raise PkdError(f"--image: there is no file {path}.", "Give JPEG or PNG files.")
    return [path.expanduser().absolute() for path in images]


def _first_images(data: Data) -> list[Path]:
    """The first images of the data set's val split, in the order of its annotation file."""
    content = json.loads(Path(data.val.annotations).read_text(encoding="utf-8"))
    return [path_of(data.val.images, image["file_name"]) for image in content["images"][:IMAGES]]


def _weights(request: Request, recipe: Recipe, root: Path, cache: Path) -> tuple[Path | None, Path | None, list[str]]:
    """The checkpoints of teacher and baseline, where those have been trained, and notes on where they come from."""
    teacher = RunPaths(teachers_root(cache) / run_id(teacher_recipe(recipe)))
    schedules = [None, *(name for name in library.names("schedules") if name != recipe.schedule.name)]
    alone = [baseline_of(replace(request, schedule=name)) for name in schedules]
    names = [run_id(one.model_copy(update={"data": recipe.data})) for one in alone]
    baseline = next((paths for paths in map(RunPaths, (root / name for name in names)) if finished(paths)), None)
    notes = []
    if finished(teacher):
        notes.append(f"teacher: {teacher.run}.")
    elif recipe.teacher_checkpoint is not None:
        notes.append(f"teacher: {recipe.teacher_checkpoint}.")
    else:
        notes.append(
            f"teacher: random weights, since {recipe.teacher.title} is not trained at this scale and data."
        )
    if baseline:
        notes.append(f"student: {baseline.run}.")
    else:
        notes.append(f"student: random weights, since there is no finished baseline of {recipe.student.title} here.")
    weights = teacher.teacher if finished(teacher) else None
    if weights is None and recipe.teacher_checkpoint is not None:
        weights = Path(recipe.teacher_checkpoint)
    return weights, baseline.student if baseline else None, notes


def _measure(
    recipe: Recipe, teacher: Path | None, student: Path | None, images: Sequence[Path], quiet: bool
) -> dict[str, Any]:
    """Have a process measure, so that torch stays behind a process boundary; returns what it wrote.

    Raises:
        PkdError: What the process says went wrong.
    """
    request = {
        "recipe": recipe.model_dump(mode="json"),
        "teacher": str(teacher) if teacher else None,
        "student": str(student) if student else None,
        "images": [str(image) for image in images],
    }
    return ask("pkdcli.engine.analysis.verify", request, "the measurement")
