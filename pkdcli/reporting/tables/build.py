"""From the collected records to the tables and notes that are for people."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pkdcli.reporting.frame import Grouping
from pkdcli.reporting.published import add_published, read_published
from pkdcli.reporting.select import best_of, grouped, mean_over_seeds
from pkdcli.reporting.table import Table
from pkdcli.reporting.tables.paper import swept, table7, table8
from pkdcli.reporting.tables.runs import runs_table, unfinished_notes
from pkdcli.runs.collect import collect
from pkdcli.runs.record import Record


def as_tables(
    chosen: list[Record], everything: list[Record], layout: str, mean: bool | Grouping, paper: bool
) -> tuple[list[Table], list[str]]:
    """Tables and the notes below them.

    Args:
        chosen: The runs to show.
        everything: Every run: the baselines of the chosen ones stand beside them even where they were not chosen.
        layout: `table7`, `table8`, `runs`, or `auto`: Table 7, and Table 8 of the losses that have several weights.
        mean: Whether means over seeds stand instead of runs, or all of how runs are put together.
        paper: Add the published numbers.
    """
    how = mean if isinstance(mean, Grouping) else Grouping(mean)
    tables = []
    for name, members in grouped(chosen, how.keys):
        for table in _tables(members, everything, layout, how, paper):
            table.title = f"{name}: {table.title}" if name else table.title
            tables.append(table)
    listed = layout == "runs" or (layout == "auto" and all(record["mAP"] is None for record in chosen))
    return tables, [] if listed else unfinished_notes(chosen)


def tables_of(root: Path, runs: Collection[str], *, mean: bool = False) -> tuple[list[Table], list[str]]:
    """The tables of some runs and of the baselines they are measured against, as `pkd report` shows them, and notes.

    Args:
        root: The runs folder.
        runs: Their ids; a run without a result stands in the notes with its state and error.
        mean: Over seeds.
    """
    records = collect(root)
    return as_tables([one for one in records if one["run"] in runs], records, "auto", Grouping(mean=mean), False)


def _tables(chosen: list[Record], everything: list[Record], layout: str, how: Grouping, paper: bool) -> list[Table]:
    """The tables of one group."""
    if layout == "runs" or (layout == "auto" and all(record["mAP"] is None for record in chosen)):
        return [runs_table(best_of(chosen, how.keys) if how.best else chosen)]
    serving = {record["baseline"] for record in chosen} - {record["run"] for record in chosen}
    rows = chosen + [record for record in everything if record["run"] in serving]
    rows = mean_over_seeds(rows) if how.mean else rows
    rows = _best_beside_baselines(rows, how) if how.best else rows
    literature = read_published() if paper else None
    if literature is not None:
        add_published(rows, literature)
    tables = table7(rows, literature) if layout in ("auto", "table7") else []
    if layout != "table7":
        tables += table8(swept(rows) if layout == "auto" else rows, paper)
    return tables


def _best_beside_baselines(rows: list[Record], how: Grouping) -> list[Record]:
    """The best of each group, and the baselines that those are measured against."""
    kept = best_of([record for record in rows if record["role"] != "baseline"], how.keys)
    baselines = [record for record in rows if record["role"] == "baseline"]
    if not how.mean and kept:
        baselines = [record for record in baselines if record["run"] in {one["baseline"] for one in kept}]
    return kept + (baselines if kept else best_of(baselines, how.keys))
