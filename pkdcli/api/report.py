"""The runs as tables like the paper's, as data, or as a page: `pkdcli.report()` and `pkd report`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pkdcli.api.options.report import ReportOptions
from pkdcli.errors import PkdError, unknown
from pkdcli.folders import runs_root
from pkdcli.launch.outcome import unheard
from pkdcli.reporting.on_split import SPLITS
from pkdcli.reporting.plots import KINDS
from pkdcli.reporting.select import hidden, without_smoke
from pkdcli.reporting.write import DATA, PAGE, Shown, format_of, render, save

if TYPE_CHECKING:
    import pandas as pd

    from pkdcli.reporting.frame import Grouping
    from pkdcli.reporting.table import Table
    from pkdcli.reporting.verdict.judge import Verdict
    from pkdcli.runs.record import Record

Content = tuple[list["Table"], list[str], list["Record"], Sequence[str]]
"""Tables and notes for people; rows and columns of data."""


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
        notes: What is to be said of runs that can't be shown as it was asked for.
    """

    options: ReportOptions
    format: str
    root: Path
    records: list[Record]
    chosen: list[Record]
    conditions: list[tuple[str, str]]
    how: Grouping
    compared: list[Record] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def shown(self) -> Shown:
        """What the page shows beside its tables."""
        return Shown(self.visible, self.records, self.root)

    @property
    def visible(self) -> list[Record]:
        """The chosen runs that people are shown."""
        asked = self.options.everything or self.compared or any(key == "smoke" for key, _ in self.conditions)
        return self.chosen if asked else without_smoke(self.chosen)

    @property
    def nothing(self) -> str | None:
        """Why there is nothing to show, and what to do; None where there is something."""
        if self.chosen:
            return None
        if self.notes:
            return "\n".join(self.notes)
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
        if self.options.by_class:
            from pkdcli.reporting.by_class import class_data

            return class_data(self.chosen, mean=self.how.mean)
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
        if self.options.by_class:
            from pkdcli.reporting.by_class import class_tables

            return class_tables(self.chosen, mean=self.how.mean), self.notes
        from pkdcli.reporting.tables.build import as_tables
        from pkdcli.reporting.tables.sizes import add_columns

        visible, options = self.visible, self.options
        tables, notes = as_tables(visible, self.records, options.layout, self.how, options.paper)
        add_columns(tables, options.columns)
        return tables, [*notes, *self.notes, *hidden(len(self.chosen) - len(visible), "smoke")]

    def content(self) -> Content:
        """Tables, notes, rows and columns, as far as the format needs them."""
        if self.format in DATA:
            return [], [self.nothing] if self.nothing else self.notes, *self.rows()
        return *self.tables(), [], ()

    def frame(self) -> pd.DataFrame:
        """The rows of csv and json as a data frame; its `attrs` hold `title` and `notes`."""
        from pkdcli.reporting.frame import as_frame
        from pkdcli.reporting.tables.runs import unfinished_notes

        notes = [self.nothing] if self.nothing else [] if self.compared else unfinished_notes(self.chosen) + self.notes
        return as_frame(*self.rows(), {"title": f"Runs in {self.root}", "notes": notes})


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

    format = format_of(options.format, options.output, plots="--plot-dir")
    if options.plot_dir is not None:
        from pkdcli.reporting.plot_folder import check_folder

        check_folder(options.plot_dir)
    root = runs_root(options.runs)
    _check(root)
    records, notes = collect(root, warn or unheard, options.imports), []
    how = Grouping(options.seeds == "mean", parse_group_by(options.group_by), options.best)
    if options.split not in SPLITS:
        raise unknown("split (--split)", options.split, SPLITS)
    if options.compare and options.split != "val":
        raise PkdError(
            f"--compare shows what the runs ended with, so --split {options.split} is not for it.",
            f"Type: pkd compare {' '.join(options.compare)} --split {options.split}",
        )
    if options.compare:
        from pkdcli.reporting.tables.compare import compare_runs

        compared = compare_runs(records, *options.compare)
        chosen = [record for record in records if record["run"] in (compared[0]["a"], compared[0]["b"])]
        return Report(options, format, root, records, chosen, [], how, compared)
    if options.split != "val":
        from pkdcli.reporting.on_split import on_split

        records, notes = on_split(records, options.split)
    conditions = [(key, word) for key in ("pair", "loss") for word in getattr(options, key)]
    conditions += parse_where(options.where)
    chosen = choose(records, conditions) if records else []
    if options.by_class:
        from pkdcli.folders import cache_root
        from pkdcli.reporting.by_class import with_classes

        # A gain is shown beside what it is over, whether that was chosen or not.
        serving = {record["baseline"] for record in chosen} - {record["run"] for record in chosen}
        chosen, more = with_classes(chosen + [one for one in records if one["run"] in serving], cache_root())
        notes += more
    return Report(options, format, root, records, chosen, conditions, how, notes=notes)


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
    from pkdcli.reporting.plot_folder import write_figures
    from pkdcli.reporting.plots.build import figures

    kinds = found.options.plots or KINDS
    return write_figures(figures(found.chosen, found.records, single=True, kinds=kinds), folder)


def _check(root: Path) -> None:
    if any((root / name).is_file() for name in ("status.json", "result.json")):
        raise PkdError(f"{root} is itself a run.", f"Give the folder of runs: --runs {root.parent}")
