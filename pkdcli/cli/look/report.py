"""`pkd report`: the runs as tables like the paper's, or as data."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from pkdcli.api.report import ReportOptions, find_report
from pkdcli.cli.typer_options import spread
from pkdcli.errors import PkdError
from pkdcli.reporting.write import DATA, emit


@spread
def command(
    options: ReportOptions,
    plot: Annotated[bool, typer.Option("--plot", help="Also draw small plots in the terminal.")] = False,
) -> None:
    """Show what the runs reached: as tables like the paper's, as data, plots, or a page to read in a browser.

    [bold]Examples[/bold]

      pkd report --seeds mean --paper

      pkd report --format html --output report.html

      pkd report --pair gfl101-fcos50 --plot-dir plots

      pkd report --plot tradeoff

      pkd report --columns parameters,gflops,latency_ms
    """
    if options.plots and not (plot or options.plot_dir):
        raise PkdError(f"{' '.join(options.plots)}: a plot is drawn with --plot or --plot-dir DIR.",
                       f"Example: pkd report --plot {options.plots[0]}")  # fmt: skip
    found = find_report(options, warn=lambda line: print(f"warning: {line}", file=sys.stderr))
    if found.format in DATA:
        for note in [found.nothing] if found.nothing else found.notes:
            print(note, file=sys.stderr)
    emit(found.format, options.output, *found.content(), found.shown)
    if plot or options.plot_dir:
        from pkdcli.cli.plots import draw

        to_stderr = found.format not in ("table", "html") and options.output is None
        draw(found.chosen, found.records, plot, options.plot_dir, to_stderr, options.plots)


def report_runs(root: Path, runs: Collection[str]) -> None:
    """Print the tables of some runs and of their baselines, as `pkd report` would.

    Args:
        root: The runs folder.
        runs: Their ids.
    """
    from pkdcli.reporting.formats import print_rich
    from pkdcli.reporting.tables.build import tables_of

    print_rich(*tables_of(root, runs))
