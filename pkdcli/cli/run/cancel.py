"""`pkd cancel`: stop runs, wherever they are."""

from __future__ import annotations

from typing import Annotated

import typer

from pkdcli.api.runs.cancel import CancelOptions, cancel
from pkdcli.cli.typer_options import spread
from pkdcli.options import Only, OutputOptions


@spread
def command(options: CancelOptions, output: Annotated[OutputOptions, Only("runs")]) -> None:
    """Stop runs: those at work save first, those in a queue leave it, and with a teacher its students.

    `pkd resume` goes on with them.

    [bold]Examples[/bold]

      pkd cancel gfl101-fcos50__mse-w10

      pkd cancel gfl101-fcos50__mse fcos50__baseline
    """
    cancelled = cancel(options, output)
    for one in cancelled:
        print(f"{one.run}: {one.text}")
    raise typer.Exit(0 if all(one.ok for one in cancelled) else 1)
