"""All rules on one run, the likeliest cause first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pkdcli.reporting.diagnosis import balance, data, length, levels, rate, student, teacher
from pkdcli.reporting.diagnosis.cause import Cause, Rule
from pkdcli.reporting.diagnosis.facts import Facts
from pkdcli.runs.find import word_of

RULES: tuple[Rule, ...] = (
    *(data.faults, data.labels, teacher.normalisation, teacher.domain, teacher.weak, student.frozen),
    *(rate.too_high, rate.too_low, levels.dead, levels.mispaired, levels.constant, balance.overwhelms),
    *(balance.overwhelmed, student.adapters, balance.conflict, length.too_short, levels.uncorrelated),
)
"""In the order in which they come where they are equally likely: what makes others wrong comes before them."""

FEW = 8
"""From so many records of losses on a curve can be told."""


@dataclass(frozen=True)
class Diagnosis:
    """What is to be said of a run.

    Attributes:
        run: Its id.
        causes: The likeliest first; unlikely ones too.
        notes: What a reader should know beside.
        mAP: Of the run; None where it has not been evaluated.
        gain: Over its baseline; None where there is none.
        word: What names it in a command; None for its id.
    """

    run: str
    causes: tuple[Cause, ...]
    notes: tuple[str, ...] = ()
    mAP: float | None = None
    gain: float | None = None
    word: str | None = None

    @property
    def named(self) -> list[Cause]:
        """The causes that are more likely than not."""
        return [one for one in self.causes if one.likely]

    @property
    def healthy(self) -> bool:
        """Whether no cause is likely."""
        return not self.named

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "run": self.run,
            "healthy": self.healthy,
            "mAP": self.mAP,
            "gain": self.gain,
            "causes": [one.record() for one in self.named],
            "unlikely": [one.record() for one in self.causes if not one.likely],
            "notes": list(self.notes),
        }


def diagnosed(facts: Facts) -> Diagnosis:
    """Ask every rule, and put the likeliest cause first."""
    found = [cause for rule in RULES if (cause := rule(facts)) is not None]
    found.sort(key=lambda one: -one.score)  # a stable sort keeps the order of the rules
    gain, word = facts.record.get("gain"), word_of(facts.paths)
    return Diagnosis(facts.paths.run, tuple(found), tuple(_notes(facts)), facts.mAP, gain, word)


def _notes(facts: Facts) -> list[str]:
    notes = []
    if facts.smoke:
        notes.append(f"a smoke run ({facts.smoke}): what is said of its length means nothing.")
    if not facts.result:
        state = facts.status.get("state", "unknown")
        notes.append(f"it is not finished ({state}): this is said of what it has recorded so far.")
    elif len(facts.curves.step) < FEW:
        times = f"{(count := len(facts.curves.step))} time{'s' * (count > 1)}"
        notes.append(f"it has recorded its losses {times}: most causes can't be told from that.")
    if not facts.updates:
        notes.append("it was made by a release that did not record how far steps move the weights, nor the detection "
                     "loss's gradient at the levels: some causes can't be told.")  # fmt: skip
    if facts.distilled and facts.record.get("gain") is None and facts.result:
        alone = facts.command(loss="none", weight=None, temperature=None)
        notes.append(f"there is no baseline to hold it against: {alone}")
    if facts.distilled and facts.look is None:
        notes.append(f"`pkd diagnose {word_of(facts.paths)} --look` also runs both nets over a few images.")
    return notes
