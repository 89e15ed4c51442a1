"""Has the trials of a search trained: runs like any other, in groups that share their teacher, each up to its pause."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pkdcli.config import schedule
from pkdcli.config.own.length import iters_per_epoch
from pkdcli.errors import ExitCode, PkdError
from pkdcli.experiment.execute import Experiment
from pkdcli.experiment.plan import PlannedRun
from pkdcli.experiment.tuning.halving import Rungs
from pkdcli.experiment.tuning.space import Params
from pkdcli.experiment.tuning.trials import RunTrial, gradient_share_weight, why_failed
from pkdcli.launch.outcome import Watcher
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.liveness import finished
from pkdcli.runs.record import number_of
from pkdcli.runs.searches import MEAN
from pkdcli.runs.store import read_jsonl


def rungs_of(recipe: Recipe) -> Rungs:
    """Where the trials of a search pause.

    Args:
        recipe: Of one of them, on data that is there.
    """
    return Rungs.of(schedule.total_iters(recipe), iters_per_epoch(recipe), recipe.accumulate)


class RunTrainer:
    """Carries trials out as an experiment's runs.

    Args:
        experiment: Plans the runs of some trials, in their order.
        rungs: Of the search.
        watcher: Told of what happens.

    Attributes:
        compared: What trials are compared by before their end, as metrics.jsonl calls it (`pkdcli.runs.searches`).
    """

    def __init__(self, experiment: Callable[[Sequence[Params]], Experiment], rungs: Rungs, watcher: Watcher) -> None:
        self._experiment = experiment
        self._rungs = rungs
        self._watcher = watcher
        self._known: Experiment | None = None
        self.compared = MEAN

    def plan(self, params: Sequence[Params]) -> list[RunTrial]:
        """The trials of these values, with what they have reached so far; none twice.

        Args:
            params: Of each.

        Raises:
            PkdError: A recipe is refused, or is one of another length than the others.
        """
        if not params:
            return []
        planned = self._known = self._experiment(params)
        by_run = {one.run: one for one in planned.planned}
        found: dict[str, RunTrial] = {}
        for values, recipe in zip(params, planned.recipes, strict=True):
            if rungs_of(recipe) != self._rungs:
                keys = ", ".join(str(key) for key in values)
                raise PkdError(
                    f"--grid: {keys} change the length of a run, and trials are compared after equal steps.",
                    "`pkd sweep --grid` trains runs of different lengths.",
                )
            run = run_id(recipe)
            if run not in found:
                found[run] = RunTrial(values, by_run[run], self._rungs.total, self.compared)
                found[run].look()
                found[run].found = found[run].taken
        return list(found.values())

    def prepare(self, trials: Sequence[RunTrial]) -> None:
        """Train the trials' teachers, where that is still to do.

        Args:
            trials: Some that `plan` has given.

        Raises:
            PkdError: A teacher failed.
        """
        todo = [one for one in _teachers(trials) if not finished(one.paths)]
        if not todo:
            return
        experiment = replace(self._current, planned=todo, outcomes={})
        experiment.execute(self._watcher)
        for one in todo:
            experiment.check(one)

    def stretch(self, trials: Sequence[RunTrial], step: int, measure: bool = True) -> Experiment:
        """What is carried out to train trials until they have taken so many steps.

        Args:
            trials: Who.
            step: So many in all; the whole run's for the end.
            measure: Evaluate them there.
        """
        mean = self._rungs.window if measure and self.compared == MEAN else 0
        pause = {"at": step, "measure": measure, "mean": mean} if step < self._rungs.total else None
        planned = [*_teachers(trials), *(replace(one.planned, pause=pause) for one in trials)]
        return replace(self._current, planned=planned, outcomes={})

    def scripts(self, trials: Sequence[RunTrial], step: int) -> list[dict[str, Any]]:
        """What a cluster would be given for that: first their teachers, which are waited for, then the trials.

        Args:
            trials: Who.
            step: So many in all.
        """
        whole, teachers = self.stretch(trials, step), _teachers(trials)
        alone = replace(whole, planned=[one for one in whole.planned if one.recipe.role != "teacher"])
        return [*replace(whole, planned=teachers).scripts(), *alone.scripts(before=[one.run for one in teachers])]

    def advance(self, trials: Sequence[RunTrial], step: int, measure: bool = True) -> None:
        """Train trials until they have taken so many steps, and bring them up to date.

        Args:
            trials: Who.
            step: So many in all; the whole run's for the end.
            measure: Evaluate them there.

        Raises:
            Interrupted: After Ctrl-C, when the runs have saved and stopped.
        """
        outcomes = self.stretch(trials, step, measure).execute(self._watcher)
        for one in trials:
            one.look()
            outcome = outcomes.get(one.run)
            if outcome is None or outcome.code == ExitCode.OK:
                continue
            one.failed = why_failed(one, outcome)

    def step_seconds(self, trial: RunTrial) -> float | None:
        """Seconds that a step of a trial took, without its start and its evaluation; None where nobody knows.

        Args:
            trial: It has taken some steps.
        """
        records: list[dict[str, Any]] = [
            one for one in read_jsonl(trial.planned.paths.metrics) if one.get("kind") == "train"
        ]
        seconds = number_of(records[-1].get("seconds")) if records else None
        return seconds / records[-1]["iter"] if seconds and records[-1].get("iter") else None

    def start_weight(self, trial: RunTrial, share: float) -> float | None:
        """The weight that gives the distillation a share of the gradient, by what a trial has measured.

        Args:
            trial: It has taken some steps.
            share: Above 0 and below 1.
        """
        return gradient_share_weight(trial.planned.paths, trial.recipe.loss.weight or 0.0, share)

    @property
    def _current(self) -> Experiment:
        if self._known is None:
            raise RuntimeError("no trials are planned yet")
        return self._known


def _teachers(trials: Sequence[RunTrial]) -> list[PlannedRun]:
    """The teachers of some trials, none twice."""
    found = {one.planned.teacher.run: one.planned.teacher for one in trials if one.planned.teacher is not None}
    return list(found.values())
