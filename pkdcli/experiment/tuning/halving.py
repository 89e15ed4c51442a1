"""Successive halving over pauses of full runs: how far trials are trained, and who goes on.

A trial is the whole run that its recipe describes, paused after a part of its steps. So trials are compared after equal
steps at equal learning rates, which a run of fewer epochs with its schedule squeezed together is not: its rate has
fallen already, and what it has reached says little of the same step in the whole run. And no step is taken twice: who
goes on does so from where it paused, to the very numbers of a run that never paused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

SHARES = (1 / 6, 1 / 3, 1 / 2, 1.0)
"""Where trials pause, as shares of the run: all before the rate falls in 1x and 2x, and the end."""
KEEP = (1.0, 2 / 3, 1 / 2)
"""The share of the trials that are trained to each pause; to the end are the best and the runner-up."""
FINALISTS = 2


class Trial(Protocol):
    """What the decisions need to know of a trial.

    Attributes:
        found: Steps it had taken when the search came upon it.
        curve: mAP in AP points, 0 to 100, by the steps it was measured after.
        failed: Why it is out, in words; None where it is not.
    """

    found: int
    curve: dict[int, float]
    failed: str | None


@dataclass(frozen=True)
class Rungs:
    """Where trials pause and are compared.

    Attributes:
        steps: Of optimizer steps as the loop counts them, rising; the last is the whole run.
        keep: The share of the trials that is trained to each but the last.
    """

    steps: tuple[int, ...]
    keep: tuple[float, ...]

    @classmethod
    def of(cls, total: int, per_epoch: int, multiple: int = 1) -> Rungs:
        """The rungs of a run.

        At ends of epochs, where that leaves each apart from the next.

        Args:
            total: Steps of the whole run.
            per_epoch: Steps of an epoch.
            multiple: Steps whose gradients are added: a state can be saved behind them only.
        """
        for unit in (math.lcm(per_epoch, multiple), multiple):
            steps = [min(total, unit * math.ceil(round(total * share / unit, 6))) for share in SHARES]
            kept = {step: keep for step, keep in zip(reversed(steps[:-1]), reversed(KEEP), strict=True) if step < total}
            if len(kept) == len(KEEP):
                break
        rungs = sorted(kept)
        return cls((*rungs, total), tuple(kept[step] for step in rungs))

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self.steps[-1]

    @property
    def window(self) -> int:
        """The weights of so many steps before a comparison are averaged for it: half of those to the first one."""
        return max(1, self.steps[0] // 2)

    def count(self, rung: int, trials: int) -> int:
        """How many of so many trials are trained to a rung.

        Args:
            rung: From 0.
            trials: All of them.
        """
        if rung == len(self.steps) - 1:
            return min(FINALISTS, trials)
        return min(trials, max(FINALISTS, math.ceil(trials * self.keep[rung] - 1e-9)))

    def cost(self, trials: int) -> int:
        """Steps that a search over so many trials takes, none of which was begun before."""
        before = (0, *self.steps)
        return sum(self.count(rung, trials) * (step - before[rung]) for rung, step in enumerate(self.steps))

    def affordable(self, steps: float) -> int:
        """How many trials a search of so many steps has."""
        trials = 0
        while self.cost(trials + 1) <= steps:
            trials += 1
        return trials


@dataclass(frozen=True)
class Advance:
    """Some trials are to be trained to a rung.

    Attributes:
        rung: From 0.
        step: Where it is.
        trials: Who has not been there.
    """

    rung: int
    step: int
    trials: list[Any]


@dataclass(frozen=True)
class Propose:
    """More trials are wanted.

    Attributes:
        count: So many.
    """

    count: int


@dataclass(frozen=True)
class Done:
    """The search is over.

    Attributes:
        ranked: The trials that were trained to the end, the best first.
    """

    ranked: list[Any] = field(default_factory=list)


def passed(trial: Trial, step: int, window: int) -> bool:
    """Whether a trial is not to be trained to a comparison: it has been measured there or later, or can't be any more.

    Args:
        trial: It may have been too near, or further, before the search came upon it.
        step: Where the comparison is.
        window: Steps before it that are averaged for it.
    """
    return any(at >= step for at in trial.curve) or trial.found > step - window


def ranked(trials: Sequence[Any], step: int) -> list[Any]:
    """Those trials that were measured after so many steps, the best first; of equal ones the earlier.

    Args:
        trials: Any.
        step: So many.
    """
    return sorted((one for one in trials if step in one.curve), key=lambda one: -one.curve[step])


def next_move(rungs: Rungs, trials: Sequence[Any], wanted: int) -> Advance | Propose | Done:
    """What a search does next; it follows from what the trials have reached, so it is the same after any interruption.

    A run that was further than a rung before the search came upon it, and was not measured there, passes it: it costs
    nothing, and is compared where it was measured.

    Args:
        rungs: Where trials are compared.
        trials: All so far.
        wanted: How many there are to be.
    """
    alive = [one for one in trials if one.failed is None]
    for rung, step in enumerate(rungs.steps):
        window = rungs.window if step < rungs.total else 0
        todo = [one for one in alive if not passed(one, step, window)]
        if todo:
            return Advance(rung, step, todo)
        if rung == 0 and len(trials) < wanted:
            return Propose(wanted - len(trials))
        if step == rungs.total:
            break
        count = rungs.count(rung + 1, len([one for one in trials if one.failed is None]))
        goes_on = [*ranked(alive, step)[:count], *(one for one in alive if step not in one.curve)]
        alive = [one for one in alive if one in goes_on]
    return Done(ranked([one for one in trials if one.failed is None], rungs.total))
