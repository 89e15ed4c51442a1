"""A training that ends while the student still learns quickly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkdcli.reporting.diagnosis.cause import Cause, Evidence, ramp, text
from pkdcli.reporting.diagnosis.facts import parts
from pkdcli.reporting.table import points

if TYPE_CHECKING:
    from pkdcli.reporting.diagnosis.facts import Facts

STEEP = (0.08, 0.16)
"""Fall of the detection loss from the third quarter to the last one at full learning rate, as a share. Runs that were
long enough: 0.03 to 0.06. At 0.12 (the middle) a training twice as long would end far lower."""
_LAST = 0.8
"""A rate that is too low, or a loss that does not work, leaves a steep curve as well; these come first."""


def too_short(facts: Facts) -> Cause | None:
    """The loss was still falling steeply when the rate was lowered, or the run ended."""
    losses = facts.at_full_rate(facts.curves.detection)
    if len(losses) < 8:
        return None
    quarters = parts(losses, 4)
    fall = 1 - quarters[3] / quarters[2] if quarters[2] > 0 else 0.0
    evidence = [Evidence("detection loss in the last quarter at full rate, against the one before",
                         f"{-100 * fall:+.0f} %", "-3 to -6 %")]  # fmt: skip
    for level in facts.student_levels[:1]:
        column = [one for one in facts.level(level, "r") if one is not None]
        if len(column) >= 4:
            third, last = parts(column, 4)[2:]
            evidence.append(Evidence(f"correlation at {facts.named(level)}, third to last quarter",
                                     f"{text(third)} to {text(last)}", "0.9 to 0.93"))  # fmt: skip
    known = [(step, one) for step, one in zip(facts.curves.val_step, facts.curves.val["mAP"], strict=True)
             if one is not None]  # fmt: skip
    if len(known) > 1:
        told = ", ".join(f"{points(one)} at step {step}" for step, one in known[-3:])
        evidence.append(Evidence("mAP", told, "hardly rises at the end"))
    epochs = facts.recipe.schedule.epochs
    evidence.append(Evidence("length", f"{epochs} epochs, {facts.curves.step[-1]} steps", ""))
    return Cause(
        "too-short",
        "the training is too short: the loss is still falling steeply",
        _LAST * ramp(fall, *STEEP),
        evidence,
        "Train longer.",
        facts.command(epochs=str(2 * epochs)),
    )
