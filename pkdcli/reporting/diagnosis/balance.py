"""The distillation's pull on the student against the detector's own: too strong, too weak, or against it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pkdcli.errors import PkdError
from pkdcli.recipe import library
from pkdcli.recipe.carried_out import use_loss
from pkdcli.reporting.diagnosis import rate
from pkdcli.reporting.diagnosis.beside import by_weight
from pkdcli.reporting.diagnosis.cause import Cause, Evidence, log_ramp, ramp, text
from pkdcli.reporting.diagnosis.facts import median, parts
from pkdcli.reporting.table import points

if TYPE_CHECKING:
    from pkdcli.reporting.curves import Column
    from pkdcli.reporting.diagnosis.facts import Facts

GOOD = (0.1, 5.0)
"""Times the detector's gradient: from where the weaker of two is still felt through the noise of a batch.

Runs that gained lie at 2 to 6 on the level that matters most to the detector."""
WEAK = (0.03, 0.003)
"""At a hundredth (the middle) the distillation turns the sum of both by half a degree: less than two batches differ."""
STRONG = (5.0, 50.0)
"""At 16 (the middle) the detector's own part is 6 % of the sum. A sweep of weights lost half of its gain at 20 and all
of it at 47, one of another pair half at 4 and more than all at 15."""
LOST = (0.1, 0.3)
"""The share of its mAP by which a weight falls behind the best two others, by one run of each. A tenth is what two
seeds differ by in short trainings; a third is more than a distillation gains. Means of n seeds differ by 1/sqrt(n) of
it."""
GAINED = (0.05, 0.2)
"""The gain as a share of the student's mAP alone: from noise to what the paper's losses gain in short trainings."""
# Runs of older releases have recorded losses alone. A loss's value says less than its gradient, so that these are wider
# by a factor of three and the score ends below that of what was measured.
_VALUES_WEAK, _VALUES_STRONG, _VALUES_SCORE = (0.01, 0.001), (100.0, 1000.0), 0.8
RISE, FALL = (0.03, 0.15), 0.9
"""A rise of the detection loss by 3 % is noise, one by 15 % is not, where the distillation falls by a tenth or more."""
_PARTS = 8
"""A training is looked at in so many parts: the mean of one of them is noisy by 3 % in 100 steps."""


def strength(facts: Facts) -> tuple[float, int | None] | None:
    """How many times the detector's gradient the distillation's is, and at which level of the student.

    It is measured where the detector's own gradient is largest: coarse levels have few objects or none, and whatever
    pulls there outweighs nothing. A level that is not taught says nothing of the weight, nor does one where channels of
    the student are constant: losses that divide by the deviation have a gradient there that is huge and moves nothing.
    None for the level where only values of losses are known.

    Args:
        facts: The run.
    """
    norms = {level: median(facts.level(level, "detection_grad_norm")) for level in facts.student_levels}
    known = {level: norm for level, norm in norms.items() if norm and _speaks(facts, level)}
    if known:
        level = max(known, key=known.__getitem__)
        ratio = _at(facts, level, slice(None))
        return None if ratio is None else (ratio, level)
    values = zip(facts.curves.distillation, facts.curves.detection, strict=True)
    ratio = median(one / other for one, other in values if one is not None and other)
    return None if ratio is None else (ratio, None)


def _speaks(facts: Facts, level: int) -> bool:
    """Whether the gradients at a level tell how strong the distillation is."""
    return facts.late_level(level, "loss") != 0 and not facts.late_level(level, "constant_student")


def _at(facts: Facts, level: int, part: slice) -> float | None:
    """The ratio of the gradients at a level, the median over a part of the records."""
    ours, theirs = facts.level(level, "grad_norm")[part], facts.level(level, "detection_grad_norm")[part]
    return median(one / other for one, other in zip(ours, theirs, strict=True) if one is not None and other)


def overwhelms(facts: Facts) -> Cause | None:
    """The distillation leaves the detector's own loss no say."""
    found = strength(facts) if facts.distilled and facts.recipe.loss.weight else None
    if found is None:
        return None
    ratio, level = found
    # A weight is too large from the first step on. Where both were fair then, something else has silenced the detector.
    if level is None:
        score = _VALUES_SCORE * log_ramp(ratio, *_VALUES_STRONG)
    else:
        score = log_ramp(min(ratio, _at(facts, level, slice(0, 3)) or ratio), *STRONG)
    judged = _judged(facts, score, lower=True)
    return Cause(
        "overwhelms",
        judged.title
        or "the distillation overwhelms the detection loss: the student imitates, and hardly learns to detect",
        judged.score,
        _evidence(facts, ratio, level) + judged.evidence,
        "Lower the weight.",
        _with_weight(facts, ratio if level is not None else None, judged.best),
    )


def overwhelmed(facts: Facts) -> Cause | None:
    """The distillation is too weak to change anything."""
    if not facts.distilled:
        return None
    found = strength(facts)
    weight = facts.recipe.loss.weight
    if weight and found is None:
        return None
    ratio, level = found if weight and found is not None else (0.0, None)
    score = 1.0
    if weight and level is None:
        score = _VALUES_SCORE * log_ramp(ratio, *_VALUES_WEAK)
    elif weight and level is not None:
        # It is too small from the first step on: later the detector's own part may fall silent for another reason.
        score = log_ramp(min(ratio, _at(facts, level, slice(0, 3)) or ratio), *WEAK)
    judged = _judged(facts, score, lower=False)
    return Cause(
        "overwhelmed",
        judged.title or "the distillation is overwhelmed by the detection loss: the student learns as if it were alone",
        judged.score,
        _evidence(facts, ratio, level) + judged.evidence,
        "Raise the weight.",
        _with_weight(facts, ratio if level is not None else None, judged.best),
    )


@dataclass(frozen=True)
class _Judged:
    """A score beside what was measured: the sentence, the weight and the evidence are those of runs beside."""

    score: float
    title: str | None = None
    best: float | None = None
    evidence: list[Evidence] = field(default_factory=list)


def _judged(facts: Facts, score: float, lower: bool) -> _Judged:
    """A score by gradients or losses beside what was measured: by runs of lower (or higher) weight, and by the gain.

    Args:
        facts: The run.
        score: What gradients or losses say.
        lower: Whether lower weights would be better.

    Returns:
        The score; the cause in a sentence, where the runs beside tell more of it; the best weight and the evidence.
    """
    gain, alone = facts.record.get("gain"), facts.record.get("baseline_mAP")
    if gain and alone:  # one that is far better than alone is taught and learns to detect
        score *= 1 - ramp(gain / alone, *GAINED)
    runs, own = by_weight(facts), facts.recipe.loss.weight
    means = {weight: statistics.fmean(found) for weight, found in runs.items()}
    # The best of many is lucky too: the next best on its side has as much to say.
    side = sorted((one for one in means if own is not None and (one < own if lower else one > own)),
                  key=lambda one: -means[one])[:2]  # fmt: skip
    if own not in means or not side:
        return _Judged(score)
    fair = statistics.fmean(means[one] for one in side)
    noise = 1 / math.sqrt(min(len(runs[one]) for one in (own, *side)))
    lost = max(0.0, 1 - means[own] / fair) / noise if fair else 0.0
    score *= ramp(lost, 0.0, LOST[0])  # where they are no better, the weight is not at fault
    if max(means, key=means.__getitem__) not in side:
        return _Judged(score)
    evidence = [Evidence(f"mAP with weight {text(one)}, all else being equal", f"{points(means[own])} here",
                         f"{points(means[one])}{_of_seeds(runs[one])}") for one in side]  # fmt: skip
    told = ramp(lost, *LOST)
    wrong, better = ("large", "lower") if lower else ("small", "higher")
    title = f"the weight is too {wrong}: with a {better} one, all else being equal, the student is better"
    return _Judged(max(score, told), title if told > score else None, side[0], evidence)


def _of_seeds(found: Sequence[float]) -> str:
    return f" (mean of {len(found)} seeds)" if len(found) > 1 else ""


def conflict(facts: Facts) -> Cause | None:
    """The detection loss rises while the distillation falls, from its lowest on until the rate is lowered."""
    if not facts.distilled:
        return None
    ours, theirs = _until_decay(facts, facts.curves.detection), _until_decay(facts, facts.curves.distillation)
    if min(len(ours), len(theirs)) < _PARTS:
        return None
    # The warm-up counts too: a student that starts from trained weights is at its best there.
    ours, theirs = parts(ours, _PARTS), parts(theirs, _PARTS)
    low = min(range(_PARTS), key=ours.__getitem__)
    end, fell = sum(ours[-2:]) / 2, sum(theirs[-2:]) / 2 / theirs[low] if theirs[low] > 0 else 1.0
    rise = end / ours[low] - 1 if ours[low] > 0 else 0.0
    # From random weights a loss falls before it can be driven up. One that rises from the first step on is of an
    # assigner that finds no objects at first, as RTMDet's.
    trained = facts.recipe.init == "inherit" or "load_from" in facts.recipe.config
    fallen = ours[low] <= FALL * max(ours[: low + 1])
    if low >= _PARTS - 2 or fell > FALL or not (trained or fallen):
        return None
    thrown = rate.too_high(facts)  # steps that are too large make it rise as well
    return Cause(
        "conflict",
        "the detection loss rises while the distillation loss falls: what the teacher shows does not help to detect",
        ramp(rise, *RISE) * (1 - (thrown.score if thrown else 0.0)),
        [
            Evidence("detection loss, over the rest of the run", f"{100 * rise:+.0f} %", "falls"),
            Evidence("distillation loss meanwhile", f"{100 * (fell - 1):+.0f} %", "falls"),
        ],
        "Lower the weight, or let the student learn on alone near the end.",
        facts.command(distill_until="0.5"),
    )


def _until_decay(facts: Facts, column: Column) -> list[float]:
    """The values of a column of losses from the first step to the last at full learning rate."""
    full = facts.full_rate
    pairs = zip(facts.curves.step, column, strict=True)
    return [one for step, one in pairs if one is not None and full and step <= full[-1]]


def _evidence(facts: Facts, ratio: float, level: int | None) -> list[Evidence]:
    if level is None:
        good = f"{text(_VALUES_WEAK[0])} to {text(_VALUES_STRONG[0])}"
        found = [Evidence("distillation loss / detection loss", text(ratio), good)]
    else:
        what = f"gradient of the distillation / of the detection loss, at {facts.named(level)}"
        found = [Evidence(what, text(ratio), f"{text(GOOD[0])} to {text(GOOD[1])}")]
        for name, part in (("beginning", slice(0, 3)), ("end", slice(-3, None))):
            if (there := _at(facts, level, part)) is not None:
                found.append(Evidence(f"the same at the {name} of the run", text(there), ""))
    return [*found, Evidence("weight", text(facts.recipe.loss.weight), f"{text(_usual(facts))} by default")]


def _usual(facts: Facts) -> float | None:
    """The weight that the loss has by default with this teacher."""
    recipe = facts.recipe
    with suppress(PkdError):
        loss = library.load("losses", recipe.loss.name)
        return use_loss(loss, recipe.teacher, recipe.scale, None, recipe.loss.temperature).weight
    return None


def _with_weight(facts: Facts, ratio: float | None, best: float | None) -> str | None:
    """The run again with the best of the weights that were tried, or with the default if that is fair, or a fair one.

    Args:
        facts: The run.
        ratio: Of the gradients, where it is known; the weight that makes it 1 is fair.
        best: The weight of the best run beside, where that says so.
    """
    weight, usual = facts.recipe.loss.weight, _usual(facts) if best is None else best
    if ratio and weight and best is None:
        fair = weight / ratio  # a gradient is proportional to its weight
        if usual is None or not GOOD[0] <= usual / fair <= GOOD[1]:
            usual = fair
    return facts.command(weight=f"{float(f'{usual:.2g}'):g}") if usual and math.isfinite(usual) else None
