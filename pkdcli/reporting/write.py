"""A report in a format: as text, in a file, or on the screen."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pkdcli.errors import PkdError, unknown

if TYPE_CHECKING:
    from pkdcli.reporting.table import Table
    from pkdcli.runs.record import Record

FORMATS = ("table", "md", "csv", "json", "latex", "html")
DATA = ("csv", "json")
"""The formats that hold rows of data in place of tables and notes for people."""

PAGE = Path("report.html")
"""Where the page goes if nobody says where: it is always a file."""

_SUFFIXES = {".md": "md", ".csv": "csv", ".json": "json", ".tex": "latex", ".html": "html", ".htm": "html"}

_OTHERS = (".pdf", ".png", ".svg", ".jpg", ".jpeg", ".xlsx", ".xls", ".ods", ".docx", ".parquet", ".yaml", ".yml")


class Shown(NamedTuple):
    """What the page shows beside its tables.

    Attributes:
        records: The runs to list, to draw and to show one by one.
        everything: All runs, for their baselines.
        root: Where they are.
        title: The page's heading.
    """

    records: Sequence[Record]
    everything: Sequence[Record]
    root: Path
    title: str = "Runs"


def format_of(format: str | None, output: Path | None) -> str:
    """The format that was asked for, or the one the file's name ends in, or `table`.

    Args:
        format: One of `FORMATS`; None where nobody has said.
        output: The file to write, if there is to be one.

    Raises:
        PkdError: No such format, or a file that would be another kind of file than its name says.
    """
    ending = output.suffix.lower() if output else ""
    if format is None and ending in _OTHERS:
        raise PkdError(
            f"--output {output}: tables are not written as {ending}.",
            f"Endings: .txt, {', '.join(_SUFFIXES)}. Or say what it shall be with --format.",
        )
    if format is None:
        format = _SUFFIXES.get(ending, "table")
    if format not in FORMATS:
        raise unknown("--format", format, FORMATS)
    return format


def render(
    format: str,
    tables: list[Table],
    notes: list[str],
    rows: list[Record],
    columns: Sequence[str],
    shown: Shown | None = None,
) -> str:
    """Tables and notes where a format is for people, rows where it is data, as text.

    Args:
        format: One of `FORMATS`.
        tables: For people.
        notes: Lines below the tables.
        rows: Data: a row per run.
        columns: The keys of the rows to show, in order.
        shown: What the page shows besides; the other formats do without.
    """
    from pkdcli.reporting import formats

    if format in DATA:
        return formats.to_csv(rows, columns) if format == "csv" else formats.to_json(rows, columns)
    if format == "html":
        from pkdcli.reporting.page.build import render as page

        return page(tables, notes, *(shown or Shown([], [], Path.cwd())))
    return {"table": formats.to_text, "md": formats.to_markdown, "latex": formats.to_latex}[format](tables, notes)


def save(path: Path, text: str) -> Path:
    """Write a report to a file, whole or not at all; returns the file.

    Args:
        path: The file.
        text: Its content.

    Raises:
        PkdError: It can't be written (exit code 3).
    """
    from pkdcli.runs.store import write_text

    try:
        write_text(path, text)
    except PkdError as error:
        raise PkdError(error.message, "Name another file: --output FILE", error.code) from error
    return path


def emit(
    format: str,
    output: Path | None,
    tables: list[Table],
    notes: list[str],
    rows: list[Record],
    columns: Sequence[str],
    shown: Shown | None = None,
) -> None:
    """Print in a format, or write to a file and say so on stderr; for commands.

    Args:
        format: As for `render`, and so the rest.
        output: The file; None for the screen, or `PAGE`.
        tables: For people.
        notes: Lines below the tables.
        rows: Data: a row per run.
        columns: The keys of the rows to show, in order.
        shown: What the page shows besides.
    """
    if format == "table" and output is None:
        from pkdcli.reporting.formats import print_rich

        print_rich(tables, notes)
        return
    text = render(format, tables, notes, rows, columns, shown)
    if output is None and format != "html":
        sys.stdout.write(text)
        sys.stdout.flush()  # a reader that has gone away is met here, where it is no error
    else:
        print(f"Wrote {save(output or PAGE, text)}", file=sys.stderr)
