"""The best weight for less than a grid: `pkdcli.tune()` and `pkd tune`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pkdcli.api.planning import Planned, asked
from pkdcli.api.tune.options import Searched, TuneOptions, further_seeds, searched
from pkdcli.api.tune.plan import TunePlan
from pkdcli.api.tune.result import Tuned
from pkdcli.errors import ExitCode, PkdError
from pkdcli.launch.options import LaunchOptions
from pkdcli.launch.outcome import Watcher
from pkdcli.options import OutputOptions
from pkdcli.recipe.axes.grid import GridOptions
from pkdcli.recipe.options import RecipeOptions, TeacherOptions

if TYPE_CHECKING:
    from pkdcli.experiment.execute import Experiment
    from pkdcli.experiment.tuning.halving import Rungs
    from pkdcli.experiment.tuning.space import Params
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
    from pkdcli.experiment.tuning.storage import check
    from pkdcli.experiment.tuning.trainer import RunTrainer, rungs_of
    from pkdcli.recipe.axes.grid import as_grid
    from pkdcli.recipe.resolve import resolve

    budget, what = parse(options.budget, options.trials), searched(options, more.grid)
    machines, base = asked(options, recipe, teacher, launch, output)
    base, waiting = replace(base, weight=what.weight, temperature=what.temperature), replace(launch, wait=True)

    seeds = further_seeds(options)

    def recipes(params: Sequence[Mapping[str, Any]], seeds: Sequence[int] = ()) -> list[Recipe]:
        with as_grid(what.keys):
            found = []
            for one, seed in zip(params, seeds or [base.seed] * len(params), strict=True):
                keys = tuple(f"{axis.key}={one[axis.key]}" for axis in what.keys)
                numbers = {name: one[name] for name in ("weight", "temperature") if name in one}
                found.append(resolve(replace(base, sets=(*base.sets, *keys), seed=seed, **numbers)))
            return found

    def planned(params: Sequence[Mapping[str, Any]], seeds: Sequence[int] = ()) -> Experiment:
        found, share = recipes(params, seeds), teacher.share_teacher
        return experiment(found, machines, waiting, output, watcher=watcher, command=command, share=share)

    def confirming(wanted: Sequence[tuple[Params, int]]) -> Experiment:
        return planned([one for one, _ in wanted], [seed for _, seed in wanted])

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
    plan = TunePlan(what, rungs, budget, trials, rate, known, first.runs, name, base.seed, trainer, confirming, seeds)
    if output.dry_run:
        begun, trainer.compared = check(plan.storage, name, what.space)
        plan.begun = trainer.plan([params for params, _ in begun])
        for one in plan.begun:
            one.found = next(found for params, found in begun if params == one.params)
    return plan


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
