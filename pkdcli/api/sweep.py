"""One student for every combination of some lists: `pkdcli.sweep()` and `pkd sweep`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pkdcli.api.planning import Planned, asked
from pkdcli.launch.options import LaunchOptions
from pkdcli.launch.outcome import Watcher
from pkdcli.options import OutputOptions
from pkdcli.recipe.axes.grid import GridOptions
from pkdcli.recipe.options import RecipeOptions, SweepOptions, TeacherOptions
from pkdcli.recipe.seeds import SeedOptions

if TYPE_CHECKING:
    from pkdcli.api.until_decided import UntilDecided
    from pkdcli.experiment.execute import Experiment
    from pkdcli.runs.run_list import RunList


NO_KEYS = GridOptions()


def sweep(
    sweep: SweepOptions,
    more: GridOptions,
    until: SeedOptions,
    recipe: RecipeOptions,
    teacher: TeacherOptions,
    launch: LaunchOptions,
    output: Planned,
    *,
    watcher: Watcher,
    command: str,
) -> RunList | Experiment:
    """Train one student for every combination of some lists, and the baselines, and return the runs.

    A failed run does not stop the others: its `state` says so. Calling it again runs only what is missing.

    Args:
        sweep: The lists.
        more: Keys of the recipe that are axes too.
        until: Whether seeds are added, and how many.
        recipe: How to train.
        teacher: Where its weights come from, and whether students share it.
        launch: Where the runs are carried out.
        output: Where runs are, and whether only to plan.
        watcher: Told of what happens.
        command: What somebody called, for the runs' records.

    Returns:
        The students' runs; with `dry_run=True` the plan, as an `Experiment`. With `until_decided=True` its `verdicts`
        are what was found out, a row for each method, and the plan has every run that there may be.

    Raises:
        PkdError: Something is wrong before anything runs.
        KeyboardInterrupt: After Ctrl-C, when the runs have saved and stopped.
    """
    from pkdcli.api.runs import runs_of
    from pkdcli.runs.run_list import RunList

    if until != SeedOptions():
        found = plan_decided(
            sweep, until, recipe, teacher, launch, output, watcher=watcher, command=command, more=more
        )
        if output.dry_run:
            return found.whole
        found.execute(watcher)
        return RunList(runs_of(one.paths for one in found.used), found.rows())
    planned = plan_sweep(sweep, more, recipe, teacher, launch, output, watcher=watcher, command=command)
    if output.dry_run:
        return planned
    planned.execute(watcher)
    return runs_of(one.paths for one in planned.planned if one.recipe.role != "teacher")


def plan_sweep(
    sweep: SweepOptions,
    more: GridOptions,
    recipe: RecipeOptions,
    teacher: TeacherOptions,
    launch: LaunchOptions,
    output: OutputOptions,
    *,
    watcher: Watcher,
    command: str,
) -> Experiment:
    """Plan a student for every combination, the baselines, and each teacher once.

    Args:
        sweep: The lists.
        more: Keys of the recipe that are axes too.
        recipe: How to train.
        teacher: Where its weights come from, and whether students share it.
        launch: Where the runs are carried out.
        output: Where runs are; a dry run needs neither data nor devices.
        watcher: Told of data that is drawn or checked.
        command: What somebody typed or called, for the runs' records.

    Raises:
        PkdError: Something is wrong with a recipe, its files or its data.
    """
    from pkdcli.experiment.execute import experiment
    from pkdcli.recipe.axes.grid import axes
    from pkdcli.recipe.options import grid
    from pkdcli.recipe.sweep import expand

    machines, base = asked(sweep, recipe, teacher, launch, output)
    recipes, share = expand(base, replace(grid(sweep), keys=axes(more.grid))), teacher.share_teacher
    return experiment(recipes, machines, launch, output, watcher=watcher, command=command, share=share)


def plan_decided(
    sweep: SweepOptions,
    until: SeedOptions,
    recipe: RecipeOptions,
    teacher: TeacherOptions,
    launch: LaunchOptions,
    output: OutputOptions,
    *,
    watcher: Watcher,
    command: str,
    more: GridOptions = NO_KEYS,
) -> UntilDecided:
    """Plan a sweep that adds seeds until each method is known to be better or worse than its baseline.

    Args:
        sweep: The lists.
        until: How many seeds at most.
        recipe: How to train.
        teacher: Where its weights come from, and whether students share it.
        launch: Where the runs are carried out.
        output: Where runs are; a dry run needs neither data nor devices.
        watcher: Told of data that is drawn or checked.
        command: What somebody typed or called, for the runs' records.
        more: Keys of the recipe that are axes too.

    Raises:
        PkdError: Something is wrong with a recipe, its files or its data; the methods can't be judged.
    """
    from pkdcli.api.until_decided import plan_until_decided
    from pkdcli.recipe.seeds import seeds_in_turn
    from pkdcli.reporting.verdict.sequential import FIRST

    seeds, first = seeds_in_turn(sweep.seeds, until, FIRST)
    every = replace(sweep, seeds=tuple(seeds))
    planned = plan_sweep(every, more, recipe, teacher, launch, output, watcher=watcher, command=command)
    return plan_until_decided(sweep, planned, seeds, first)
