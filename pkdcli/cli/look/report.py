"""`pkd report`: the runs as tables like the paper's, or as data."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

FORMATS = ("table", "md", "csv", "json", "latex", "html")
LAYOUTS = ("auto", "table7", "table8", "runs")


def _or(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def report(
    runs: Annotated[
        Path | None, typer.Option("--runs", metavar="DIR", help="The runs folder; default: $PKD_RUNS, or ./runs.")
    ] = None,
    format: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help=f"{_or(FORMATS)}; default: as FILE ends, else table."),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            "--layout",
            metavar="LAYOUT",
            help=f"{_or(LAYOUTS)}: like the paper's Table 7 (teacher, student, methods) or 8 (loss weights), or a list "
            "of every run. csv and json always have one row per run.",
        ),
    ] = "auto",
    pair: Annotated[
        list[str] | None, typer.Option("--pair", metavar="PAIR", help="Only this pair and its baselines; repeatable.")
    ] = None,
    loss: Annotated[
        list[str] | None, typer.Option("--loss", metavar="LOSS", help="Only this loss; repeatable.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="KEY=VALUE", help="Only runs with this value in a csv column; repeatable."),
    ] = None,
    imports: Annotated[
        list[Path] | None,
        typer.Option(
            "--import",
            metavar="WORK_DIR",
            help="Also runs of stock mmdet or mmrazor: a work_dir, or a folder of them; marked so. Repeatable.",
        ),
    ] = None,
    group_by: Annotated[
        list[str] | None,
        typer.Option("--group-by", metavar="KEY[,KEY]", help="A table for each value of these csv columns."),
    ] = None,
    best: Annotated[
        bool, typer.Option("--best", help="Only the best mAP of each group; by default of each loss: its best weight.")
    ] = False,
    seeds: Annotated[
        str, typer.Option("--seeds", metavar="SEEDS", help="each seed, or their mean and standard deviation (mean).")
    ] = "each",
    paper: Annotated[bool, typer.Option("--paper/--no-paper", help="Put the published numbers beside.")] = False,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option("--compare", metavar="RUN RUN", help="Two runs, or the beginnings of their names, side by side."),
    ] = None,
    plot: Annotated[bool, typer.Option("--plot", help="Also draw small plots in the terminal.")] = False,
    plot_dir: Annotated[
        Path | None,
        typer.Option("--plot-dir", metavar="DIR", help="Also write the plots here, as PNG, SVG and PDF."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write here; html without it goes to report.html."),
    ] = None,
) -> None:
    """Show what the runs reached: as tables like the paper's, as data, plots, or a page to read in a browser.

    [bold]Examples[/bold]

      pkd report --seeds mean --paper

      pkd report --format html --output report.html

      pkd report --pair gfl101-fcos50 --plot-dir plots
    """
    import sys

    from pkdcli.api.report import ReportOptions, find_report
    from pkdcli.reporting.write import DATA, emit

    options = ReportOptions(
        format, layout, pair or (), loss or (), where or (), imports or (), group_by or (), best, seeds, paper, compare,
        plot_dir, output,
    )  # fmt: skip
    found = find_report(options, runs, warn=lambda line: print(f"warning: {line}", file=sys.stderr))
    if found.nothing and found.format in DATA:
        print(found.nothing, file=sys.stderr)
    emit(found.format, output, *found.content(), found.shown)
    if plot or plot_dir:
        from pkdcli.cli.plots import draw

        draw(found.chosen, found.records, plot, plot_dir, err=found.format not in ("table", "html") and output is None)


def report_runs(root: Path, runs: Collection[str]) -> None:
    """Print the tables of some runs and of their baselines, as `pkd report` would.

    Args:
        root: The runs folder.
        runs: Their ids.
    """
    from pkdcli.api.report import tables_of
    from pkdcli.reporting.formats import print_rich

    print_rich(*tables_of(root, runs))


command = report  # the name under which the command line finds it
