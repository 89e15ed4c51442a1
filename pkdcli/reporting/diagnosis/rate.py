"""A learning rate that is too high or too low, seen in how far a step moves the weights and in the rate itself."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pkdcli.errors import PkdError
from pkdcli.recipe import library
from pkdcli.recipe.detectors.training import BASE_BATCH
from pkdcli.reporting.diagnosis.cause import Cause, Evidence, log_ramp, text
from pkdcli.reporting.diagnosis.facts import median, parts

if TYPE_CHECKING:
    from pkdcli.reporting.diagnosis.facts import Facts

PARTS = ("backbone", "neck", "head")
TOO_FAR = (0.03, 0.1)
"""Share of its weights by which the part that moves most does so in a step, at full rate. Good runs: 0.005 to 0.012
with SGD and momentum, 0.001 with Adam. At 0.1 ten steps replace the weights."""
TOO_NEAR = (0.001, 0.00003)
"""The same of a rate too low: at 0.00003 a thousand steps move the weights by 3 % at most."""
TIMES = (3.0, 10.0)
"""Times the rate of the detector's own config at this batch. Papers scale rates by up to 3; ten times is a slip."""
PARTLY = (1 / 3, 0.05)
"""The same of a rate too low; fine-tuning takes a tenth at times."""
_RATE_ALONE = 0.7
"""The score of the rate alone, of runs that have not recorded how far they moved: other nets have other rates."""


def too_high(facts: Facts) -> Cause | None:
    """Steps that are too large, or a training that has diverged."""
    moved, times, diverged = movement(facts), _times(facts), _diverged(facts)
    if moved is None and times is None and not diverged:
        return None
    score = _score(
        log_ramp(moved, *TOO_FAR) if moved is not None else None,
        log_ramp(times, *TIMES) if times is not None else None,
    )
    evidence = _evidence(facts, moved, times)
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
    return Cause("rate-low", "the learning rate is too low: the weights stay near where they began", score,
                 _evidence(facts, moved, times), "Raise the rate.", _with_rate(facts, times, 10.0))  # fmt: skip


def movement(facts: Facts) -> float | None:
    """The share of its weights by which the part that moves most does so in a step, at full learning rate."""
    known = [value for part in PARTS if (value := median(facts.update(part))) is not None]
    return max(known) if known else None


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
    told = [one for one in (message, *facts.status.get("warnings", [])) if isinstance(one, str) and "diverge" in one]
    return told[0] if told else None


def _evidence(facts: Facts, moved: float | None, times: float | None) -> list[Evidence]:
    highest = max((one for one in facts.curves.lr if one is not None), default=None)
    usual = highest / times if highest and times else None
    found = [Evidence("learning rate at its highest", text(highest), text(usual))]
    if moved is not None:
        found.append(Evidence("a step's share of the weights, where it is largest", text(moved), "0.003 to 0.02"))
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
        return facts.command(**{f"set:{key}": None for key in keys})
    if times is not None:
        with suppress(PkdError):
            usual = library.load("scales", recipe.scale.name).lr_factor
            if usual != recipe.scale.lr_factor:
                return facts.command(**{"set:scale.lr_factor": None})
        return facts.command(**{"set:student.lr": f"{float(f'{recipe.student.lr / times:.3g}'):g}"})
    return facts.command(**{"set:student.lr": f"{recipe.student.lr * by:g}"})
