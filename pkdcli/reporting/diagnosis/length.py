"""A training that ends while the student still learns quickly."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pkdcli.errors import PkdError
from pkdcli.recipe import library
from pkdcli.reporting.diagnosis import rate
from pkdcli.reporting.diagnosis.cause import Cause, Evidence, ramp, text
from pkdcli.reporting.diagnosis.facts import parts
from pkdcli.reporting.table import points

if TYPE_CHECKING:
    from pkdcli.reporting.diagnosis.facts import Facts

LENGTH = (0.5, 0.2)
"""Share of the epochs that the schedule has at this scale. mmdet's 1x is half of its 2x and trains well; a fifth is a
look, not a training."""
STEEP = (0.08, 0.16)
"""Fall of the detection loss from the third quarter to the last one at full learning rate, as a share. Less says
nothing: losses fall by 3 to 6 % from quarter to quarter in a training of any length."""
RISING = (0.04, 0.12)
"""Rise of the correlation from the middle third of a run to the last; good runs, which end above 0.85: 0.02 to 0.04.
Unlike a loss it has an end, 1, so that a steep rise says that there is far to go."""
GAINING = (0.05, 0.15)
"""The last rise of mAP as a share of it, in a third of the run or less and at one learning rate."""
_SHORT = 0.65
"""What a length of a fifth says by itself; the rest is for what the curves say."""
_LAST = 0.75
"""A rate that is too low, or a loss that does not work, leaves such curves as well; these come first."""


def too_short(facts: Facts) -> Cause | None:
    """The student was still learning quickly when the rate was lowered, or the run ended."""
    losses = facts.at_full_rate(facts.curves.detection)
    if len(losses) < 8:
        return None
    quarters = parts(losses, 4)
    fall = 1 - quarters[3] / quarters[2] if quarters[2] > 0 else 0.0
    share, risen, gained = _share(facts), _risen(facts), _gained(facts)
    direct = ramp(fall, *STEEP)
    if gained is not None:  # what is to rise is the mAP: where it does not, a loss that falls is no reason to go on
        direct, risen = ramp(gained, *GAINING), None
    if not facts.result:  # in the middle of a training every curve is steep
        direct, risen = 0.0, None
    rising = max(direct, 0.0 if risen is None else ramp(risen, *RISING))
    told = 0.0 if share is None else ramp(share, *LENGTH)
    slow = rate.too_low(facts)  # which leaves the very same curves
    score = max(direct, _SHORT * told + (1 - _SHORT) * rising) * (1 - (slow.score if slow else 0.0))
    epochs = _whole(facts) if told else 2 * facts.recipe.schedule.epochs
    return Cause(
        "too-short",
        "the training is too short: the student was still learning quickly",
        _LAST * score,
        _evidence(facts, fall, risen, share),
        "Train longer.",
        facts.command(epochs=str(epochs)),
    )


def _whole(facts: Facts) -> int | None:
    """The epochs that the run's schedule has at its scale; None of one that is not known here."""
    recipe = facts.recipe
    if recipe.role == "teacher" or recipe.training == "own":
        return None
    with suppress(PkdError):
        schedule = library.load("schedules", recipe.schedule.name)
        return max(1, round(schedule.epochs * recipe.scale.epoch_factor))
    return None


def _share(facts: Facts) -> float | None:
    whole = _whole(facts)
    return facts.recipe.schedule.epochs / whole if whole else None


def _risen(facts: Facts) -> float | None:
    """The rise of the correlation from the middle third to the last, the mean over the levels."""
    rises = []
    for level in facts.student_levels:
        column = [one for one in facts.level(level, "r") if one is not None]
        if len(column) >= 6:
            _, middle, last = parts(column, 3)
            rises.append(last - middle)
    return sum(rises) / len(rises) if rises else None


def _gained(facts: Facts) -> float | None:
    """The last rise of mAP, as a share of it, where both evaluations are near each other and at full rate."""
    pairs = zip(facts.curves.val_step, facts.curves.val["mAP"], strict=True)
    known = [(step, mAP) for step, mAP in pairs if mAP]
    if len(known) < 2:
        return None
    (before, low), (after, high) = known[-2:]
    full, last = facts.full_rate, facts.curves.step[-1]
    # Not every step is recorded: an evaluation after the last one is at full rate where that was. Before the rate is
    # lowered mAP rises in every training, so that it counts at the end alone.
    at_full = before in full and (after in full or (last in full and after > last))
    return (high - low) / high if at_full and after - before <= last / 3 else None


def _evidence(facts: Facts, fall: float, risen: float | None, share: float | None) -> list[Evidence]:
    epochs, whole = facts.recipe.schedule.epochs, _whole(facts)
    usual = f"{whole} epochs" if share is not None else ""
    found = [Evidence("length", f"{epochs} epochs, {facts.curves.step[-1]} steps", usual)]
    what = "detection loss in the last quarter at full rate, against the one before"
    found.append(Evidence(what, f"{-100 * fall:+.0f} %", "-3 to -6 %"))
    if risen is not None:
        found.append(Evidence("rise of the correlation in the last third", text(risen), "0.02 to 0.04"))
    pairs = zip(facts.curves.val_step, facts.curves.val["mAP"], strict=True)
    known = [f"{points(mAP)} at step {step}" for step, mAP in pairs if mAP is not None]
    if len(known) > 1:
        found.append(Evidence("mAP", ", ".join(known[-3:]), "hardly rises at the end"))
    return found
