"""What `pkd reproduce` shows: its plan with an estimate of the time, and the table that came out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pkdcli.api.reproduce import PLAN_COLUMNS, Reproduction
from pkdcli.cli.plan import interruptible
from pkdcli.cli.progress.base import duration
from pkdcli.experiment.execute import exit_code
from pkdcli.experiment.prepare import config_py
from pkdcli.recipe.schema import TableRecipe
from pkdcli.reporting.table import Table
from pkdcli.reporting.tables.reproduced import LINE_COLUMNS
from pkdcli.reporting.write import Shown, emit
from pkdcli.runs.record import Record

if TYPE_CHECKING:
    from pkdcli.cli.progress.base import Watch


def show_table_plan(found: Reproduction, format: str, output: Path | None) -> None:
    """Print what would run.

    Args:
        found: What is planned.
        format: One of `pkdcli.reporting.write.FORMATS`.
        output: The file to write; None for the screen.
    """
    for one in found.experiment.planned:
        if one.recipe.data.classes:
            config_py(one)  # whatever a real run would refuse is refused here as well
    rows = found.plan_rows()
    shown = Shown([], [], found.experiment.runs, found.table.title)
    emit(format, output, [plan_table(found.table, rows)], [], rows, PLAN_COLUMNS, shown)


def carry_out_table(found: Reproduction, format: str, output: Path | None, watch: Watch) -> None:
    """Carry a table out and print it; leaves with the command's exit code.

    Args:
        found: What is planned.
        format: One of `pkdcli.reporting.write.FORMATS`.
        output: The file to write; None for the screen.
        watch: Shows progress.
    """
    with interruptible():
        outcomes = found.experiment.execute(watch)
    if not any(outcome.job for outcome in outcomes.values()):
        tables, rows, shown = found.filled()
        emit(format, output, tables, [], rows, LINE_COLUMNS, shown)
    raise typer.Exit(exit_code(outcomes))


def plan_table(table: TableRecipe, rows: Sequence[Record]) -> Table:
    """The plan as a table, with the sum of its estimates.

    Args:
        table: The table that is to be filled.
        rows: A row for each run, of `PLAN_COLUMNS`.
    """
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
