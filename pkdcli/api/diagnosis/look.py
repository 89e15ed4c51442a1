"""Both nets of a run on a few images, run in a process of the engine: `pkd diagnose --look`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pkdcli.config.teacher import teacher_recipe
from pkdcli.data.images.file_names import path_of
from pkdcli.data.prepare import facts
from pkdcli.errors import ExitCode, PkdError
from pkdcli.launch.request import ask
from pkdcli.recipe.alone import alone
from pkdcli.recipe.schema import Recipe, Split
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_object, read_path

_TEACHERS_INPUT = "model.data_preprocessor.teacher."


def look(paths: RunPaths, recipe: Recipe, cache: Path, images: int) -> dict[str, Any]:
    """What both nets of a finished run detect in a few images, and how alike their features are.

    Args:
        paths: The run.
        recipe: Its recipe.
        cache: The cache folder.
        images: Of each split so many, spread over it.

    Returns:
        As `pkdcli.engine.predict.look.look`.

    Raises:
        PkdError: The run is not finished, or its data or its teacher's weights are gone.
    """
    weights = paths.weights(recipe.role)
    if not weights.is_file():
        raise PkdError(
            f"--look: {paths.run} is not finished: there is no {weights}.",
            "Without --look it is diagnosed from what it has recorded so far.",
            ExitCode.MISSING,
        )
    data = facts(recipe.data, cache, lambda warning: None)
    request: dict[str, Any] = {
        "models": {"student": _model(alone(recipe), weights, recipe.student.tap)},
        "pairs": read_object(paths.result).get("levels_paired") or [],
        "splits": {name: _some(data.splits[name], images) for name in ("train", "val")},
        "cache": str(cache),
    }
    if recipe.teacher is not None:
        teacher = alone(teacher_recipe(recipe))
        # It is shown what it was shown in the training.
        shown = {path.replace(_TEACHERS_INPUT, "model.data_preprocessor."): value
                 for path, value in recipe.config.items() if path.startswith(_TEACHERS_INPUT)}  # fmt: skip
        teacher = teacher.model_copy(update={"config": shown})
        request["models"]["teacher"] = _model(teacher, _teachers_weights(paths, recipe), recipe.teacher.tap)
    return ask("pkdcli.engine.predict.look", request, "the look at both nets")


def _model(recipe: Recipe, weights: str | Path, tap: str | None) -> dict[str, Any]:
    return {"recipe": recipe.model_dump(mode="json"), "weights": str(weights), "tap": tap}


def _teachers_weights(paths: RunPaths, recipe: Recipe) -> str | Path:
    home = read_path(paths.job, "teacher")
    places = [RunPaths(home).teacher] if home else []
    places += [Path(recipe.teacher_checkpoint)] if recipe.teacher_checkpoint else []
    found = next((place for place in places if place.is_file()), None) or teacher_recipe(recipe).weights
    if found is None:
        raise PkdError(
            f"--look: the teacher of {paths.run} is not there any more: {places[0] if places else 'no file is known'}.",
            "Without --look it is diagnosed from what it has recorded.",
            ExitCode.MISSING,
        )
    return found


def _some(split: Split, count: int) -> dict[str, Any]:
    """So many images of a split, evenly spread, as the engine is asked for them."""
    try:
        listed = json.loads(Path(split.annotations).read_text(encoding="utf-8"))["images"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = (isinstance(error, OSError) and error.strerror) or error
        message = f"--look: {split.annotations} can't be read: {why}."
        raise PkdError(message, "Put the data back.", ExitCode.MISSING) from error
    step = max(1, len(listed) // count)
    chosen = listed[::step][:count]
    images = [{"path": str(path_of(split.images, one["file_name"])), "id": one["id"]} for one in chosen]
    return {"annotations": split.annotations, "images": images}
