"""A learning rate that is too high or too low, seen in how far a step moves the weights and in the rate itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from pkdcli.errors import PkdError
from pkdcli.recipe import library
from pkdcli.recipe.detectors.training import BASE_BATCH
from pkdcli.reporting.curves import number
from pkdcli.reporting.diagnosis.cause import Cause, Evidence, log_ramp, ramp, text
from pkdcli.reporting.diagnosis.facts import median, parts

if TYPE_CHECKING:
    from pkdcli.reporting.diagnosis.facts import Facts

PARTS = ("backbone", "neck", "head")
TOO_FAR = (0.03, 0.1)
"""Share of its weights by which the part that moves most does so in a step, in the three furthest steps: weights that
have blown up move little for their size. Good runs: 0.01 to 0.02 with SGD; at 0.1 ten steps replace all."""
AT_ALL = (0.01, 0.03)
"""The same where a loss that has risen may have been thrown up; below, steps are as small as in good runs."""
PEAK = (1.1, 2.0)
"""The detection loss at its highest, after the first tenth of a run, as a multiple of what it began with; good runs:
0.7 to 0.9. A loss above that of random weights has been thrown there."""
TOO_NEAR = (0.002, 0.0001)
"""The share in the middle of the run where a rate is too low; good runs: 0.003 to 0.015. At 0.0001 a thousand steps
move the weights by a tenth, if all go the same way."""
TIMES = (3.0, 10.0)
"""Times the rate of the detector's own config at this batch. Papers scale rates by up to 3; ten times is a slip."""
PARTLY = (1 / 3, 0.05)
"""The same of a rate too low; fine-tuning takes a tenth at times."""
_RATE_ALONE = 0.7
"""The score of the rate alone, of runs that have not recorded how far they moved: other nets have other rates."""


def too_high(facts: Facts) -> Cause | None:
    """Steps that are too large, or a training that has diverged."""
    moved, times, diverged, peak = furthest(facts), _times(facts), _diverged(facts), _peak(facts)
    often = log_ramp(times, *TIMES) if times is not None else None
    thrown = ramp(peak, *PEAK) if peak is not None else 0.0
    if moved is not None:  # a loss that rises by small steps was not thrown: assigners may find no objects at first
        score = _score(max(log_ramp(moved, *TOO_FAR), thrown * ramp(moved, *AT_ALL)), often)
    else:
        score = (often or 0.0) * (_RATE_ALONE + (1 - _RATE_ALONE) * thrown)
    evidence = _evidence(facts, times)
    if moved is not None:
        evidence.append(Evidence("a step's share of the weights, in the furthest steps", text(moved), "0.01 to 0.02"))
    if peak is not None:
        evidence.append(Evidence("detection loss at its highest / at the beginning", text(peak), "0.7 to 0.9"))
    if diverged:
        evidence.insert(0, Evidence("how it ended", diverged, "with finite losses"))
        score = max(score, 0.8)
    return Cause("rate-high", "the learning rate is too high: each step throws away what was learned", score, evidence,
                 "Lower the rate.", _with_rate(facts, times, 0.1))  # fmt: skip


def too_low(facts: Facts) -> Cause | None:
    """Steps that are too small to arrive anywhere."""
    moved, times = movement(facts), _times(facts)
    if moved is None and times is None:
        return None
    score = _score(
        log_ramp(moved, *TOO_NEAR) if moved is not None else None,
        log_ramp(times, *PARTLY) if times is not None else None,
    )
    evidence = _evidence(facts, times)
    if moved is not None:
        evidence.append(Evidence("a step's share of the weights, in the middle", text(moved), "0.003 to 0.015"))
    return Cause("rate-low", "the learning rate is too low: the weights stay near where they began", score,
                 evidence, "Raise the rate.", _with_rate(facts, times, 10.0))  # fmt: skip


def movement(facts: Facts) -> float | None:
    """The share of its weights by which the part that moves most does so in a step, at full learning rate."""
    known = [value for part in PARTS if (value := median(facts.update(part))) is not None]
    return max(known) if known else None


def furthest(facts: Facts, of: Sequence[str] = PARTS) -> float | None:
    """The same in the furthest steps: their third, so that a single odd batch says nothing.

    Args:
        facts: The run.
        of: The parts that are looked at.
    """
    parts_ = ([one.get(f"{part}.update") for one in facts.updates] for part in of)
    known = [sorted(found for value in column if (found := number(value)) is not None)[-3:] for column in parts_]
    return max((column[0] for column in known if column), default=None)


def _peak(facts: Facts) -> float | None:
    """The highest of the detection losses after the first tenth of the run, as a multiple of the first ones."""
    losses = [one for one in facts.curves.detection if one is not None]
    tenth = len(losses) // 10
    if tenth < 1 or facts.recipe.pretrained or not losses[0]:
        return None
    return max(parts(losses[tenth:], 20)) / (sum(losses[:tenth]) / tenth)


def _times(facts: Facts) -> float | None:
    """How many times the rate that the student's own config has at this batch."""
    recipe = facts.recipe
    highest = max((one for one in facts.curves.lr if one is not None), default=None)
    if recipe.role == "teacher" or recipe.training == "own" or highest is None:
        return None
    usual = recipe.scale.lr
    if usual is None:
        with suppress(PkdError):
            usual = library.load("detectors", recipe.student.name).lr
    usual = usual or recipe.student.lr
    factor = 1.0
    with suppress(PkdError):
        factor = library.load("scales", recipe.scale.name).lr_factor
    return highest / (usual * factor * recipe.batch * recipe.accumulate / BASE_BATCH)


def _score(moved: float | None, times: float | None) -> float:
    """Both together: either by itself has a good excuse, a net of other sizes or a training of another kind."""
    if moved is None:
        return _RATE_ALONE * (times or 0.0)
    return moved if times is None else (moved + times) / 2


def _diverged(facts: Facts) -> str | None:
    error = facts.status.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    warnings = facts.status.get("warnings")
    told = [message, *(warnings if isinstance(warnings, list) else [])]
    told = [one for one in told if isinstance(one, str) and "diverge" in one]
    lost = next((one["iter"] for one in facts.losses if _not_finite(one.get("loss"))), None)
    return told[0] if told else None if lost is None else f"the loss is not finite at step {lost}"


def _not_finite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _evidence(facts: Facts, times: float | None) -> list[Evidence]:
    highest = max((one for one in facts.curves.lr if one is not None), default=None)
    usual = highest / times if highest and times else None
    found = [Evidence("learning rate at its highest", text(highest), text(usual))]
    losses = facts.at_full_rate(facts.curves.detection)
    alone = facts.baseline and [one for one in facts.baseline.detection if one is not None]
    if len(losses) >= 4:
        quarters = parts(losses, 4)
        good = " to ".join(map(text, (parts(alone, 4)[0], parts(alone, 4)[-1]))) if alone and len(alone) >= 4 else ""
        found.append(Evidence("detection loss, first to last quarter at full rate",
                              f"{text(quarters[0])} to {text(quarters[-1])}", good))  # fmt: skip
    return found


def _with_rate(facts: Facts, times: float | None, by: float) -> str:
    """The run again at the usual rate, or at one that differs by a factor where that is not known."""
    recipe = facts.recipe
    keys = [key for key in recipe.config if key.endswith("optimizer.lr")]
    if keys:  # which stands above all others
        return facts.command(**{f"set:config.{key}": None for key in keys})
    if times is not None:
        with suppress(PkdError):
            usual = library.load("scales", recipe.scale.name).lr_factor
            if usual != recipe.scale.lr_factor:
                return facts.command(**{"set:scale.lr_factor": None})
        return facts.command(**{"set:student.lr": f"{float(f'{recipe.student.lr / times:.3g}'):g}"})
    return facts.command(**{"set:student.lr": f"{recipe.student.lr * by:g}"})
