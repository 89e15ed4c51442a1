"""What `--plot` and `--plot-dir` do, of `pkd report` and `pkd compare`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import typer

from pkdcli.reporting.plots.figure import Figure
from pkdcli.runs.record import Record


def draw(
    chosen: Sequence[Record],
    everything: Sequence[Record],
    terminal: bool,
    folder: Path | None,
    err: bool,
    kinds: Sequence[str] = (),
) -> None:
    """Draw what there is to see in the chosen runs.

    Args:
        chosen: The runs.
        everything: All runs, for the baselines.
        terminal: Print small charts.
        folder: Write PNG, SVG and PDF files there.
        err: Print to stderr, since stdout holds data.
        kinds: Only these; none for all.

    Raises:
        PkdError: The folder can't be written.
    """
    from pkdcli.reporting.plots import KINDS
    from pkdcli.reporting.plots.build import figures

    drawn = figures(chosen, everything, single=folder is not None, kinds=kinds or KINDS)
    if not drawn:
        why = "no distilled run here has a result"
        if "tradeoff" in kinds:
            why = "no two detectors here have a latency, GFLOPs or parameters: pkd profile RUN measures them"
        typer.echo(f"Nothing to plot: {why}.", err=True)
        return
    if terminal:
        show(drawn, err)
    if folder is not None:
        from pkdcli.reporting.plot_folder import write_figures

        for path in write_figures(drawn, folder):
            typer.echo(f"Wrote {path}", err=True)


def show(drawn: Sequence[Figure], err: bool) -> None:
    """Print figures as small charts.

    Args:
        drawn: What to show.
        err: Print to stderr, since stdout holds data.
    """
    import sys

    from rich.console import Console

    from pkdcli.reporting.plots.terminal import print_figures

    file = sys.stderr if err else sys.stdout
    width = None if file.isatty() or "COLUMNS" in os.environ else 100
    print_figures(drawn, Console(file=file, width=width, highlight=False))
