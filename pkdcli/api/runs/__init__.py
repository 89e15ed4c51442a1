"""What is asked of runs that are there: which there are, and how far they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pkdcli.folders import runs_root
from pkdcli.options import Only, OutputOptions, option
from pkdcli.runs.find import all_runs, chosen, only
from pkdcli.runs.paths import RunPaths

if TYPE_CHECKING:
    from pkdcli.launch.run_state import RunState
    from pkdcli.runs.record import Record
    from pkdcli.runs.run import Run
    from pkdcli.runs.run_list import RunList

@dataclass(frozen=True)
class StatusOptions:
    """Which runs are looked at.

    Attributes:
        names: Their ids, beginnings of these, or their folders; all runs without.
    """

    names: tuple[str, ...] = option((), "Runs; all without.", argument=True, repeatable=True, metavar="[RUN]...")


@dataclass(frozen=True)
class LoadOptions:
    """Which run is loaded.

    Attributes:
        name: Its id, the beginning of it, or its folder.
    """

    name: str = option(help="A run's id, its beginning, or its folder.", argument=True, metavar="RUN")


def list_runs(runs: Path | None = None) -> RunList:
    """The runs of a folder, in the order of the tables.

    Args:
        runs: The runs folder; None for $PKD_RUNS, or ./runs.

    Returns:
        A list of `Run` that notebooks show as a table; its `frame()` is a data frame. A run's state is what
        `pkd status` says of it.

    Raises:
        PkdError: The folder can't be read.
    """
    from pkdcli.runs.collect import collect
    from pkdcli.runs.run import Run
    from pkdcli.runs.run_list import RunList

    records = collect(runs_root(runs), lambda line: None)
    paths = [RunPaths(Path(record["path"])) for record in records]
    # Those that are done and whole need no second look.
    open_ = [one for one, record in zip(paths, records, strict=True) if not _is_whole(one, record)]
    known = {run.paths: run for run in runs_of(open_)}
    return RunList(known.get(one) or Run(one, "done") for one in paths)


def load_run(name: str | Path, runs: Path | None = None) -> Run:
    """One run, a teacher's in the cache too.

    Args:
        name: Its id, the beginning of it, or its folder, wherever that is.
        runs: The runs folder; None for $PKD_RUNS, or ./runs.

    Raises:
        PkdError: There is no such run, with the nearest, or there are several.
    """
    return runs_of([only(str(name), all_runs(runs))])[0]


def runs_of(paths: Iterable[RunPaths]) -> RunList:
    """Run directories as `Run`s, each in the state that `pkd status` says."""
    from pkdcli.launch.status import query_all
    from pkdcli.runs.run import Run
    from pkdcli.runs.run_list import RunList

    return RunList(Run(one.paths, one.state, one.reason, one.where) for one in query_all(paths))


def status(options: StatusOptions, output: Annotated[OutputOptions, Only("runs")]) -> list[RunState]:
    """What every run is doing, the teachers in the cache first; what a killed one could not write is written down.

    Args:
        options: Which runs.
        output: Where they are.

    Raises:
        PkdError: There is no run of such a name, with the nearest.
    """
    from pkdcli.launch.run_state import reconcile
    from pkdcli.launch.status import query_all

    found = query_all(chosen(options.names, all_runs(output.runs)))
    for one in found:
        reconcile(one)
    return found


def _is_whole(paths: RunPaths, record: Record) -> bool:
    done = record["state"] == "done" and record["mAP"] is not None
    return done and paths.weights(record["role"] or "distill").is_file()
