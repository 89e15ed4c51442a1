"""The search itself: proposes trials, has them trained from rung to rung, and ends with the best."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pkdcli.errors import ExitCode, PkdError
from pkdcli.experiment.tuning.budget import LEAST, Budget
from pkdcli.experiment.tuning.halving import Advance, Done, Propose, Rungs, next_move, ranked
from pkdcli.experiment.tuning.space import Params, Range, Space
from pkdcli.experiment.tuning.storage import Study, suggest

SHARE = 0.1
"""The search starts from the weight that gives the distillation this share of the gradient."""
PROBE = 12
"""Steps in which it is measured, of a trial that goes on with them."""


class SearchTrial(Protocol):
    """A trial, as `pkdcli.experiment.tuning.trials.RunTrial` is one."""

    params: Params
    found: int
    curve: dict[int, float]
    taken: int
    failed: str | None

    @property
    def run(self) -> str:
        """The run's id."""


class Trainer(Protocol):
    """What a search asks of those who can train."""

    def plan(self, params: Sequence[Params]) -> list[SearchTrial]:
        """The trials of these values, with what they have reached so far; none twice.

        Args:
            params: Of each.
        """

    def prepare(self, trials: Sequence[SearchTrial]) -> None:
        """Do what comes before trials and is no part of their time: train their teacher.

        Args:
            trials: Some of them.
        """

    def advance(self, trials: Sequence[SearchTrial], step: int, measure: bool = True) -> None:
        """Train trials until they have taken so many steps, and bring them up to date.

        Args:
            trials: Who.
            step: So many in all; the whole run's for the end.
            measure: Evaluate them there.
        """

    def step_seconds(self, trial: SearchTrial) -> float | None:
        """Seconds that a step of a trial took, without its start and its evaluation; None where nobody knows.

        Args:
            trial: It has taken some steps.
        """

    def start_weight(self, trial: SearchTrial, share: float) -> float | None:
        """The weight that gives the distillation a share of the gradient, by what a trial has measured.

        Args:
            trial: It has taken some steps.
            share: Above 0 and below 1.
        """


@dataclass
class Search:
    """A search, which goes on from wherever it was left.

    Attributes:
        space: What is tried.
        rungs: How far.
        budget: How much of it.
        trainer: Carries the trials out.
        study: Remembers them.
        seed: Of the suggestions.
        say: Told at every rung what came of it, as a mapping.
        keep: Called with all trials whenever there are more, for whoever shows them.
        clock: Seconds, of any origin.
        trials: All so far.
        start: The weight by the gradient's share, before it was brought into the range; None where it is not known.
        guess: Seconds a step, before the search has taken many.
    """

    space: Space
    rungs: Rungs
    budget: Budget
    trainer: Trainer
    study: Study
    seed: int = 0
    say: Callable[[Mapping[str, Any]], None] = lambda what: None
    keep: Callable[[Sequence[SearchTrial]], None] = lambda trials: None
    clock: Callable[[], float] = time.monotonic
    trials: list[SearchTrial] = field(default_factory=list)
    start: float | None = None
    guess: float | None = None

    @property
    def spent(self) -> int:
        """Steps that the trials have taken for this search."""
        return sum(max(0, one.taken - one.found) for one in self.trials)

    @property
    def rate(self) -> float | None:
        """Seconds a step, by what the search has seen; None before."""
        seen = self.study.seconds if self.spent >= self.rungs.steps[0] else 0.0
        return seen / self.spent if seen else self.guess

    def load(self) -> None:
        """Take up the trials that the study remembers."""
        known = self.study.load()
        self.trials = self.trainer.plan([params for params, _ in known])
        before = {_key(params): found for params, found in known}
        for one in self.trials:
            one.found = before.get(_key(one.params), one.found)
        self.start = self.study.start
        if self.trials:
            self.keep(self.trials)

    def run(self) -> list[SearchTrial]:
        """Search to the end.

        Returns:
            The trials that were trained to the end, the best first.

        Raises:
            PkdError: The budget is shorter than one run, or every trial failed.
            Interrupted: After Ctrl-C, when the runs have saved and stopped.
        """
        self.load()
        said = -1
        while True:
            move = next_move(self.rungs, self.trials, self.wanted())
            if isinstance(move, Done):
                break
            if isinstance(move, Propose):
                if not self._propose(move.count):
                    self.budget = Budget(trials=len(self.trials))  # the space has no more
                continue
            if move.rung > said >= 0:
                self._tell(said)
            said = move.rung
            self._advance(move)
        if not move.ranked:
            raise _all_failed(self.trials)
        self._tell(len(self.rungs.steps) - 1)
        self.study.close(self.trials, self.rungs.total)
        return move.ranked

    def wanted(self) -> int:
        """How many trials the budget has room for, those there are among them.

        Raises:
            PkdError: It is shorter than one run.
        """
        wanted = self.budget.trials_for(self.rungs, self.spent, self.rate, self.study.seconds) or LEAST
        return max(len(self.trials), wanted if self.space.size is None else min(wanted, self.space.size))

    def _propose(self, count: int) -> int:
        """Add trials; how many."""
        if self.trials:
            batch = min(count, max(1, math.ceil((count + len(self.trials)) / 4)))
            beside = self._beside_the_best()[:batch]
            return self._add(beside or suggest(self.space, self.trials, self.rungs.total, batch, self.seed))
        probed = self._probe(count)
        found = self._first(min(count, self.wanted()))
        return self._add(found, probed)

    def _beside_the_best(self) -> list[dict[str, Any]]:
        """Trials in the gaps beside the best, where one number is searched; none where they are filled."""
        step, (axis, *more) = self.rungs.steps[0], self.space.axes
        measured = ranked(self.trials, step)
        if more or not isinstance(axis, Range) or not measured:
            return []
        tried = [one.params[axis.name] for one in self.trials]
        gaps = axis.gaps({one.params[axis.name]: one.curve[step] for one in measured})
        return [{axis.name: value} for value in gaps if value not in tried]

    def _add(self, params: Sequence[Params], probed: SearchTrial | None = None) -> int:
        known = {one.run for one in self.trials}
        new = [one for one in self.trainer.plan(params) if one.run not in known]
        for one in new:
            if probed is not None and one.run == probed.run:
                one.found = probed.found  # its first steps were taken for the search
            self.study.add(one)
        self.trials += new
        self.keep(self.trials)
        return len(new)

    def _first(self, count: int) -> list[dict[str, Any]]:
        """The first trials: spread over the space, and the weight that gives the loss a tenth of the gradient."""
        design = first_trials(self.space, count, self.seed)
        weights = self.space.axis("weight")
        if not isinstance(weights, Range) or self.start is None:
            return design
        value = weights.nearest(min(max(self.start, weights.low), weights.high))
        place = min(range(len(design)), key=lambda at: abs(math.log(design[at]["weight"] / value)))
        if design[place]["weight"] != value and len(design) < count:
            return [{**design[place], "weight": value}, *design]
        return [{**design[place], "weight": value}, *design[:place], *design[place + 1 :]]

    def _probe(self, count: int) -> SearchTrial | None:
        """Train a trial in the middle of the space for some steps, to see how fast it is and how large its gradients.

        Args:
            count: Trials that are wanted.

        Returns:
            The trial; None where each that would do has been trained before.
        """
        design = first_trials(self.space, count, self.seed)
        if isinstance(weights := self.space.axis("weight"), Range):
            middle = math.log(weights.low * weights.high) / 2
            design.sort(key=lambda one: abs(math.log(one["weight"]) - middle))
        first = self.rungs.steps[0]
        step = min(PROBE, first - self.rungs.window) or first  # the steps that are averaged are taken in one go
        chosen = next((one for one in self.trainer.plan(design) if one.taken <= step), None)
        if chosen is None:
            return None
        self.trainer.prepare([chosen])
        if not chosen.taken:
            self._train([chosen], step, measure=step == first)
        else:
            chosen.found = 0  # a search that was killed there took them
        if chosen.failed is None:
            self.guess = self.trainer.step_seconds(chosen)
            if self.space.axis("weight") is not None:
                self.start = self.study.start = self.trainer.start_weight(chosen, SHARE)
        return chosen

    def _advance(self, move: Advance) -> None:
        self._train(move.trials, move.step)
        for one in move.trials:
            self.study.note(one)
        still = [one for one in move.trials if one.failed is None and not any(at >= move.step for at in one.curve)]
        for one in still:
            one.failed = f"it was not measured after {move.step} steps"

    def _train(self, trials: Sequence[SearchTrial], step: int, measure: bool = True) -> None:
        begin = self.clock()
        try:
            self.trainer.advance(trials, step, measure)
        finally:
            self.study.seconds += self.clock() - begin

    def _tell(self, rung: int) -> None:
        step = self.rungs.steps[rung]
        rows = [
            {"run": one.run, "params": dict(one.params), "mAP": one.curve[step]} for one in ranked(self.trials, step)
        ]
        self.say({"rung": rung + 1, "rungs": len(self.rungs.steps), "step": step, "trials": rows, "spent": self.spent})


def first_trials(space: Space, count: int, seed: int) -> list[dict[str, Any]]:
    """The trials of a search that are known before anything has run, but for the weight by the gradient's share.

    Args:
        space: What they differ in.
        count: No more than these.
        seed: Decides which values of several axes meet.
    """
    return space.design(space.first(count), seed)


def _key(params: Params) -> tuple[Any, ...]:
    return tuple(sorted(params.items()))


def _all_failed(trials: Sequence[SearchTrial]) -> PkdError:
    lines = "\n".join(f"{one.run}: {one.failed}" for one in trials)
    return PkdError("every trial failed, so there is no best one.", lines, ExitCode.RUN_FAILED)
