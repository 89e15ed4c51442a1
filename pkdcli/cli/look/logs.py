"""`pkd logs`: what a run printed."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pkdcli.api.runs.logs import LogsOptions, find_log
from pkdcli.cli.typer_options import spread
from pkdcli.options import Only, OutputOptions


@spread
def command(
    options: LogsOptions,
    output: Annotated[OutputOptions, Only("runs")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing until the run ends.")] = False,
) -> None:
    """Print a run's log, or follow it.

    [bold]Examples[/bold]

      pkd logs gfl101-fcos50__mse-w10 -n 40

      pkd logs gfl101__teacher -f
    """
    for text in find_log(options, output, follow):
        sys.stdout.write(text)
        sys.stdout.flush()
