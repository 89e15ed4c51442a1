"""The best weight for less than a grid: `pkdcli.tune()` and `pkd tune`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli.api.planning import Planned, asked
from pkdcli.api.tune.options import Searched, TuneOptions, searched
from pkdcli.api.tune.result import Tuned, interval
from pkdcli.errors import ExitCode, PkdError
from pkdcli.launch.options import LaunchOptions
from pkdcli.launch.outcome import Watcher
from pkdcli.options import OutputOptions
from pkdcli.recipe.axes.grid import GridOptions
from pkdcli.recipe.options import RecipeOptions, TeacherOptions

if TYPE_CHECKING:
    from pkdcli.experiment.execute import Experiment
    from pkdcli.experiment.tuning.budget import Budget
    from pkdcli.experiment.tuning.halving import Rungs
    from pkdcli.experiment.tuning.trainer import RunTrainer
    from pkdcli.experiment.tuning.trials import RunTrial
    from pkdcli.recipe.schema import Recipe


def tune(
    options: TuneOptions,
    more: GridOptions,
    recipe: RecipeOptions,
    teacher: TeacherOptions,
    launch: LaunchOptions,
    output: Planned,
    *,
    watcher: Watcher,
    command: str,
) -> Tuned | TunePlan:
    """Find the best weight, temperature or key of a recipe for less than a full grid costs.

    Trials are whole runs, paused and compared after equal steps; the better ones go on, and the best two to the end.
    Calling it again goes on from wherever it was interrupted; runs that are there are used.

    Args:
        options: What is searched, and what it may cost.
        more: Keys of the recipe that are searched too.
        recipe: How trials are trained.
        teacher: Where its weights come from, and whether students share it.
        launch: Where trials are carried out; a cluster's jobs are waited for.
        output: Where runs are, and whether only to plan.
        watcher: Told of what happens.
        command: What somebody called, for the runs' records.

    Returns:
        The best, and what it has cost; with `dry_run=True` the plan.

    Raises:
        PkdError: Something is wrong before anything runs, the budget is shorter than one run, or every trial failed.
        KeyboardInterrupt: After Ctrl-C, when the runs have saved and stopped.
    """
    plan = plan_tune(options, more, recipe, teacher, launch, output, watcher=watcher, command=command)
    return plan if output.dry_run else plan.execute(watcher)


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
        told = watcher.on_rung, partial(keep_for_reports, self.runs, self.name, space, self.rungs)
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


def plan_tune(
    options: TuneOptions,
    more: GridOptions,
    recipe: RecipeOptions,
    teacher: TeacherOptions,
    launch: LaunchOptions,
    output: OutputOptions,
    *,
    watcher: Watcher,
    command: str,
) -> TunePlan:
    """Plan a search.

    Args:
        options: What is searched, and what it may cost.
        more: Keys of the recipe that are searched too.
        recipe: How trials are trained.
        teacher: Where its weights come from, and whether students share it.
        launch: Where trials are carried out.
        output: Where runs are.
        watcher: Told of data that is drawn or checked.
        command: What somebody typed or called, for the runs' records.

    Raises:
        PkdError: Something is wrong with what was asked for, a recipe, its files or its data.
    """
    from pkdcli.experiment.execute import experiment
    from pkdcli.experiment.tuning.budget import MOST, parse
    from pkdcli.experiment.tuning.search import first_trials
    from pkdcli.experiment.tuning.trainer import RunTrainer, rungs_of
    from pkdcli.recipe.axes.grid import as_grid
    from pkdcli.recipe.resolve import resolve

    budget, what = parse(options.budget, options.trials), searched(options, more.grid)
    machines, base = asked(options, recipe, teacher, launch, output)
    base, waiting = replace(base, weight=what.weight, temperature=what.temperature), replace(launch, wait=True)

    def recipes(params: Sequence[Mapping[str, Any]]) -> list[Recipe]:
        with as_grid(what.keys):
            found = []
            for one in params:
                keys = tuple(f"{axis.key}={one[axis.key]}" for axis in what.keys)
                numbers = {name: one[name] for name in ("weight", "temperature") if name in one}
                found.append(resolve(replace(base, sets=(*base.sets, *keys), **numbers)))
            return found

    def planned(params: Sequence[Mapping[str, Any]]) -> Experiment:
        share = teacher.share_teacher
        return experiment(recipes(params), machines, waiting, output, watcher=watcher, command=command, share=share)

    every = first_trials(what.space, MOST, base.seed)
    one_each = [{**every[0], axis.key: value} for axis in what.keys for value in axis.values]
    recipes(one_each)  # a key or a value that is refused is refused at once
    first = planned(every[:1])
    if first.recipes[0].data.train_images is None:
        raise PkdError(
            f"the data set {first.recipes[0].data.name} is not there, so the steps of a run are not known.",
            "Without --dry-run it is drawn, or it is said what is missing.",
            ExitCode.MISSING,
        )
    rungs = rungs_of(first.recipes[0])
    trainer = RunTrainer(planned, rungs, watcher)
    budget = budget.default(rungs, what.space.grid, what.space.size)
    rate = _seconds_a_step(first, rungs)
    trials = budget.trials_for(rungs, rate=rate)
    known = trainer.plan(first_trials(what.space, trials or len(every), base.seed))
    name = _name(first.recipes[0], what)
    return TunePlan(what, rungs, budget, trials, rate, known, first.runs, name, base.seed, trainer)


def _seconds_a_step(experiment: Experiment, rungs: Rungs) -> float | None:
    """How long a step takes, by finished runs of this machine; None where none tells."""
    from pkdcli.runs.estimate import measured, seconds_for
    from pkdcli.runs.status import columns

    recipe = experiment.recipes[0]
    results = measured([experiment.runs])
    seconds = seconds_for(results, columns(recipe, ""), rungs.total * recipe.batch)
    return seconds / rungs.total if seconds else None


def _name(recipe: Recipe, what: Searched) -> str:
    """The name of a study: the same for the same search, whatever its budget."""
    from pkdcli.recipe.identity import digest, run_id

    axes = [[type(one).__name__, *vars(one).values()] for one in what.space.axes]
    text = json.dumps([digest(recipe), axes], sort_keys=True)
    who, loss, *rest, _ = run_id(recipe).split("__")
    seed = f"s{recipe.seed}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return "__".join([who, loss.split("-w")[0], *rest, seed])


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
