"""Recipes of a detector alone, to load weights into: of a run, of its teacher, of a file of weights."""

from __future__ import annotations

import shlex
from pathlib import Path

from pkdcli.errors import PkdError
from pkdcli.recipe.alone import alone
from pkdcli.recipe.detectors.read import config_of
from pkdcli.recipe.detectors.training import own_by_default
from pkdcli.recipe.library import load
from pkdcli.recipe.modules.copies import read_recipe
from pkdcli.recipe.own import with_content
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.find import teacher_of
from pkdcli.runs.paths import RunPaths


def recipe_of(paths: RunPaths) -> Recipe:
    """The recipe of a run, as it lies in its folder.

    Raises:
        PkdError: It can't be read.
    """
    return read_recipe(paths.recipe)


def of_run(paths: RunPaths, model: str) -> tuple[Recipe, Path]:
    """The recipe of a run's student or teacher alone, and the file of its weights.

    Args:
        paths: Of the run.
        model: `student`, which is what the run has trained, or `teacher`, which taught it.

    Raises:
        PkdError: The run is not finished, or has no teacher.
    """
    from pkdcli.config.teacher import teacher_recipe

    recipe = recipe_of(paths)
    if model == "teacher":
        if recipe.teacher is None:
            raise PkdError(f"{paths.run} has no teacher.", "It is a baseline or a teacher itself: --model student.")
        teacher = teacher_of(paths)
        if teacher is None:
            hint = "Name the teacher's own run instead; pkd status lists them."
            raise PkdError(f"{paths.job}: it does not say where the teacher is.", hint)
        weights = teacher.teacher
        recipe = teacher_recipe(recipe)
    else:
        weights = paths.weights(recipe.role)
    if not weights.is_file():
        hint = "Type its command again to go on with it." if model == "student" else None
        raise PkdError(f"{paths.run} is not finished: there is no {weights}.", hint)
    return alone(recipe), weights


def of_checkpoint(weights: Path, detector: str | None, scale: str | None, data: str | None) -> tuple[Recipe, Path]:
    """The recipe to evaluate a bare file of weights with, and the file.

    Args:
        weights: The file.
        detector: Name or file of the detector that the weights are of.
        scale: Name or file of its scale; None for paper.
        data: Name or file of the data set; None for the scale's own.

    Raises:
        PkdError: It is not said what the weights are of, or there is no such detector, scale or data set.
    """
    if detector is None:
        hint = "Say so with --detector NAME (and --scale tiny); see `pkd list detectors`."
        run = weights.absolute().parent
        if (run / "recipe.yaml").is_file():
            hint = f"It lies in a run, which knows: pkd eval {shlex.quote(str(run))}"
        raise PkdError(f"{weights}: what detector is it?", hint)
    which = with_content(load("detectors", detector))
    recipe = resolve(Request(loss="none", scale="paper" if scale is None else scale, data=data))
    # At a scale its images are prepared as a run of it at this scale prepares them.
    training = "own" if own_by_default(config_of(which)) else "paper"
    return alone(recipe.model_copy(update={"student": which, "training": training})), weights.absolute()
