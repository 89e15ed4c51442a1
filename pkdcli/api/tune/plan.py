"""A search before it begins: what is known of it, what it would cost, and how it is carried out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli.api.tune.confirm import judge, lead_of
from pkdcli.api.tune.options import Searched
from pkdcli.api.tune.result import Tuned, interval, lows
from pkdcli.experiment.tuning.halving import FINALISTS, Advance, Rungs, next_move
from pkdcli.launch.outcome import Watcher

if TYPE_CHECKING:
    from pkdcli.experiment.execute import Experiment
    from pkdcli.experiment.tuning.budget import Budget
    from pkdcli.experiment.tuning.confirm import Confirmed
    from pkdcli.experiment.tuning.search import Search
    from pkdcli.experiment.tuning.space import Params
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
        confirming: Plans the runs of finalists on further seeds.
        confirm_seeds: These seeds; none where the search's own is all.
        begun: The trials that the study knows, as far as a dry run has looked; none where it is still to begin.
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
    confirming: Callable[[Sequence[tuple[Params, int]]], Experiment] = field(repr=False)
    confirm_seeds: tuple[int, ...] = ()
    begun: Sequence[RunTrial] = field(repr=False, default=())

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
    def confirm_runs(self) -> int:
        """Runs of the finalists on further seeds, if none of them is there."""
        return min(FINALISTS, self.trials or FINALISTS) * len(self.confirm_seeds)

    @property
    def confirm_steps(self) -> int:
        """Their steps, apart from the budget."""
        return self.confirm_runs * self.rungs.total

    @property
    def grid_steps(self) -> int:
        """What a full grid by hand costs."""
        return self.searched.space.grid * self.rungs.total

    @property
    def ahead(self) -> Experiment | None:
        """What is carried out to the next comparison; None where it is over, or its trials are still to be proposed."""
        move = self.next()
        return None if move is None else self.trainer.stretch(move.trials, move.step)

    def scripts(self) -> list[dict[str, Any]]:
        """What a cluster would be given for that: `script` and the command that submits it."""
        move = self.next()
        return [] if move is None else self.trainer.scripts(move.trials, move.step)

    def next(self) -> Advance | None:
        """Which trials are trained to which comparison next; None as for `ahead`."""
        trials = self.begun or self.first
        move = next_move(self.rungs, trials, max(self.trials or 0, len(trials)))
        return move if isinstance(move, Advance) else None

    def execute(self, watcher: Watcher) -> Tuned:
        """Search to the end.

        Args:
            watcher: Told of what happens.

        Raises:
            PkdError: The storage can't be used, the budget is shorter than one run, or every trial failed.
            Interrupted: After Ctrl-C, when the runs have saved and stopped.
        """
        from pkdcli.experiment.tuning.confirm import confirm
        from pkdcli.experiment.tuning.search import Search
        from pkdcli.experiment.tuning.storage import Study, keep_for_reports

        space = self.searched.space
        study = Study(self.storage, self.name, space)
        self.trainer.compared = study.compared
        told = watcher.on_rung, partial(keep_for_reports, self.runs, space, self.rungs, study)
        search = Search(space, self.rungs, self.budget, self.trainer, study, self.seed, *told, guess=self.rate)
        found: Sequence[Any] = search.run()
        confirmed = None
        if self.confirm_seeds:
            listed = ", ".join(map(str, self.confirm_seeds))
            watcher.on_note(f"the finalists of the search are trained on seed{_s(self.confirm_seeds)} {listed}")
            confirmed = confirm(
                found[:FINALISTS], self.confirm_seeds, self.confirming, study, watcher, partial(told[1], search.trials)
            )
        return self._result(found, search, study.seconds, confirmed, watcher)

    def _result(
        self, found: Sequence[Any], search: Search, seconds: float, confirmed: Confirmed | None, watcher: Watcher
    ) -> Tuned:
        from pkdcli.api.runs import runs_of

        trials: Sequence[Any] = search.trials
        space, total = self.searched.space, self.rungs.total
        finalists, lead, confirmation = list(found[:FINALISTS]), None, None
        if confirmed is not None:
            finalists, lead, confirmation = judge(finalists, confirmed, watcher)
        elif len(finalists) > 1:
            lead = lead_of(finalists[:1], finalists[1:], watcher)
        best = finalists[0]
        runs = runs_of(one.planned.paths for one in finalists)
        ends = [] if lead is None else lows(lead, confirmation)
        alike = finalists[1:] if any(low is not None and low <= 0 for low in ends) else []
        around = {
            one.name: interval(
                [other.params[one.name] for other in trials],
                best.params[one.name],
                [other.params[one.name] for other in alike],
            )
            for one in space.ranges
        }
        order = sorted(trials, key=lambda one: [-one.curve.get(step, -1.0) for step in reversed(self.rungs.steps)])
        order = [*finalists, *(one for one in order if one not in finalists)] if confirmation else order
        return Tuned(
            best=runs[0],
            params=dict(best.params),
            mAP=confirmation.means[best.run] if confirmation else best.curve[total],
            runner_up=runs[1] if len(runs) > 1 else None,
            lead=lead,
            interval=around,
            steps=search.spent,
            grid_runs=space.grid,
            grid_steps=self.grid_steps,
            seconds=round(seconds, 1),
            start=search.start,
            rungs=self.rungs.steps,
            trials=[_row(one, self.rungs.steps) for one in order],
            storage=self.storage,
            confirmation=confirmation,
        )


def _row(trial: RunTrial, rungs: Sequence[int]) -> dict[str, Any]:
    state = "failed" if trial.failed is not None else "done" if rungs[-1] in trial.curve else "paused"
    measured = {f"mAP@{step}": trial.curve.get(step) for step in rungs}
    return {"run": trial.run, "state": state, "steps": trial.taken, **trial.params, **measured}


def _s(several: Sequence[Any]) -> str:
    return "" if len(several) == 1 else "s"
