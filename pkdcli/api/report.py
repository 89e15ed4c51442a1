"""The runs as tables like the paper's, as data, or as a page: `pkdcli.report()` and `pkd report`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pkdcli.errors import PkdError
from pkdcli.folders import runs_root
from pkdcli.launch.outcome import unheard
from pkdcli.options import OutputOptions, like, option
from pkdcli.reporting.plots import KINDS
from pkdcli.reporting.write import DATA, FORMATS, PAGE, Shown, format_of, render, save
from pkdcli.runs.record import MORE_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

    from pkdcli.reporting.frame import Grouping
    from pkdcli.reporting.table import Table
    from pkdcli.reporting.verdict.judge import Verdict
    from pkdcli.runs.record import Record

LAYOUTS = ("auto", "table7", "table8", "runs")
SEEDS = ("each", "mean")

Content = tuple[list["Table"], list[str], list["Record"], Sequence[str]]
"""Tables and notes for people; rows and columns of data."""


def _or(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


@dataclass(frozen=True)
class ReportOptions:
    """What a report shows and how.

    Attributes:
        runs: The folder of runs; None for $PKD_RUNS, or ./runs.
        format: One of `FORMATS`; None: as `output` ends, else table.
        layout: One of `LAYOUTS`; csv and json always have one row per run.
        pair: Only these pairs and their baselines.
        loss: Only these losses.
        where: Only runs with such values, each `key=value` of a csv column.
        imports: Also runs of stock mmdet or mmrazor: work directories, or folders of them.
        group_by: A table for each value of these csv columns.
        best: Only the best mAP of each group; without `group_by` of each loss.
        seeds: One of `SEEDS`.
        paper: Put the published numbers beside.
        columns: Columns of size and speed to add, of `MORE_COLUMNS`.
        compare: Two runs, or the beginnings of their names, side by side.
        everything: Show smoke runs beside whole ones too; csv, json and data frames always have them.
        verdict: Say of each method whether its gain over the baseline is real, in place of the tables.
        plots: Which plots are drawn, of `KINDS`; none for all.
        plot_dir: Also write the plots here.
        output: The file to write.
    """

    runs: Path | None = like(
        OutputOptions, "runs", help="The runs folder; default: $PKD_RUNS, or ./runs.", metavar="DIR", panel=None
    )
    format: str | None = option(
        None, f"{_or(FORMATS)}; default: as FILE ends, else table.", metavar="FORMAT", choices=FORMATS
    )
    layout: str = option(
        "auto",
        f"{_or(LAYOUTS)}: like the paper's Table 7 (teacher, student, methods) or 8 (loss weights), or a list of every "
        "run. csv and json always have one row per run.",
        metavar="LAYOUT",
        choices=LAYOUTS,
    )
    pair: tuple[str, ...] = option((), "Only this pair and its baselines; repeatable.", metavar="PAIR", repeatable=True)
    loss: tuple[str, ...] = option((), "Only this loss; repeatable.", metavar="LOSS", repeatable=True)
    where: tuple[str, ...] = option(
        (), "Only runs with this value in a csv column; repeatable.", metavar="KEY=VALUE", repeatable=True
    )
    imports: tuple[Path, ...] = option(
        (),
        "Also runs of stock mmdet or mmrazor: a work_dir, or a folder of them; marked so. Repeatable.",
        names=("--import",),
        metavar="WORK_DIR",
        repeatable=True,
    )
    group_by: tuple[str, ...] = option(
        (), "A table for each value of these csv columns.", metavar="KEY[,KEY]", repeatable=True
    )
    best: bool = option(False, "Only the best mAP of each group; by default of each loss: its best weight.")
    seeds: str = option(
        "each", "each seed, or their mean and standard deviation (mean).", metavar="SEEDS", choices=SEEDS
    )
    paper: bool = option(False, "Put the published numbers beside.", names=("--paper/--no-paper",))
    columns: tuple[str, ...] = option(
        (), f"Also these: {', '.join(MORE_COLUMNS)}.", metavar="A,B", choices=MORE_COLUMNS
    )
    compare: tuple[str, str] | None = option(
        None, "Two runs, or the beginnings of their names, side by side.", metavar="RUN RUN"
    )
    everything: bool = option(False, "Also smoke runs beside whole ones.", names=("--all",))
    verdict: bool = option(
        False, "Is the gain real? GO, NO-GO or INCONCLUSIVE for each method, from its seeds and the baseline's."
    )
    plots: tuple[str, ...] = option(
        (), f"With --plot or --plot-dir, only these: {', '.join(KINDS)}.", metavar="PLOT", argument=True,
        repeatable=True, choices=KINDS,
    )  # fmt: skip
    plot_dir: Path | None = option(None, "Also write the plots here, as PNG, SVG and PDF.", metavar="DIR")
    output: Path | None = option(
        None, "Write here; html without it goes to report.html.", names=("--output", "-o"), metavar="FILE"
    )


@dataclass(frozen=True)
class Report:
    """What was found, before it is put into a format.

    Attributes:
        options: What was asked for.
        format: The format that follows from them.
        root: The runs folder.
        records: All runs there, and those that are imported.
        chosen: Those that meet the conditions.
        conditions: Pairs of a column and a value.
        how: How the runs are put together.
        compared: The rows of two runs side by side, if that was asked for.
    """

    options: ReportOptions
    format: str
    root: Path
    records: list[Record]
    chosen: list[Record]
    conditions: list[tuple[str, str]]
    how: Grouping
    compared: list[Record] = field(default_factory=list)

    @property
    def shown(self) -> Shown:
        """What the page shows beside its tables."""
        return Shown(self.visible, self.records, self.root)

    @property
    def visible(self) -> list[Record]:
        """The chosen runs that people are shown: a smoke run stands beside no whole one, unless it is asked for."""
        asked = self.options.everything or bool(self.compared) or any(key == "smoke" for key, _ in self.conditions)
        whole = [record for record in self.chosen if not record["smoke"]]
        return self.chosen if asked or all(record["mAP"] is None for record in whole) else whole

    @property
    def nothing(self) -> str | None:
        """Why there is nothing to show, and what to do; None where there is something."""
        if self.chosen:
            return None
        if self.records:
            return f"No run meets all of: {', '.join(f'{key}={value}' for key, value in self.conditions)}."
        return f"No runs in {self.root} yet. Start with: pkd sweep --loss mse --weights 10,30,50 --scale tiny"

    def rows(self) -> tuple[list[Record], Sequence[str]]:
        """The rows and columns of csv, json and data frames."""
        if self.compared:
            from pkdcli.reporting.tables.compare import COMPARED

            return self.compared, COMPARED
        if self.options.verdict:
            from pkdcli.reporting.verdict.tables import VERDICT_COLUMNS, verdict_rows

            return verdict_rows(self.verdicts()), VERDICT_COLUMNS
        from pkdcli.reporting.frame import as_data

        rows, columns = as_data(self.chosen, self.how, self.options.paper)
        return rows, (*columns, *self.options.columns)

    def verdicts(self) -> list[Verdict]:
        """Whether the gain of each method among the chosen runs is real."""
        from pkdcli.reporting.verdict.judge import judge

        return judge(self.chosen, self.records)

    def tables(self) -> tuple[list[Table], list[str]]:
        """The tables for people, and the notes below them."""
        if self.compared:
            from pkdcli.reporting.tables.compare import compare_tables

            return compare_tables(self.compared), []
        if self.nothing:
            return [], [self.nothing]
        if self.options.verdict:
            from pkdcli.reporting.verdict.tables import verdict_table

            return [verdict_table(self.verdicts())], []
        from pkdcli.reporting.tables.build import as_tables
        from pkdcli.reporting.tables.sizes import add_columns

        visible, options = self.visible, self.options
        tables, notes = as_tables(visible, self.records, options.layout, self.how, options.paper)
        add_columns(tables, options.columns)
        return tables, [*notes, *hidden(len(self.chosen) - len(visible), "smoke")]

    def content(self) -> Content:
        """Tables, notes, rows and columns, as far as the format needs them."""
        if self.format in DATA:
            return [], [self.nothing] if self.nothing else [], *self.rows()
        return *self.tables(), [], ()

    def frame(self) -> pd.DataFrame:
        """The rows of csv and json as a data frame; its `attrs` hold `title` and `notes`."""
        from pkdcli.reporting.frame import as_frame
        from pkdcli.reporting.tables.runs import unfinished_notes

        notes = [self.nothing] if self.nothing else [] if self.compared else unfinished_notes(self.chosen)
        return as_frame(*self.rows(), {"title": f"Runs in {self.root}", "notes": notes})


def hidden(count: int, kind: str) -> list[str]:
    """The line that says of runs which are not shown; none where all are.

    Args:
        count: How many.
        kind: What they are, such as `smoke` or `failed`.
    """
    return [f"{count} {kind} run{'s' * (count != 1)} hidden: --all"] if count else []


def find_report(options: ReportOptions, warn: Callable[[str], None] | None = None) -> Report:
    """Read the runs and choose among them.

    Args:
        options: What to show.
        warn: Called with a line for each file that can't be read.

    Raises:
        PkdError: A wrong word, or a folder that is not one of runs.
    """
    from pkdcli.reporting.frame import Grouping
    from pkdcli.reporting.select import choose, parse_group_by, parse_where
    from pkdcli.runs.collect import collect

    format = format_of(options.format, options.output)
    root = runs_root(options.runs)
    _check(root)
    records = collect(root, warn or unheard, options.imports)
    how = Grouping(options.seeds == "mean", parse_group_by(options.group_by), options.best)
    if options.compare:
        from pkdcli.reporting.tables.compare import compare_runs

        compared = compare_runs(records, *options.compare)
        chosen = [record for record in records if record["run"] in (compared[0]["a"], compared[0]["b"])]
        return Report(options, format, root, records, chosen, [], how, compared)
    conditions = [(key, word) for key in ("pair", "loss") for word in getattr(options, key)]
    conditions += parse_where(options.where)
    chosen = choose(records, conditions) if records else []
    return Report(options, format, root, records, chosen, conditions, how)


def report(options: ReportOptions, *, say: Callable[[str], None] | None = None) -> pd.DataFrame | Path | str:
    """Show what the runs reached.

    Args:
        options: What to show and how.
        say: Called with a line for each file that can't be read, and for each one that is written.

    Returns:
        A data frame with the rows and columns of csv and json where no format and no file was asked for. Its `attrs`
        hold `title` and `notes`. With a file, or with html, which is always one: the file that was written. With a
        format alone: the text.

    Raises:
        PkdError: A wrong word, a folder that is not one of runs, or a file that can't be written.
    """
    found = find_report(options, say and (lambda line: say(f"warning: {line}")))
    if options.plot_dir is not None:
        for path in write_plots(found, Path(options.plot_dir)):
            (say or unheard)(f"Wrote {path}")
    if options.format is None and options.output is None:
        return found.frame()
    text = render(found.format, *found.content(), found.shown)
    if options.output is None and found.format != "html":
        return text
    return save(Path(options.output or PAGE), text)


def write_plots(found: Report, folder: Path) -> list[Path]:
    """Draw what there is to see in the chosen runs, as PNG, SVG and PDF files; returns the files.

    Args:
        found: The report.
        folder: Where to write.

    Raises:
        PkdError: The folder can't be written.
    """
    from pkdcli.reporting.plots.build import figures
    from pkdcli.reporting.plots.files import write_figures

    kinds = found.options.plots or KINDS
    return list(write_figures(figures(found.chosen, found.records, single=True, kinds=kinds), folder))


def tables_of(root: Path, runs: Collection[str], *, mean: bool = False) -> tuple[list[Table], list[str]]:
    """The tables of some runs and of the baselines they are measured against, as `pkd report` shows them, and notes.

    Args:
        root: The runs folder.
        runs: Their ids; a run without a result stands in the notes with its state and error.
        mean: Over seeds.
    """
    from pkdcli.reporting.frame import Grouping
    from pkdcli.reporting.tables.build import as_tables
    from pkdcli.runs.collect import collect

    records = collect(root)
    return as_tables([one for one in records if one["run"] in runs], records, "auto", Grouping(mean=mean), False)


def _check(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise PkdError(f"{root} is a file, not a folder of runs.", "Give the folder with --runs DIR.")
    if any((root / name).is_file() for name in ("status.json", "result.json")):
        raise PkdError(f"{root} is itself a run.", f"Give the folder of runs: --runs {root.parent}")
