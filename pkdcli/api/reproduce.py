"""What `pkd reproduce` does: plan a table's runs, carry them out, show what came out beside what was published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from pkdcli.api.train import Where, carry_out, with_data
from pkdcli.cli.progress.choose import duration
from pkdcli.config import schedule
from pkdcli.experiment import plan
from pkdcli.folders import cache_root, runs_root
from pkdcli.recipe.resolve import Request
from pkdcli.recipe.schema import TableRecipe
from pkdcli.recipe.table import Line, expand, recipes
from pkdcli.reporting.published import read_published
from pkdcli.reporting.table import Table
from pkdcli.reporting.tables.reproduced import LINE_COLUMNS, groups
from pkdcli.reporting.tables.reproduced_layout import reproduced_tables
from pkdcli.reporting.write import Shown, emit
from pkdcli.runs.collect import Record, collect, order
from pkdcli.runs.estimate import measured, seconds_for
from pkdcli.runs.liveness import finished
from pkdcli.runs.paths import teachers_root

PLAN_COLUMNS = ("run", "role", "steps", "state", "estimated_seconds")


def reproduce(
    table: TableRecipe,
    base: Request,
    seeds: Sequence[int],
    only: Sequence[str],
    where: Where,
    format: str,
    output: Path | None,
) -> None:
    """Carry a table out, and leave with the command's exit code.

    Raises:
        PkdError: Something is wrong before anything runs.
    """
    runs, cache = runs_root(where.runs), cache_root()
    lines = _with_data(expand(table, base, seeds, only), cache, where)
    planned = plan.plan(list(recipes(lines)), runs, cache)
    if where.dry_run:
        for one in planned:
            if one.recipe.data.classes:
                plan.config_py(one)  # whatever a real run would refuse is refused here as well
        rows = plan_rows(planned, (runs, teachers_root(cache)))
        emit(format, output, [plan_table(table, rows)], [], rows, PLAN_COLUMNS, Shown([], [], runs, table.title))
        return
    outcomes = carry_out(planned, cache, where)
    found = {record["run"]: record for root in (teachers_root(cache), runs) for record in collect(root)}
    filled = groups(table, lines, found, read_published())
    rows = list({_once(record): record for group in filled for record in group.records}.values())
    used = {run for row in rows for run in str(row["runs"]).split()}
    records = [record for run, record in found.items() if run in used]
    shown = Shown(sorted(records, key=order), records, runs, table.title)
    emit(format, output, reproduced_tables(table, lines, filled), [], rows, LINE_COLUMNS, shown)
    raise typer.Exit(plan.exit_code(outcomes))


def _once(record: Record) -> Any:
    # A teacher is the same record in each of its groups; a baseline is listed with every pair it serves.
    return record["runs"] if record["role"] == "teacher" else (record["runs"], record["pair"])


def _with_data(lines: Sequence[Line], cache: Path, where: Where) -> list[Line]:
    complete = iter(with_data(list(recipes(lines)), cache, where))
    filled = []
    for line in lines:  # in the order of `recipes`
        baselines = {seed: next(complete) for seed in line.baselines}
        filled.append(replace(line, baselines=baselines, runs={seed: next(complete) for seed in line.runs}))
    return filled


def plan_rows(planned: Sequence[plan.Planned], roots: Sequence[Path]) -> list[Record]:
    """What a dry run shows of each run; the estimate is None where the run is done or nothing was measured."""
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


def plan_table(table: TableRecipe, rows: Sequence[Record]) -> Table:
    """The plan as a table, with the sum of its estimates."""
    cells = [[row["run"], row["role"], row["state"], str(row["steps"] or "-"), _time(row)] for row in rows]
    counts = Counter(row["role"] for row in rows)
    words = [(counts["teacher"], "teacher"), (counts["baseline"], "baseline")]
    parts = [f"{count} {word}{'s' if count != 1 else ''}" for count, word in words] + [f"{counts['distill']} distilled"]
    todo = [row for row in rows if row["state"] != "done"]
    known = [row["estimated_seconds"] for row in todo if row["estimated_seconds"] is not None]
    note = f"{len(rows) - len(todo)} done, {len(todo)} to do."
    if known:
        of = "" if len(known) == len(todo) else f" for {len(known)} of them; the others are unknown"
        note += f" Estimated time, from the steps of finished runs: {duration(sum(known))}{of}."
    elif todo:
        note += " Estimated time: unknown, since no finished run has the same student and scale."
    title = f"{table.name}: {len(rows)} runs ({', '.join(parts)})"
    return Table(title, ["run", "role", "state", "steps", "time"], 3, [cells], notes=[note])


def _time(row: Record) -> str:
    if row["state"] == "done":
        return ""
    return "unknown" if row["estimated_seconds"] is None else duration(row["estimated_seconds"])
