"""`pkd report`: the runs as tables like the paper's, or as data."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from pkdcli.reporting.table import Table
    from pkdcli.runs.record import Record

FORMATS = ("table", "md", "csv", "json", "latex", "html")
LAYOUTS = ("auto", "table7", "table8", "runs")
SEEDS = ("each", "mean")
_DATA = ("csv", "json")
_SUFFIXES = {".md": "md", ".csv": "csv", ".json": "json", ".tex": "latex", ".html": "html", ".htm": "html"}


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
    from pkdcli.errors import unknown
    from pkdcli.folders import runs_root
    from pkdcli.runs.collect import collect

    format = format_of(format, output)
    for kind, word, allowed in (("--layout", layout, LAYOUTS), ("--seeds", seeds, SEEDS)):
        if word not in allowed:
            raise unknown(kind, word, allowed)
    root = runs_root(runs)
    _check(root)
    records = collect(root, foreign=imports or ())
    tables: list[Table] = []
    notes: list[str] = []
    rows: list[Record] = []
    columns: Sequence[str] = ()
    if compare:
        from pkdcli.reporting.tables.compare import COMPARED, compare_runs, compare_tables

        rows, columns = compare_runs(records, *compare), COMPARED
        tables = compare_tables(rows)
        chosen = [record for record in records if record["run"] in (rows[0]["a"], rows[0]["b"])]
    else:
        from pkdcli.reporting.select import choose, parse_group_by, parse_where
        from pkdcli.reporting.tables.build import Grouping, as_data, as_tables

        conditions = [*(("pair", word) for word in pair or []), *(("loss", word) for word in loss or [])]
        conditions += parse_where(where or [])
        how = Grouping(seeds == "mean", parse_group_by(group_by or []), best)
        chosen = choose(records, conditions) if records else []
        if format in _DATA:
            rows, columns = as_data(chosen, how, paper)
        else:
            tables, notes = as_tables(chosen, records, layout, how, paper) if chosen else ([], [])
        if not chosen:
            line = f"No runs in {root} yet. Start with: pkd sweep --loss mse --weights 10,30,50 --scale tiny"
            if records:
                line = f"No run meets all of: {', '.join(f'{key}={value}' for key, value in conditions)}."
            if format in _DATA:
                typer.echo(line, err=True)
            notes = [line]

    emit(format, output, tables, notes, rows, columns, Shown(chosen, records, root))
    if plot or plot_dir:
        from pkdcli.cli.plots import draw

        draw(chosen, records, plot, plot_dir, err=format not in ("table", "html") and output is None)


def emit(
    format: str,
    output: Path | None,
    tables: list[Table],
    notes: list[str],
    rows: list[Record],
    columns: Sequence[str],
    shown: Shown | None = None,
) -> None:
    """Print in a format or write to a file: tables and notes where it is for people, rows where it is data.

    The page is always a file, and holds the runs themselves too.
    """
    from pkdcli.reporting import formats

    if format == "table":
        formats.print_rich(tables, notes, output)
        return
    if format in _DATA:
        text = formats.to_csv(rows, columns) if format == "csv" else formats.to_json(rows, columns)
    elif format == "html":
        from pkdcli.reporting.page.build import render

        output = output or Path("report.html")
        text = render(tables, notes, *(shown or Shown([], [], Path.cwd())))
    else:
        text = formats.to_markdown(tables, notes) if format == "md" else formats.to_latex(tables, notes)
    if output is None:
        typer.echo(text, nl=False)
    else:
        from pkdcli.runs.store import write_text

        write_text(output, text)
        typer.echo(f"Wrote {output}", err=True)


def format_of(format: str | None, output: Path | None) -> str:
    """The format that was asked for, or the one the file's name ends in.

    Raises:
        PkdError: No such format.
    """
    from pkdcli.errors import unknown

    if format is None:
        format = _SUFFIXES.get(output.suffix.lower() if output else "", "table")
    if format not in FORMATS:
        raise unknown("--format", format, FORMATS)
    return format


def _check(root: Path) -> None:
    from pkdcli.errors import PkdError

    if root.exists() and not root.is_dir():
        raise PkdError(f"{root} is a file, not a folder of runs.", "Give the folder with --runs DIR.")
    if any((root / name).is_file() for name in ("status.json", "result.json")):
        raise PkdError(f"{root} is itself a run.", f"Give the folder of runs: --runs {root.parent}")


def report_runs(root: Path, runs: Collection[str]) -> None:
    """Print the tables of some runs and of the baselines they are measured against, as `pkd report` would.

    Args:
        root: The runs folder.
        runs: Their ids; a run without a result stands in the notes with its state and error.
    """
    from pkdcli.reporting import formats
    from pkdcli.reporting.tables.build import as_tables
    from pkdcli.runs.collect import collect

    records = collect(root)
    chosen = [record for record in records if record["run"] in runs]
    formats.print_rich(*as_tables(chosen, records, "auto", False, False))


command = report  # the name under which the command line finds it
