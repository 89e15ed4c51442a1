"""From the collected records to what a format needs: rows and columns, or tables and notes."""

from __future__ import annotations

from pkdcli.report.layouts import runs_table, swept, table7, table8, unfinished_notes
from pkdcli.report.published import PAPER_COLUMNS, add_published, read_published
from pkdcli.report.select import MEAN_COLUMNS, mean_over_seeds
from pkdcli.report.table import Table
from pkdcli.runs.collect import COLUMNS, Record


def as_data(chosen: list[Record], mean: bool, paper: bool) -> tuple[list[Record], tuple[str, ...]]:
    """The rows and columns of csv and json: one row per run, or per experiment with `mean`."""
    rows, columns = (mean_over_seeds(chosen), MEAN_COLUMNS) if mean else (chosen, COLUMNS)
    if paper:
        add_published(rows, read_published())
    return rows, columns + PAPER_COLUMNS if paper else columns


def as_tables(
    chosen: list[Record], everything: list[Record], layout: str, mean: bool, paper: bool
) -> tuple[list[Table], list[str]]:
    """Tables and the notes below them.

    Args:
        chosen: The runs to show.
        everything: Every run: the baselines of the chosen ones stand beside them even where they were not chosen.
        layout: `table7`, `table8`, `runs`, or `auto`: Table 7, and Table 8 of the losses that have several weights.
        mean: Means over seeds instead of runs; the list of runs stays a list of runs.
        paper: Add the published numbers.
    """
    if layout == "runs" or (layout == "auto" and all(record["mAP"] is None for record in chosen)):
        return [runs_table(chosen)], []
    serving = {record["baseline"] for record in chosen} - {record["run"] for record in chosen}
    rows = chosen + [record for record in everything if record["run"] in serving]
    rows = mean_over_seeds(rows) if mean else rows
    literature = read_published() if paper else None
    if literature is not None:
        add_published(rows, literature)
    tables = table7(rows, literature) if layout in ("auto", "table7") else []
    if layout != "table7":
        tables += table8(swept(rows) if layout == "auto" else rows, paper)
    return tables, unfinished_notes(chosen)
