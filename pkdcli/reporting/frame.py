"""The rows of a report: of csv and json, and of the data frame of `pkdcli.report()`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pkdcli.reporting.published import PAPER_COLUMNS, add_published, read_published
from pkdcli.reporting.select import AVERAGED, MEAN_COLUMNS, best_of, grouped, mean_over_seeds
from pkdcli.runs.record import COLUMNS, MORE_COLUMNS, Record

if TYPE_CHECKING:
    import pandas as pd

_NUMBERS = {
    *("weight", "temperature", "seed", "n", "batch", "epoch", "seconds", "images_per_second", "peak_memory_mb"),
    *(f"{name}{end}" for name in AVERAGED for end in ("", "_std")),
    "paper_difference",
    *(name for name in MORE_COLUMNS if name != "latency_on"),
}
"""Columns that hold numbers in a data frame even where none of the runs knows its value."""


@dataclass(frozen=True)
class Grouping:
    """How runs are put together.

    Attributes:
        mean: Means over seeds instead of runs; the list of runs stays a list of runs.
        keys: Columns whose values part the tables, and order the rows of csv and json.
        best: Keep only the best of each group.
    """

    mean: bool = False
    keys: tuple[str, ...] = ()
    best: bool = False


def as_data(chosen: list[Record], how: Grouping, paper: bool) -> tuple[list[Record], tuple[str, ...]]:
    """The rows and columns of csv and json: one row per run, or per experiment with means.

    Args:
        chosen: The runs.
        how: How they are put together.
        paper: Add the published numbers.
    """
    rows, columns = (mean_over_seeds(chosen), MEAN_COLUMNS) if how.mean else (chosen, COLUMNS)
    rows = best_of(rows, how.keys) if how.best else rows
    rows = [record for _, members in grouped(rows, how.keys) for record in members]
    if paper:
        add_published(rows, read_published())
    return rows, columns + PAPER_COLUMNS if paper else columns


def as_frame(rows: Sequence[Record], columns: Sequence[str], attrs: dict[str, Any]) -> pd.DataFrame:
    """Rows as a data frame with the columns of csv and json; numbers that are not known are NaN.

    Args:
        rows: As `as_data` gives them, or any with these columns.
        columns: The columns, in order.
        attrs: What the frame carries along: title, notes.
    """
    import pandas as pd

    frame = pd.DataFrame({name: [row.get(name) for row in rows] for name in columns}, columns=list(columns))
    for name in _NUMBERS.intersection(columns):
        frame[name] = frame[name].astype(float)
    frame.attrs.update(attrs)
    return frame
