"""What a report shows and how: the options of `pkdcli.report()` and `pkd report`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pkdcli.options import OutputOptions, like, option
from pkdcli.reporting.on_split import SPLITS
from pkdcli.reporting.plots import KINDS
from pkdcli.reporting.write import FORMATS
from pkdcli.runs.record import MORE_COLUMNS

LAYOUTS = ("auto", "table7", "table8", "runs")
SEEDS = ("each", "mean")


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
        by_class: Show the AP of each class, in place of the usual tables.
        split: `val`, as the runs ended, or `test`: as `pkd eval RUN --split test` has measured them.
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
    pair: tuple[str, ...] = option(
        (), "Only this pair and its baselines; repeatable.", metavar="PAIR", repeatable=True
    )
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
    by_class: bool = option(False, "AP of each class, with its gain over the baseline.")
    split: str = option(
        "val", "val, as the runs ended, or test: as pkd eval RUN --split test has measured them.", metavar="SPLIT",
        choices=SPLITS,
    )  # fmt: skip
    plots: tuple[str, ...] = option(
        (), f"With --plot or --plot-dir, only these: {', '.join(KINDS)}.", metavar="PLOT", argument=True,
        repeatable=True, choices=KINDS,
    )  # fmt: skip
    plot_dir: Path | None = option(None, "Also write the plots here, as PNG, SVG and PDF.", metavar="DIR")
    output: Path | None = option(
        None, "Write here; html without it goes to report.html.", names=("--output", "-o"), metavar="FILE"
    )
