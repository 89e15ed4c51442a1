"""Levels that teach nothing: dead, badly paired, of constant channels, or never imitated."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from pkdcli.reporting.diagnosis.cause import Cause, Evidence, ramp, text
from pkdcli.reporting.diagnosis.facts import late

if TYPE_CHECKING:
    from pkdcli.reporting.diagnosis.facts import Facts

CONSTANT = (0.1, 0.5)
"""Shares of channels. Behind a ReLU a few in a hundred are in good nets; where half are, half is not taught."""
DEAD = 0.95
"""A level with so many constant channels has nothing to show."""
NEVER = (0.3, 0.1)
"""Correlation at the end. Runs that gained end at 0.85 to 0.95; two unrelated maps have 0, give or take 0.05."""
FEW = 6
"""From so many records on a correlation can be said not to rise; a smoke run has one or two."""
_SYMPTOM = 0.6
"""That nothing is imitated has a cause; where a rule finds it, that comes first."""


def dead(facts: Facts) -> Cause | None:
    """A level whose loss is zero, or whose map is constant on one side."""
    found = {level: why for level in facts.student_levels if (why := _why_dead(facts, level))}
    if not found:
        return None
    names = ", ".join(facts.named(level) for level in found)
    alive = [level for level in facts.student_levels if level not in found]
    good = ", ".join(f"{facts.named(level)} {text(facts.late_level(level, 'r'))}" for level in alive) or "0.85 to 0.95"
    evidence = [Evidence(f"{facts.named(level)}: {what}", here, usual) for level, (what, here, usual) in found.items()]
    evidence += [
        Evidence(f"correlation at {facts.named(level)}", text(facts.late_level(level, "r")), good) for level in found
    ]
    look = f"pkd visualize --figure 8 --student {shlex.quote(str(facts.paths.root))}"
    return Cause(
        "dead-level",
        f"a dead level: nothing is learned from the teacher at {names}",
        1.0,
        evidence,
        "Look at the teacher's features, at its weights, and at what was set of this level's loss.",
        look if facts.distilled and facts.result else None,
    )


def _why_dead(facts: Facts, level: int) -> tuple[str, str, str] | None:
    loss, weight = late(facts.level(level, "loss")), facts.recipe.loss.weight
    if loss == 0 and weight:
        return "its weighted loss", "0", "above 0"
    for who in ("teacher", "student"):
        share = facts.late_level(level, f"constant_{who}")
        if share is None and facts.look:
            share = facts.look["levels"].get(str(level), {}).get(f"constant_{who}")
        if share is not None and share >= DEAD:
            return f"constant channels of the {who}", f"{100 * share:.0f} %", "0 %"
    return None


def mispaired(facts: Facts) -> Cause | None:
    """Levels that see objects of other sizes are compared, or one between two that are is left out."""
    paired = facts.strides
    if not paired:
        return None
    far = [(s, t) for s, t in paired if s and t and not 0.5 <= s / t <= 2]
    levels = facts.student_levels
    gap = [n for n in range(min(levels), max(levels)) if n not in levels] if levels else []
    if not far and not gap:
        return None
    evidence = [Evidence("strides of student and teacher that are compared", f"{s} and {t}", "equal, or a factor of 2")
                for s, t in far]  # fmt: skip
    evidence += [Evidence(f"{facts.named(level)}", "not compared", "compared, as its neighbours are") for level in gap]
    return Cause(
        "mispaired",
        "levels are badly paired: " + ("they see objects of other sizes" if far else "one is left out"),
        1.0 if far else 0.7,
        evidence,
        "Compare levels of equal stride.",
        facts.command(levels="stride"),
    )


def constant(facts: Facts) -> Cause | None:
    """Many constant channels, over the levels that are not dead as a whole."""
    shares = {}
    for who in ("teacher", "student"):
        of = [facts.late_level(level, f"constant_{who}") for level in facts.student_levels]
        if facts.look and not any(share is not None for share in of):
            of = [one.get(f"constant_{who}") for one in facts.look["levels"].values()]
        known = [share for share in of if share is not None and share < DEAD]
        if known:
            shares[who] = sum(known) / len(known)
    if not shares:
        return None
    who = max(shares, key=shares.__getitem__)
    return Cause(
        "constant-channels",
        f"{100 * shares[who]:.0f} % of the {who}'s channels are constant: they teach nothing",
        ramp(shares[who], *CONSTANT),
        [Evidence(f"constant channels of the {one}", f"{100 * share:.0f} %", "below 10 %")
         for one, share in shares.items()],
        "Compare other features (--tap), or take a teacher whose channels are alive.",
        facts.command(tap="backbone"),
    )  # fmt: skip


def uncorrelated(facts: Facts) -> Cause | None:
    """The correlation with the teacher never rises, at any level."""
    columns = {level: [one for one in facts.level(level, "r") if one is not None] for level in facts.student_levels}
    ends = {level: end for level, column in columns.items() if len(column) >= FEW and (end := late(column)) is not None}
    if not ends or not facts.result:  # before its end it may come yet
        return None
    best = max(ends.values())
    return Cause(
        "uncorrelated",
        "the student's features never come near the teacher's",
        _SYMPTOM * ramp(best, *NEVER),
        [Evidence(f"correlation at {facts.named(level)}, from beginning to end",
                  f"{text(columns[level][0])} to {text(end)}", "0 to 0.85 or more") for level, end in ends.items()],
        "See the other causes; by itself this says that the loss does not reach the student, or is too weak.",
        facts.command(loss="pkd", weight=None, temperature=None),
    )  # fmt: skip
