"""A table as every format shows it, and the one place where a number becomes text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pkdcli.runs.record import Record


@dataclass
class Table:
    """Cells of text in sections that a rule parts.

    Attributes:
        title: One line above the table.
        columns: The headings.
        words: How many columns, from the left, hold words; the others hold numbers and are aligned right.
        sections: Rows of cells, each as many as there are columns.
        bold: (section, row, column) of the best cells.
        notes: Lines below the table.
        origin: By section and row the record shown there (a teacher's row: its name and pair); empty where not known.
    """

    title: str
    columns: list[str]
    words: int
    sections: list[list[list[str]]]
    bold: set[tuple[int, int, int]] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    origin: list[list[Record]] = field(default_factory=list)


def points(value: float | None, std: float | None = None) -> str:
    """AP points with one decimal, as the paper prints them; nothing where there is none.

    Args:
        value: In AP points.
        std: Its standard deviation over seeds.
    """
    if value is None:
        return ""
    return f"{value:.1f}" if std is None else f"{value:.1f} ±{std:.1f}"


def signed(value: float | None, std: float | None = None) -> str:
    """A difference of AP points with its sign; one that rounds to zero has none.

    Args:
        value: In AP points.
        std: Its standard deviation over seeds.
    """
    if value is None:
        return ""
    text = f"{value:+.1f}"
    text = "0.0" if text in ("+0.0", "-0.0") else text
    return text if std is None else f"{text} ±{std:.1f}"


def metric(record: Record, name: str) -> str:
    """One metric of a record, with its deviation over seeds where it has one.

    Args:
        record: A run, or a mean over seeds.
        name: The metric's column.
    """
    return points(record.get(name), record.get(f"{name}_std"))


def published(value: Any) -> str:
    """A published number; where sources differ, each of theirs."""
    return " / ".join(points(number) for number in value) if isinstance(value, list) else points(value)


def best(rows: Iterable[tuple[Any, int, int, str]], column: int) -> set[tuple[int, int, int]]:
    """The cells with the largest printed number of their group; a group of one has no best.

    Args:
        rows: (group, section, row, text) of each competing cell of the column.
        column: The column they stand in.
    """
    groups: dict[Any, list[tuple[float, int, int]]] = {}
    for group, section, row, text in rows:
        if text:
            groups.setdefault(group, []).append((float(text.split()[0]), section, row))
    return {
        (section, row, column)
        for cells in groups.values()
        if len(cells) > 1
        for most in [max(cells)[0]]
        for value, section, row in cells
        if value == most
    }
