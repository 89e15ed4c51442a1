"""A search before it begins: what is known of it, what it would cost, and how it is carried out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli.api.tune.options import Searched
from pkdcli.api.tune.result import Tuned, interval
from pkdcli.errors import PkdError
from pkdcli.launch.outcome import Watcher
from pkdcli.options import OutputOptions

if TYPE_CHECKING:
    from pkdcli.experiment.execute import Experiment
    from pkdcli.experiment.tuning.budget import Budget
    from pkdcli.experiment.tuning.halving import Advance, Rungs
    from pkdcli.experiment.tuning.trainer import RunTrainer
    from pkdcli.experiment.tuning.trials import RunTrial


@dataclass
class TunePlan:
    """A search before it begins.

    Attributes:
        searched: What is searched.
        rungs: Steps after which trials are compared.
        budget: What it may cost.
        trials: How many trials that is; None where it depends on their speed.
        rate: Seconds a step, by runs that are there; None where none tells.
        first: Those that are known before anything has run.
        runs: The folder of runs.
        name: The study's.
        seed: Of the suggestions.
        trainer: Carries trials out.
    """

    searched: Searched
    rungs: Rungs
    budget: Budget
    trials: int | None
    rate: float | None
    first: Sequence[RunTrial] = field(repr=False)  # whole recipes, pages of them
    runs: Path
    name: str
    seed: int
    trainer: RunTrainer = field(repr=False)

    @property
    def storage(self) -> Path:
        """The Optuna study's SQLite file."""
        from pkdcli.runs.searches import FOLDER

        return self.runs / FOLDER / f"{self.name}.sqlite3"

    @property
    def steps(self) -> int | None:
        """What it will cost, in students' steps, if no run of it is there; None where it depends on their speed."""
        return None if self.trials is None else self.rungs.cost(self.trials)

    @property
    def grid_steps(self) -> int:
        """What a full grid by hand costs."""
        return self.searched.space.grid * self.rungs.total

    @property
    def ahead(self) -> Experiment | None:
        """What is carried out to the first comparison; None where the runs that are there have passed it."""
        move = self._first_move()
        return None if move is None else self.trainer.stretch(move.trials, move.step)

    def scripts(self) -> list[dict[str, Any]]:
        """What a cluster would be given for that: `script` and the command that submits it."""
        move = self._first_move()
        return [] if move is None else self.trainer.scripts(move.trials, move.step)

    def _first_move(self) -> Advance | None:
        from pkdcli.experiment.tuning.halving import Advance, next_move

        move = next_move(self.rungs, self.first, self.trials or len(self.first))
        return move if isinstance(move, Advance) else None

    def execute(self, watcher: Watcher) -> Tuned:
        """Search to the end.

        Args:
            watcher: Told of what happens.

        Raises:
            PkdError: The storage can't be used, the budget is shorter than one run, or every trial failed.
            Interrupted: After Ctrl-C, when the runs have saved and stopped.
        """
        from pkdcli.experiment.tuning.search import Search
        from pkdcli.experiment.tuning.storage import Study, keep_for_reports

        space = self.searched.space
        study = Study(self.storage, self.name, space)
        self.trainer.compared = study.compared
        told = watcher.on_rung, partial(keep_for_reports, self.runs, self.name, space, self.rungs, study.compared)
        search = Search(space, self.rungs, self.budget, self.trainer, study, self.seed, *told, guess=self.rate)
        found = search.run()
        return self._result(found, search.trials, search.spent, study.seconds, search.start, watcher)

    def _result(
        self,
        found: Sequence[Any],
        trials: Sequence[Any],
        steps: int,
        seconds: float,
        start: float | None,
        watcher: Watcher,
    ) -> Tuned:
        from pkdcli.api.runs import runs_of

        space, best = self.searched.space, found[0]
        runs = runs_of(one.planned.paths for one in found)
        lead, alike = None, []
        if len(found) > 1:
            lead = _lead(found[0], found[1], self.rungs.total, self.runs, watcher)
            alike = [found[1]] if lead[1] is not None and lead[1] <= 0 else []
        around = {
            one.name: interval(
                [other.params[one.name] for other in trials],
                best.params[one.name],
                [other.params[one.name] for other in alike],
            )
            for one in space.ranges
        }
        order = sorted(trials, key=lambda one: [-one.curve.get(step, -1.0) for step in reversed(self.rungs.steps)])
        return Tuned(
            best=runs[0],
            params=dict(best.params),
            mAP=best.curve[self.rungs.total],
            runner_up=runs[1] if len(runs) > 1 else None,
            lead=lead,
            interval=around,
            steps=steps,
            grid_runs=space.grid,
            grid_steps=self.grid_steps,
            seconds=round(seconds, 1),
            start=start,
            rungs=self.rungs.steps,
            trials=[_row(one, self.rungs.steps) for one in order],
            storage=self.storage,
        )


def _row(trial: RunTrial, rungs: Sequence[int]) -> dict[str, Any]:
    state = "failed" if trial.failed is not None else "done" if rungs[-1] in trial.curve else "paused"
    measured = {f"mAP@{step}": trial.curve.get(step) for step in rungs}
    return {"run": trial.run, "state": state, "steps": trial.taken, **trial.params, **measured}


def _lead(
    best: RunTrial, other: RunTrial, total: int, runs: Path, watcher: Watcher
) -> tuple[float, float | None, float | None]:
    """How far one is ahead of another, and the interval over images; without ends where detections are missing."""
    from pkdcli.api.compare import CompareOptions, compare

    lead = best.curve[total] - other.curve[total]
    names = (str(other.planned.paths.root), str(best.planned.paths.root))
    try:
        found = compare(CompareOptions(names=names), OutputOptions(runs=runs), watcher=watcher).found[0]
    except PkdError as error:
        watcher.on_note(f"no interval over images: {error.message.rstrip('.')}")
        return lead, None, None
    by_images = found.metrics["mAP"].by_images
    return lead, by_images.lower, by_images.upper
