"""What commands print: errors, tables, and the consoles they go to."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from pkdcli.errors import PkdError
from pkdcli.runs.collect import METRICS

NO_RUNS = "no runs yet: pkd train --pair gfl101-fcos50 --scale tiny"


def out() -> Console:
    """The console of a command's answer; as wide as needed where it is piped."""
    return Console(width=None if sys.stdout.isatty() else 200, highlight=False, soft_wrap=not sys.stdout.isatty())


def err() -> Console:
    """The console of progress and errors."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def tell(line: str) -> None:
    """Print a line that is no part of a command's answer: on stderr."""
    print(line, file=sys.stderr, flush=True)


def show_error(error: PkdError) -> None:
    """Print an error and its remedy on stderr."""
    from rich.markup import escape

    console = err()
    console.print(f"[bold red]error:[/] {escape(error.message)}")
    if error.hint:
        console.print(escape(error.hint))


def points(value: float | None) -> str:
    """AP points with one decimal, as the paper prints them; a dash where there is none."""
    return "-" if value is None else f"{value:.1f}"


def metrics_table(rows: Sequence[tuple[str, Mapping[str, Any]]], title: str | None = None) -> Table:
    """A table of the six metrics, one row a detector.

    Args:
        rows: (name, metrics in AP points).
        title: Stands above the table.
    """
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("")
    for name in METRICS:
        table.add_column(name, justify="right")
    for name, metrics in rows:
        table.add_row(name, *(points(metrics.get(metric)) for metric in METRICS))
    return table


def in_bytes(count: float) -> str:
    """A size as people read it: 10 B, 2 kB, 1.5 GB.

    Args:
        count: Bytes.
    """
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
