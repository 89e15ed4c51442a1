"""Silent failures made loud: a distillation that can teach nothing is stopped or warned of before hours are spent.

A run's warnings stand in status.json and result.json, and the command line prints them when they appear. What leaves
nothing to learn from is an error: no level at all has a usable loss, or a loss has no way to the student's parameters.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from pkdcli.config.data import image_size, own_test_size, sides
from pkdcli.engine.metrics.labels import some
from pkdcli.engine.train.hooks.diagnostics import LevelMeasures, distiller_of
from pkdcli.engine.train.hooks.run_status import status_of
from pkdcli.errors import ExitCode, PkdError
from pkdcli.recipe.identity import comparable
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_json

ITERATIONS = 10  # the first so many steps are looked at
NEAR_ZERO = 1.0  # AP points of a teacher that has learned next to nothing
_SAME = 1e-6  # relative change below which a loss counts as constant
_ENOUGH = 3  # values that it takes to call a loss constant


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
    from pkdcli.engine.checkpoint import classes_of, in_order_of

    theirs, ours = classes_of(checkpoint), list(recipe.data.classes or [])
    ordered = theirs and in_order_of(theirs, ours)
    if theirs is None or ordered == ours:
        return []
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
    own, here = own_test_size(recipe.teacher), image_size(recipe)
    if own is None or own == here:
        return []
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


def check_connection(measured: Mapping[int, LevelMeasures], loss: str) -> None:
    """Refuse a loss that can't reach the student's parameters, seen in the first step.

    Args:
        measured: By the student's level.
        loss: The loss's name, for the message.

    Raises:
        PkdError: At some level there is no gradient, with its cause.
    """
    for level, one in measured.items():
        if not one.trainable:
            raise PkdError(
                f"level {level}: the student's feature map depends on no parameter that is trained, so no distillation "
                "loss can teach it.",
                "Unfreeze its backbone or neck (frozen_stages, requires_grad), or compare other levels.",
                ExitCode.RUN_FAILED,
            )
        if not one.connected:
            raise PkdError(
                f"level {level}: loss {loss} has no gradient with respect to the student's feature map.",
                "A loss must be computed from its first argument by differentiable operations, without detach() "
                "and no_grad.",
                ExitCode.RUN_FAILED,
            )


def check_values(values: Mapping[int, Sequence[float]], measured: Mapping[int, LevelMeasures], loss: str) -> list[str]:
    """What the first values of each level's loss say against it.

    Args:
        values: By student level, the loss in each of the first steps.
        measured: Of the first step.
        loss: Its name.

    Returns:
        A warning for each level with a loss that is zero, constant or not finite.

    Raises:
        PkdError: That is so at every level.
    """
    complaints = {level: fault for level in values if (fault := fault_of(values[level], measured.get(level)))}
    lines = [f"level {level}: loss {loss} {fault}" for level, fault in complaints.items()]
    if lines and len(complaints) == len(values):
        raise PkdError(
            "the distillation teaches nothing at any level.\n" + "\n".join(f"  {line}" for line in lines),
            "Check that teacher and student are the detectors you mean, their weights, and the loss and its weight.",
            ExitCode.RUN_FAILED,
        )
    return [f"{line} The other levels still teach." for line in lines]


def fault_of(values: Sequence[float], measured: LevelMeasures | None) -> str | None:
    """What is wrong with a level's loss over some steps, and why as far as the features tell; None if nothing is.

    Args:
        values: The loss in each step, one or more.
        measured: Of the first step.
    """
    first, count = values[0], len(values)
    # A single value that is not finite may be an overflow that mixed precision recovers from.
    if not math.isfinite(values[-1]):
        since = count - next((i for i, value in enumerate(reversed(values)) if math.isfinite(value)), count)
        if since:
            return (
                f"is {values[-1]} from step {since + 1} on: training diverges. Lower its weight or the learning rate."
            )
        fault = f"is {first} in each of the first {count} steps"
    elif all(value == 0 for value in values):
        fault = f"is zero in each of the first {count} steps"
    elif measured is not None and float(measured.grad_norm) == 0:
        fault = f"is {first:.6g}, but its gradient is zero"
    elif count >= _ENOUGH and all(abs(value - first) <= _SAME * abs(first) for value in values):
        fault = f"has the same value, {first:.6g}, in each of the first {count} steps"
    else:
        return None
    return f"{fault}{_cause(measured)}."


def _cause(measured: LevelMeasures | None) -> str:
    if measured is None:
        return ""
    if measured.positions == 1:
        return ": the map has one position per channel, which has no deviation"
    for who, share in (("teacher", measured.constant_teacher), ("student", measured.constant_student)):
        if float(share) == 1:
            return f": the {who}'s feature map is constant there"
        if not math.isfinite(float(measured.r)):
            return ": a feature map holds NaN or infinity there"
    if float(measured.r) > 1 - _SAME:
        return ": student and teacher have the same features there"
    return ""


@HOOKS.register_module()
class PkdSanityHook(Hook):
    """Looks at the distillation losses of the first steps after each start.

    Args:
        iterations: How many steps.
    """

    priority = "LOW"

    def __init__(self, iterations: int = ITERATIONS) -> None:
        self.iterations = iterations

    def before_train(self, runner: Runner) -> None:
        """Begin anew."""
        distiller = distiller_of(runner)
        self._levels = {name: student for name, (student, _) in distiller.level_pairs.items()}
        self._loss = next(iter(self._levels)).removeprefix("loss_").rpartition("_fpn")[0].replace("_", "-")
        self._values: dict[int, list[Any]] = {level: [] for level in self._levels.values()}
        self._measured: dict[int, LevelMeasures] = {}
        self._seen = 0

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Have the first step measured.

        Args:
            runner: The run's.
            batch_idx: The batch's place in its epoch, from 0.
            data_batch: As the loader gave it.
        """
        if self._seen == 0:
            distiller_of(runner).measuring = True

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Check the way to the student's parameters in the first step, the values after the last looked at.

        Args:
            runner: The run's.
            batch_idx: The batch's place in its epoch, from 0.
            data_batch: As the loader gave it.
            outputs: What the step returned: losses by name, or detections.
        """
        if self._seen >= self.iterations:
            return
        if self._seen == 0:
            self._measured = dict(distiller_of(runner).measured)
            check_connection(self._measured, self._loss)
        for name, level in self._levels.items():
            # Kept on their device: reading them would wait for it in every step.
            self._values[level].append(outputs[f"distill.{name}"].detach())
        self._seen += 1
        if self._seen == self.iterations or runner.iter + 1 == runner.max_iters:
            self._judge(runner)

    def _judge(self, runner: Runner) -> None:
        self._seen = self.iterations
        values = {level: [float(value) for value in seen] for level, seen in self._values.items()}
        if all(module.loss.weight == 0 for module in distiller_of(runner).distill_losses.values()):
            return  # asked for, and said before
        for text in check_values(values, self._measured, self._loss):
            status_of(runner).warn(text)
            runner.logger.warning(text)
