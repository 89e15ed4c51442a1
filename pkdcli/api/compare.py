"""Runs held against each other, image by image: `pkdcli.compare()` and `pkd compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pkdcli.errors import PkdError
from pkdcli.folders import cache_root
from pkdcli.launch.outcome import Watcher
from pkdcli.options import Only, OutputOptions, option
from pkdcli.runs.find import all_runs, chosen, teacher_of
from pkdcli.runs.paths import RunPaths, teachers_root
from pkdcli.runs.store import read_object

if TYPE_CHECKING:
    import pandas as pd

    from pkdcli.reporting.compare.groups import Against
    from pkdcli.reporting.table import Table

SPLITS = ("val", "test", "train")
FORMATS = ("table", "md", "csv", "json", "latex")
_Runs = Annotated[OutputOptions, Only("runs", "quiet")]


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """Which runs are held against each other.

    Attributes:
        names: Ids, beginnings of ids or folders; one that means several runs is a group of seeds. All are held against
            the first.
        split: val, or another that `pkd eval` has evaluated.
        resamples: How often images are drawn for an interval.
        format: table, md, csv, json or latex; None for what the file's name ends in, or table.
        output: A file instead of the terminal.
    """

    names: tuple[str, ...] = option(
        help="Runs: what is compared with, then the others. A beginning that means several runs is a group of seeds.",
        metavar="RUN RUN",
        argument=True,
        repeatable=True,
    )
    split: str = option("val", "val; or test or train, if `pkd eval` has evaluated it.", choices=SPLITS)
    resamples: int = option(1000, "How often images are drawn for the intervals; 0 for none.", min=0)
    format: str | None = option(None, "table, md, csv, json or latex.", metavar="FORMAT", choices=FORMATS)
    output: Path | None = option(
        None, "Write to a file instead of the terminal.", names=("--output", "-o"), metavar="FILE"
    )


@dataclass(frozen=True)
class Comparison:
    """What came out.

    Attributes:
        found: Each group but the first, held against the first.
        teacher: The metrics of the teacher that taught them; None where there is none, or several.
    """

    found: tuple[Against, ...]
    teacher: Mapping[str, float] | None = None

    def tables(self) -> list[Table]:
        """The tables that `pkd compare` shows."""
        from pkdcli.reporting.compare.tables import compared_tables

        return compared_tables(self.found, self.teacher)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of csv and json: metrics, classes, kinds of errors, images."""
        from pkdcli.reporting.compare.tables import compared_rows

        return compared_rows(self.found)

    def frame(self) -> pd.DataFrame:
        """The same as a data frame; AP points, and intervals over images and over seeds."""
        import pandas as pd

        from pkdcli.reporting.compare.tables import DATA_COLUMNS

        return pd.DataFrame(self.rows(), columns=list(DATA_COLUMNS))

    def _repr_html_(self) -> str:
        """The metrics as a table, for notebooks."""
        frame = self.frame()
        return frame[frame.kind == "metric"].drop(columns="kind").to_html(index=False)


def compare(options: CompareOptions, output: _Runs, *, watcher: Watcher | None = None) -> Comparison:
    """Hold runs against each other, image by image: differences with intervals, classes, kinds of errors.

    Args:
        options: Which runs.
        output: Where runs are.
        watcher: Told of what is being done.

    Returns:
        The comparison of each with the first.

    Raises:
        PkdError: A word means no run, a run has kept no detections, or they are of other images.
    """
    from pkdcli.reporting.compare.groups import against, grouped
    from pkdcli.reporting.compare.scored import score

    if len(options.names) < 2:
        raise PkdError("give two runs or more: what is compared with first.", "`pkd status` lists the runs.")
    cache, among = cache_root(), all_runs(output.runs)
    paths = {word: chosen([word], among) for word in dict.fromkeys(options.names)}
    if len(paths) < 2:
        raise PkdError("these are the same run twice.", "Give two different ones.")
    with (watcher or Watcher()).doing(f"comparing {sum(map(len, paths.values()))} runs on {options.split} ..."):
        scored = {word: [score(one, cache, options.split) for one in runs] for word, runs in paths.items()}
        groups = [grouped(Path(word).name, runs) for word, runs in scored.items()]
        found = tuple(against(groups[0], other, options.resamples) for other in groups[1:])
    return Comparison(found, _teacher([one for runs in paths.values() for one in runs], cache))


def _teacher(runs: Sequence[RunPaths], cache: Path) -> Mapping[str, float] | None:
    """The metrics of the one teacher that taught these runs."""
    named = {read_object(paths.result).get("teacher_run") for paths in runs} - {None}
    if len(named) != 1:
        return None
    noted = next((teacher for paths in runs if (teacher := teacher_of(paths)) is not None), None)
    home = noted or RunPaths(teachers_root(cache) / named.pop())
    metrics = read_object(home.result).get("metrics")
    return metrics if isinstance(metrics, dict) and isinstance(metrics.get("mAP"), (int, float)) else None
