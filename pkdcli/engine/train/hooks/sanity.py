"""Silent failures made loud: a distillation that can teach nothing is stopped or warned of before hours are spent.

A run's warnings stand in status.json and result.json, and the command line prints them when they appear. What leaves
nothing to learn from is an error: no level at all has a usable loss, or a loss has no way to the student's parameters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from pkdcli.engine.train.hooks.diagnostics import LevelMeasures, distiller_of
from pkdcli.engine.train.hooks.run_status import status_of
from pkdcli.engine.train.hooks.teaching import has_teacher, last_taught_step
from pkdcli.errors import ExitCode, PkdError

ITERATIONS = 10  # the first so many steps are looked at
_SAME = 1e-6  # relative change below which a loss counts as constant
_ENOUGH = 3  # values that it takes to call a loss constant


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
        if self._seen == 0 and has_teacher(runner):
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
        if self._seen >= self.iterations or not has_teacher(runner):
            return
        if self._seen == 0:
            self._measured = dict(distiller_of(runner).measured)
            check_connection(self._measured, self._loss)
        for name, level in self._levels.items():
            # Kept on their device: reading them would wait for it in every step.
            self._values[level].append(outputs[f"distill.{name}"].detach())
        self._seen += 1
        if self._seen == self.iterations or runner.iter + 1 == last_taught_step(runner):
            self._judge(runner)

    def _judge(self, runner: Runner) -> None:
        self._seen = self.iterations
        values = {level: [float(value) for value in seen] for level, seen in self._values.items()}
        if all(module.loss.weight == 0 for module in distiller_of(runner).distill_losses.values()):
            return  # asked for, and said before
        for text in check_values(values, self._measured, self._loss):
            status_of(runner).warn(text)
            runner.logger.warning(text)
