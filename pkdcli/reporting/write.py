"""A report in a format: as text, in a file, or on the screen."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pkdcli.destinations import check_destination, destination
from pkdcli.errors import PkdError, nearest, unknown

if TYPE_CHECKING:
    from pkdcli.reporting.table import Table
    from pkdcli.runs.record import Record

FORMATS = ("table", "md", "csv", "json", "latex", "html")
DATA = ("csv", "json")
"""The formats that hold rows of data in place of tables and notes for people."""

PAGE = Path("report.html")
"""Where the page goes if nobody says where: it is always a file."""

_SUFFIXES = {".txt": "table", ".md": "md", ".csv": "csv", ".json": "json", ".tex": "latex", ".html": "html"}
"""What a file's name ends in, by its format: the usual ending of each."""
_ALSO = {".text": "table", ".markdown": "md", ".latex": "latex", ".htm": "html"}
_PICTURES = (".pdf", ".png", ".svg", ".jpg", ".jpeg", ".eps")
"""Endings of files that no format is, not even one that is asked for by name."""


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


def format_of(
    format: str | None,
    output: Path | None,
    formats: Sequence[str] = FORMATS,
    *,
    plots: str | None = None,
    page: Path = PAGE,
) -> str:
    """The format that was asked for, or the one the file's name ends in, or `table`; looks at the file as well.

    Args:
        format: One of `formats`; None where nobody has said.
        output: The file to write, if there is to be one.
        formats: Those that the command writes.
        plots: The option that writes pictures, for somebody who names a picture.
        page: Where a page goes if nobody says where.

    Raises:
        PkdError: No such format, an ending that none of them has or that is another's, or a file that can't be written.
    """
    if format is not None and format not in formats:
        raise unknown("--format", format, formats)
    if output is None:
        if format == "html":
            check_destination(page, "--output")
        return format or "table"
    ending = output.suffix.lower()
    meant = (_SUFFIXES | _ALSO).get(ending)
    if ending and meant not in formats and (format is None or meant is not None or ending in _PICTURES):
        raise _no_such_ending(output, formats, plots)
    if None not in (format, meant) and format != meant:
        another = output.with_suffix(_ending(format))
        raise PkdError(
            f"--format {format} and --output {output} contradict each other: {ending} is the ending of {meant}.",
            f"Leave --format out, or name a file that ends in {_ending(format)}: --output {shlex.quote(str(another))}",
        )
    check_destination(output, "--output")
    return format or meant or "table"


def _ending(format: str) -> str:
    return next(ending for ending, meant in _SUFFIXES.items() if meant == format)


def _no_such_ending(output: Path, formats: Sequence[str], plots: str | None) -> PkdError:
    """The error for a file whose name ends in what no format of a command does, with the nearest ending."""
    endings = [ending for ending, meant in _SUFFIXES.items() if meant in formats]
    ending = output.suffix.lower()
    guess = nearest(ending, endings)
    hint = ""
    if ending in _PICTURES:
        hint = f"Pictures are written into a folder: {plots} DIR. " if plots else ""
    elif guess is not None:
        hint = f"Did you mean {shlex.quote(str(output.with_suffix(guess)))}? "
    listed = ", ".join(endings)
    other = "" if ending in _PICTURES else " With --format any other will do."
    message = f"--output {output}: no format here ends in {output.suffix}."
    return PkdError(message, f"{hint}Allowed endings: {listed}.{other}")


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

    with destination(path, "--output"):
        write_text(path, text)
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
