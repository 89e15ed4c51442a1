"""A whole table of the paper, or a user's own: `pkdcli.reproduce()` and `pkd reproduce`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pkdcli.api.planning import Planned, asked
from pkdcli.launch.options import LaunchOptions
from pkdcli.launch.outcome import Watcher
from pkdcli.options import Only, OutputOptions
from pkdcli.recipe.options import RecipeOptions, TableOptions, TeacherOptions
from pkdcli.runs.record import Record, order

if TYPE_CHECKING:
    import pandas as pd

    from pkdcli.experiment.execute import Experiment
    from pkdcli.experiment.plan import PlannedRun
    from pkdcli.recipe.schema import Recipe, TableRecipe
    from pkdcli.recipe.table import Line
    from pkdcli.reporting.table import Table
    from pkdcli.reporting.write import Shown

PLAN_COLUMNS = ("run", "role", "steps", "state", "estimated_seconds")
Teacher = Annotated[TeacherOptions, Only("pretrained", "share_teacher")]


@dataclass
class Reproduction:
    """A table's runs, and the table once they are carried out.

    Attributes:
        table: The table's recipe.
        lines: Its lines with their runs.
        experiment: The runs, each once.
    """

    table: TableRecipe
    lines: list[Line]
    experiment: Experiment

    def plan_rows(self) -> list[Record]:
        """What is known of each run before anything runs: `PLAN_COLUMNS`."""
        from pkdcli.runs.paths import teachers_root

        own = self.experiment
        return plan_rows(own.planned, (own.runs, teachers_root(own.cache)))

    def filled(self) -> tuple[list[Table], list[Record], Shown]:
        """The table beside what was published, a row for each line and what a page shows besides."""
        from pkdcli.reporting.published import read_published
        from pkdcli.reporting.tables.reproduced import groups
        from pkdcli.reporting.tables.reproduced_layout import reproduced_tables
        from pkdcli.reporting.write import Shown
        from pkdcli.runs.collect import collect
        from pkdcli.runs.paths import teachers_root

        runs = self.experiment.runs
        roots = (teachers_root(self.experiment.cache), runs)
        found = {record["run"]: record for root in roots for record in collect(root)}
        filled = groups(self.table, self.lines, found, read_published())
        rows = list({_once(record): record for group in filled for record in group.records}.values())
        used = {run for row in rows for run in str(row["runs"]).split()}
        records = [record for run, record in found.items() if run in used]
        shown = Shown(sorted(records, key=order), records, runs, self.table.title)
        return reproduced_tables(self.table, self.lines, filled), rows, shown


def reproduce(
    table: TableOptions,
    recipe: RecipeOptions,
    teacher: Teacher,
    launch: LaunchOptions,
    output: Planned,
    *,
    watcher: Watcher,
    command: str,
) -> pd.DataFrame:
    """Run every experiment of a table, and return it beside the paper's numbers, a row for each line.

    A failed run costs its own lines only. Calling it again runs what is missing.

    Args:
        table: Which table, and which of its lines and seeds.
        recipe: How to train.
        teacher: Where its weights come from, and whether students share it.
        launch: Where the runs are carried out.
        output: Where runs are, and whether only to plan.
        watcher: Told of what happens.
        command: What somebody called, for the runs' records.

    Returns:
        The rows that csv and json have; with `dry_run=True` a row for each run, with its state and an estimate.

    Raises:
        PkdError: Something is wrong before anything runs.
        KeyboardInterrupt: After Ctrl-C, when the runs have saved and stopped.
    """
    import pandas as pd

    from pkdcli.reporting.tables.reproduced import LINE_COLUMNS

    planned = plan_reproduce(table, recipe, teacher, launch, output, watcher=watcher, command=command)
    if output.dry_run:
        return pd.DataFrame(planned.plan_rows(), columns=PLAN_COLUMNS)
    planned.experiment.execute(watcher)
    return pd.DataFrame(planned.filled()[1], columns=LINE_COLUMNS)


def plan_reproduce(
    table: TableOptions,
    recipe: RecipeOptions,
    teacher: Teacher,
    launch: LaunchOptions,
    output: OutputOptions,
    *,
    watcher: Watcher,
    command: str,
) -> Reproduction:
    """Plan every experiment of a table.

    Args:
        table: Which table, and which of its lines and seeds.
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
    from pkdcli.recipe import library
    from pkdcli.recipe.table import expand, recipes

    machines, base = asked(table, recipe, teacher, launch, output)
    wanted: TableRecipe = library.load("tables", table.table)
    lines, share = expand(wanted, base, table.seeds, table.only), teacher.share_teacher
    planned = experiment(
        list(recipes(lines)), machines, launch, output, watcher=watcher, command=command, share=share
    )
    return Reproduction(wanted, _complete(lines, planned.recipes), planned)


def _once(record: Record) -> Any:
    # A teacher is the same record in each of its groups; a baseline is listed with every pair it serves.
    return record["runs"] if record["role"] == "teacher" else (record["runs"], record["pair"])


def _complete(lines: Sequence[Line], recipes: Sequence[Recipe]) -> list[Line]:
    """The lines with recipes that know their data, given in the order of `recipe.table.recipes`."""
    rest = iter(recipes)
    filled = []
    for line in lines:
        baselines = {seed: next(rest) for seed in line.baselines}
        filled.append(replace(line, baselines=baselines, runs={seed: next(rest) for seed in line.runs}))
    return filled


def plan_rows(planned: Sequence[PlannedRun], roots: Sequence[Path]) -> list[Record]:
    """What a dry run shows of each run; the estimate is None where the run is done or nothing was measured.

    Args:
        planned: The runs.
        roots: Folders of runs whose speeds tell how long these will take.
    """
    from pkdcli.config import schedule
    from pkdcli.runs.estimate import measured, seconds_for
    from pkdcli.runs.liveness import finished

    results = measured(roots)
    rows = []
    for one in planned:
        recipe, done = one.recipe, finished(one.paths)
        known = recipe.data.train_images is not None and not recipe.weights
        steps = schedule.total_iters(recipe) if known else None
        wanted = {"student": recipe.student.name, "scale": recipe.scale.name, "data": recipe.data.name}
        wanted |= {"role": recipe.role, "teacher": recipe.teacher.name if recipe.teacher else None}
        seconds = seconds_for(results, wanted, steps * recipe.batch) if steps and not done else None
        state = "done" if done else "to do"
        rows.append(dict(zip(PLAN_COLUMNS, (one.run, recipe.role, steps, state, seconds), strict=True)))
    return rows
