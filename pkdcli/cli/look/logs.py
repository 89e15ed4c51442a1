"""`pkd logs`: what a run printed."""

from __future__ import annotations

from typing import Annotated

import typer

from pkdcli.cli import typer_options as o

SECONDS = 0.5  # between two looks with --follow


def command(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run's id; its beginning is enough.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing until the run ends.")] = False,
    lines: Annotated[int | None, typer.Option("--lines", "-n", min=0, help="Only the last lines.")] = None,
    runs: o.Runs = None,
) -> None:
    """Print a run's log, or follow it.

    [bold]Examples[/bold]

      pkd logs gfl101-fcos50__mse-w10 -n 40

      pkd logs gfl101__teacher -f
    """
    from pkdcli.errors import ExitCode, PkdError
    from pkdcli.launch.logs import tail
    from pkdcli.launch.status import query_all
    from pkdcli.runs.find import all_runs, only

    paths = only(name, all_runs(runs))
    if not paths.log.is_file():
        (found,) = query_all([paths])
        if not follow or found.state not in ("queued", "running"):
            raise PkdError(f"{paths.run} has no log yet: it is {found.state}.", found.reason, ExitCode.MISSING)
    begin = 0
    if lines is not None:
        begin = paths.log.stat().st_size if paths.log.is_file() else 0
        print("".join(f"{line}\n" for line in (tail(paths.log, lines) if lines else [])), end="", flush=True)
    _copy(paths, begin, follow)


def _copy(paths, begin: int, follow: bool) -> None:
    import sys
    import time

    from pkdcli.launch.status import query_all

    while True:
        # Looked at before the reading: what a run prints last is there when it has ended.
        (found,) = query_all([paths]) if follow else (None,)
        if paths.log.is_file():
            with open(paths.log, "rb") as log:
                log.seek(begin)
                while block := log.read(1 << 16):
                    begin += len(block)
                    sys.stdout.write(block.decode(errors="replace"))
            sys.stdout.flush()
        if found is None or found.state not in ("queued", "running"):
            return
        time.sleep(SECONDS)
