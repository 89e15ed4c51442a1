"""Runs held against each other, image by image: `pkdcli.compare()` and `pkd compare`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pkdcli.errors import PkdError
from pkdcli.folders import cache_root, runs_root
from pkdcli.launch.outcome import Watcher
from pkdcli.options import Only, OutputOptions, option
from pkdcli.runs.find import all_runs, chosen, teacher_of
from pkdcli.runs.paths import RunPaths, teachers_root
from pkdcli.runs.store import read_object

if TYPE_CHECKING:
    import pandas as pd

    from pkdcli.reporting.compare.groups import Against, Group
    from pkdcli.reporting.plots.figure import Figure
    from pkdcli.reporting.table import Table

SPLITS = ("val", "test", "train")
FORMATS = ("table", "md", "csv", "json", "latex", "html")
PAGE = Path("compare.html")
"""Where the page goes if nobody says where."""
RESAMPLES = 1000
_Runs = Annotated[OutputOptions, Only("runs", "quiet")]


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """Which runs are held against each other.

    Attributes:
        names: Ids, beginnings of ids or folders; one that means several runs is a group of seeds. All are held against
            the first.
        split: val, or another that `pkd eval` has evaluated.
        resamples: How often images are drawn for an interval.
        format: table, md, csv, json, latex or html; None for what the file's name ends in, or table.
        output: A file instead of the terminal.
        plot_dir: A folder for the plots, and for the images where runs differ most.
    """

    names: tuple[str, ...] = option(
        help="Runs: what is compared with, then the others. A beginning that means several runs is a group of seeds.",
        metavar="RUN RUN",
        argument=True,
        repeatable=True,
    )
    split: str = option("val", "val; or test or train, if `pkd eval` has evaluated it.", choices=SPLITS)
    resamples: int = option(RESAMPLES, "How often images are drawn for the intervals; 0 for none.", min=0)
    format: str | None = option(
        None, "table, md, csv, json, latex or html (a page with pictures).", metavar="FORMAT", choices=FORMATS
    )
    output: Path | None = option(
        None, "Write to a file instead of the terminal.", names=("--output", "-o"), metavar="FILE"
    )
    plot_dir: Path | None = option(
        None, "Write plots, and the images where runs differ most, into a folder.", metavar="DIR"
    )


@dataclass(frozen=True)
class Comparison:
    """What came out.

    Attributes:
        found: Each group but the first, held against the first.
        teacher: The metrics of the teacher that taught them; None where there is none, or several.
        taught_by: That teacher with its detections; None where it has kept none of this split.
        notes: What else is to be said.
        format: One of `FORMATS`, that was asked for or that the file's name ends in.
        files: What was written: the file, plots and images.
    """

    found: tuple[Against, ...]
    teacher: Mapping[str, float] | None = None
    taught_by: Group | None = None
    notes: tuple[str, ...] = ()
    format: str = "table"
    files: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        from pkdcli.reporting.table import signed

        told = (f"{one.b.word} {signed(one.metrics['mAP'].by_images.mean)} mAP" for one in self.found)
        return f"<Comparison with {self.found[0].a.word}: {', '.join(told)}>"

    def tables(self) -> list[Table]:
        """The tables that `pkd compare` shows."""
        from pkdcli.reporting.compare.tables import compared_tables

        return compared_tables(self.found, self.teacher, self.taught_by)

    def figures(self) -> list[Figure]:
        """The pictures of `pkd compare --plot`: differences with intervals, classes, kinds of errors, calibration."""
        from pkdcli.reporting.compare.figures import compared_figures

        return compared_figures(self.found, self.taught_by)

    def page(self, title: str = "Runs compared") -> str:
        """The page of `pkd compare --format html`, as text.

        Args:
            title: Its heading.
        """
        from pkdcli.reporting.page.compared import render_compared

        return render_compared(self.tables(), self.figures(), self.found, self.taught_by, self.notes, title)

    def write_pictures(self, folder: Path) -> list[Path]:
        """Draw the images where the runs differ most, with what each has found, as PNG files.

        Args:
            folder: Where to write.
        """
        from pkdcli.reporting.compare.pictures import write_pictures

        return write_pictures(self.found, folder, self.taught_by)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of csv and json: pairs, metrics, classes, kinds of errors, calibration, confusions, images."""
        from pkdcli.reporting.compare.rows import compared_rows

        return compared_rows(self.found, self.teacher, self.taught_by)

    def frame(self) -> pd.DataFrame:
        """The same as a data frame; AP points, and intervals over images and over seeds."""
        import pandas as pd

        from pkdcli.reporting.compare.rows import DATA_COLUMNS

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
        The comparison of each with the first; `files` are those that were written, where any were asked for.

    Raises:
        PkdError: A word means no run, or none that has kept detections, or they are of other images. Of a group of
            seeds those that have not are left out, with their partners. A file or folder can't be written.
    """
    found = hold(options, output, watcher=watcher)
    return replace(found, files=tuple(write(found, options)))


def write(found: Comparison, options: CompareOptions) -> Iterator[Path]:
    """Write what was asked for: a file, and plots and images into a folder; gives each file once it is there.

    Args:
        found: The comparison.
        options: Where to, and in which format.

    Raises:
        PkdError: It can't be written (exit code 3).
    """
    from pkdcli.reporting.compare.rows import DATA_COLUMNS
    from pkdcli.reporting.write import render, save

    if found.format == "html":
        yield save(options.output or PAGE, found.page())
    elif options.output is not None:
        content = (found.tables(), list(found.notes), found.rows(), DATA_COLUMNS)
        yield save(options.output, render(found.format, *content))
    if options.plot_dir is not None:
        from pkdcli.reporting.plot_folder import write_figures

        yield from write_figures(found.figures(), options.plot_dir)
        yield from found.write_pictures(options.plot_dir)


def hold(options: CompareOptions, output: OutputOptions, *, watcher: Watcher | None = None) -> Comparison:
    """The same without writing anything: what can't be written is refused before any run is read.

    Args:
        options: As for `compare`.
        output: As for `compare`.
        watcher: As for `compare`.

    Raises:
        PkdError: As `compare` does.
    """
    from pkdcli.reporting.compare.groups import against, grouped
    from pkdcli.reporting.compare.members import measurable
    from pkdcli.reporting.compare.scored import score
    from pkdcli.reporting.plot_folder import check_folder
    from pkdcli.reporting.write import format_of

    format = format_of(options.format, options.output, FORMATS, plots="--plot-dir", page=PAGE)
    if options.plot_dir is not None:
        check_folder(options.plot_dir)
    if len(options.names) < 2:
        raise PkdError("give two runs or more: what is compared with first.", "`pkd status` lists the runs.")
    cache, among = cache_root(), all_runs(output.runs)
    paths = {word: chosen([word], among) for word in dict.fromkeys(options.names)}
    if len(paths) < 2:
        raise PkdError("these are the same run twice.", "Give two different ones.")
    meant: dict[Path, str] = {}
    for word, runs in paths.items():
        for one in runs:
            if (other := meant.setdefault(one.root.resolve(), word)) != word:
                raise PkdError(
                    f"{other!r} and {word!r} both mean {one.run}.",
                    "A run is compared with others: give words that mean different ones.",
                )
    with (watcher or Watcher()).doing(f"comparing {sum(map(len, paths.values()))} runs on {options.split} ..."):
        groups = []
        for word, runs in paths.items():
            measured = measurable(word, runs, lambda one: score(one, cache, options.split, _target(one)))
            groups.append(grouped(Path(word).name, *measured))
        found = tuple(against(groups[0], other, options.resamples) for other in groups[1:])
        every = [one for runs in paths.values() for one in runs]
        teacher, note = _teacher(every, cache, options.split, groups[0])
    metrics = teacher.metrics if teacher else _teachers_metrics(every, options.split)
    return Comparison(found, metrics, teacher, (note,) if note else (), format)


def held_against(
    a: Sequence[RunPaths], b: Sequence[RunPaths], watcher: Watcher, resamples: int = RESAMPLES
) -> Against:
    """Hold runs of one recipe against those of another, seed by seed, on the validation images.

    Args:
        a: What is compared with.
        b: The others.
        watcher: Told of what is being done.
        resamples: How often images are drawn for an interval.

    Raises:
        PkdError: A run has kept no detections, or they are of other images.
    """
    from pkdcli.reporting.compare.groups import against, grouped
    from pkdcli.reporting.compare.scored import score

    cache = cache_root()
    with watcher.doing(f"comparing {len(a) + len(b)} runs on val ..."):
        scored = [[score(one, cache, "val", target=_target(one)) for one in runs] for runs in (a, b)]
        first, second = (grouped(runs[0].run, runs) for runs in scored)
        return against(first, second, resamples)


def _target(paths: RunPaths) -> str:
    """What `pkd eval` knows a run by: its id; its folder if that is a teacher's, or lies elsewhere than the runs."""
    beside = paths.root.parent.resolve() == runs_root().resolve()
    return paths.run if beside else str(paths.root.absolute())


def _teacher(runs: Sequence[RunPaths], cache: Path, split: str, like: Group) -> tuple[Group | None, str | None]:
    """The one teacher that taught these runs, where it has kept detections of the same images; else why it has not."""
    from pkdcli.reporting.compare.groups import Group
    from pkdcli.reporting.compare.pairs import alike
    from pkdcli.reporting.compare.scored import score

    named = {read_object(paths.result).get("teacher_run") for paths in runs} - {None}
    if len(named) != 1:
        return None, None
    noted = next((teacher for paths in runs if (teacher := teacher_of(paths)) is not None), None)
    home = noted or RunPaths(teachers_root(cache) / named.pop())
    try:
        found = score(home, cache, split, target=_target(home))
        alike(like.runs[0], found)
    except PkdError as error:  # the comparison does without
        return None, f"The teacher's own errors are not shown: {error.message} {error.hint or ''}".rstrip()
    return Group("teacher", (found,)), None


def _teachers_metrics(runs: Sequence[RunPaths], split: str) -> Mapping[str, float] | None:
    """The metrics of the one teacher on the validation images, as the results of its students say."""
    told = [found for paths in runs if (found := read_object(paths.result)).get("teacher_run")]
    if split != "val" or len({one["teacher_run"] for one in told}) != 1:
        return None
    metrics = told[0].get("teacher_metrics")
    return metrics if isinstance(metrics, dict) and isinstance(metrics.get("mAP"), (int, float)) else None
