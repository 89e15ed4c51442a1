"""What a run printed, at once or as it goes on."""

from __future__ import annotations

import codecs
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pkdcli.errors import ExitCode, PkdError
from pkdcli.options import Only, OutputOptions, option
from pkdcli.runs.find import all_runs, only
from pkdcli.runs.paths import RunPaths

SECONDS = 0.5  # between two looks at a log that is followed


@dataclass(frozen=True)
class LogsOptions:
    """Which log is read, and how much of it.

    Attributes:
        name: The run's id, its beginning, or its folder.
        lines: Only so many of the last lines; None for all.
    """

    name: str = option(help="A run's id; its beginning is enough.", argument=True, metavar="RUN")
    lines: int | None = option(None, "Only the last lines.", names=("--lines", "-n"), min=0)


def logs(options: LogsOptions, output: Annotated[OutputOptions, Only("runs")]) -> str:
    """What a run printed.

    Args:
        options: Which run, and how much of its log.
        output: Where the runs are.

    Raises:
        PkdError: There is no such run, or it has no log yet.
    """
    return "".join(find_log(options, output))


def find_log(options: LogsOptions, output: OutputOptions, follow: bool = False) -> Iterator[str]:
    """What a run printed, in pieces.

    Args:
        options: Which run, and how much of its log.
        output: Where the runs are.
        follow: Go on until the run has ended.

    Raises:
        PkdError: There is no such run, or it has no log, and none is to be waited for.
    """
    return read_log(only(options.name, all_runs(output.runs)), options.lines, follow)


def read_log(paths: RunPaths, lines: int | None = None, follow: bool = False) -> Iterator[str]:
    """What a run printed, in pieces.

    Args:
        paths: Its run directory.
        lines: Begin with so many of the last lines; None for the whole log.
        follow: Go on until the run has ended.

    Raises:
        PkdError: It has no log, and none is to be waited for.
    """
    from pkdcli.launch.logs import tail
    from pkdcli.launch.status import query_all

    if not paths.log.is_file():
        (found,) = query_all([paths])
        if not follow or found.state not in ("queued", "running"):
            raise PkdError(f"{paths.run} has no log yet: it is {found.state}.", found.reason, ExitCode.MISSING)
    begin = 0
    if lines is not None:
        begin = paths.log.stat().st_size if paths.log.is_file() else 0
        yield "".join(f"{line}\n" for line in (tail(paths.log, lines) if lines else []))
    decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a character may lie across two pieces
    while True:
        # Looked at before the reading: what a run prints last is there when it has ended.
        (found,) = query_all([paths]) if follow else (None,)
        if paths.log.is_file():
            with open(paths.log, "rb") as log:
                log.seek(begin)
                while block := log.read(1 << 16):
                    begin += len(block)
                    yield decoder.decode(block)
        if found is None or found.state not in ("queued", "running"):
            return
        time.sleep(SECONDS)
