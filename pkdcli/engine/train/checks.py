"""What speaks against a distilled run before its first step: a teacher without AP, other classes or sizes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pkdcli.config.data import evaluation_size, image_size, own_test_size, sides
from pkdcli.engine.metrics.labels import some
from pkdcli.errors import PkdError
from pkdcli.recipe.identity import comparable
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_json

NEAR_ZERO = 1.0  # AP points of a teacher that has learned next to nothing


def before_training(
    recipe: Recipe, paths: RunPaths, teacher: Path | None, pairing_warnings: Sequence[str]
) -> list[str]:
    """What speaks against a distilled run before its first step.

    Args:
        recipe: The run's.
        paths: Its directory; the student's baseline is looked for beside it.
        teacher: The teacher's run directory.
        pairing_warnings: Of `pkdcli.config.levels.pairing`.

    Raises:
        PkdError: The student would inherit a head whose outputs mean other classes.
    """
    warnings = list(pairing_warnings)
    if recipe.role != "distill" or teacher is None:
        return warnings
    if recipe.loss.weight == 0:
        warnings.append("the loss weight is 0: the teacher teaches nothing. Give --weight a number above 0.")
    warnings += class_warnings(recipe, RunPaths(teacher).teacher) + size_warnings(recipe)
    result = read_json(RunPaths(teacher).result) or {}
    # The evaluation of a smoke run, of a handful of images, says nothing.
    if not recipe.max_iters and not result.get("max_iters"):
        warnings += teacher_warnings(result, baseline_of(recipe, paths.root.parent))
    return warnings


def teacher_warnings(teacher: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> list[str]:
    """What a teacher's own AP, and that of the student alone, say against it.

    Args:
        teacher: result.json of the teacher.
        baseline: result.json of the student's baseline, if it is known.
    """
    ap = (teacher.get("metrics") or {}).get("mAP")
    if ap is None:
        return []
    name = teacher.get("student_title") or "the teacher"
    remedy = "Check its checkpoint (--teacher-checkpoint), its classes and the data, or train it longer."
    if ap < NEAR_ZERO:
        return [
            f"the teacher {name} has {ap:.1f} mAP on {teacher.get('data')}: it has next to nothing to teach. {remedy}"
        ]
    alone = ((baseline or {}).get("metrics") or {}).get("mAP")
    if alone is not None and ap < alone:
        return [f"the teacher {name} has {ap:.1f} mAP, less than the student alone ({alone:.1f}). {remedy}"]
    return []


def baseline_of(recipe: Recipe, runs: Path) -> dict[str, Any] | None:
    """result.json of the baseline that a run compares with, if it has finished.

    Args:
        recipe: The run's.
        runs: The folder of all runs.
    """
    wanted = comparable(recipe)
    for path in sorted(runs.glob("*/result.json")):
        result = read_json(path)
        if isinstance(result, dict) and result.get("role") == "baseline" and result.get("comparable") == wanted:
            return result
    return None


def class_warnings(recipe: Recipe, checkpoint: Path) -> list[str]:
    """What the class names in the teacher's checkpoint say against it; nothing where it has none.

    Args:
        recipe: The run's.
        checkpoint: The teacher's.

    Raises:
        PkdError: They differ, and the student would inherit the head.
    """
    from pkdcli.engine.checkpoint import among, classes_of, in_order_of

    theirs, ours = classes_of(checkpoint), list(recipe.data.classes or [])
    ordered = theirs and in_order_of(theirs, ours)
    if theirs is None or ordered == ours:
        return []
    if recipe.init != "inherit" and among(theirs, ours) is not None and not ordered:
        return []  # it knows more classes: features are what it teaches
    remedy = "Give a checkpoint trained on this data set's classes"
    if ordered:
        what = f"has the classes of data set {recipe.data.name} in another order"
        remedy += f", or list `classes` in the data recipe in its order{_listed(ordered)}."
    else:
        what = f"was trained for other classes than those of data set {recipe.data.name}"
        remedy += "."
    message = f"the teacher {what}: {some(theirs)} instead of {some(ours)}."
    if recipe.init == "inherit":
        raise PkdError(f"init: inherit: {message}", f"{remedy} Or start with --init scratch.")
    return [f"{message} {remedy}"]


def size_warnings(recipe: Recipe) -> list[str]:
    """What the image size of the recipe says against a teacher that was given, and was trained for another."""
    if recipe.teacher_checkpoint is None or recipe.teacher is None or recipe.scale.rules:
        return []
    own, here = own_test_size(recipe.teacher), evaluation_size(recipe)
    if own is None or own == here:
        return []
    if recipe.training == "own":
        remedy = " Give --training paper to show it those." if own == image_size(recipe) else ""
        return [
            f"the teacher {recipe.teacher.title} looks at images of {sides(here)}, as the config of "
            f"{recipe.student.title} has them; its own config tests at {sides(own)}.{remedy}"
        ]
    return [
        f"the teacher {recipe.teacher.title} looks at images of {sides(here)} (scale {recipe.scale.name}); its own "
        f"config tests at {sides(own)}. Give --scale a recipe of yours with image: [{own[0]}, {own[1]}], or "
        f"--set 'scale.image=[{own[0]}, {own[1]}]'."
    ]


def _listed(classes: Sequence[str], shown: int = 12) -> str:
    """The line of a data recipe that lists classes, where it is not too long to be shown."""
    if len(classes) > shown:
        return ""
    return f" (classes: {json.dumps(list(classes), ensure_ascii=False)})"
