"""What follows from words that were asked for: a loss with its weight, a schedule at its length."""

from __future__ import annotations

import math

from pkdcli.errors import PkdError
from pkdcli.recipe import library
from pkdcli.recipe.schema import Detector, Loss, LossUse, Scale, Schedule

ALPHA = {"two-stage": 6.0, "one-stage": 10.0}  # appendix A.2: by the teacher's kind


def use_loss(loss: Loss, teacher: Detector, scale: Scale, weight: float | None, temperature: float | None) -> LossUse:
    """The loss of one run, with alpha by the teacher's kind where no weight is given.

    Args:
        loss: Its recipe.
        teacher: Its kind sets the default weight of losses that go by it.
        scale: Says what statistics are taken over.
        weight: As asked for; None for the default.
        temperature: As asked for; None for the loss's own.

    Raises:
        PkdError: The weight or temperature is not one the loss allows.
    """
    if loss.name == "none":
        return LossUse(name="none", type="none")
    if weight is None:
        weight = ALPHA[teacher.kind] if loss.weight.default == "by-teacher" else loss.weight.default
    if not math.isfinite(weight) or weight < 0:
        raise PkdError(f"--weight: {weight} is not a loss weight.", "Give a finite number of zero or more, such as 10.")
    rule = loss.temperature
    if rule is None and temperature is not None:
        raise PkdError(f"loss {loss.name} has no temperature.", library.losses_with_temperature())
    if rule is not None:
        temperature = rule.default if temperature is None else temperature
        if not rule.minimum <= temperature <= rule.maximum:
            raise PkdError(
                f"--temperature: {temperature:g} is not a temperature of {loss.name}.",
                f"Give a number from {rule.minimum:g} to {rule.maximum:g}; the paper's is 50.",
            )
    return LossUse(
        name=loss.name,
        type=loss.type,
        weight=weight,
        temperature=temperature,
        stat_chunk=scale.stat_chunk,
        params=loss.params,
    )


def scaled(schedule: Schedule, scale: Scale, epochs: int | None = None) -> Schedule:
    """A schedule at a scale: epochs times the scale's factor (or as given), milestones in proportion.

    Args:
        schedule: At full length.
        scale: Has the factor.
        epochs: As asked for; None to go by the factor.
    """
    length = epochs or max(1, round(schedule.epochs * scale.epoch_factor))
    factor = length / schedule.epochs
    milestones = [round(milestone * factor, 4) for milestone in schedule.milestones]
    return schedule.model_copy(update={"epochs": length, "milestones": milestones})
