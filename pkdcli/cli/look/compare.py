"""`pkd compare`: runs held against each other, image by image."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pkdcli.api.compare import CompareOptions
from pkdcli.cli.typer_options import spread
from pkdcli.options import Only, OutputOptions


@spread
def command(
    options: CompareOptions,
    output: Annotated[OutputOptions, Only("runs", "quiet")],
    plot: Annotated[bool, typer.Option("--plot", help="Also draw small plots in the terminal.")] = False,
) -> None:
    """Hold runs against each other, image by image: what is better, how sure that is, and which errors are gone.

    [bold]Examples[/bold]

      pkd compare fcos50__baseline gfl101-fcos50__pkd

      pkd compare fcos50__baseline gfl101-fcos50__pkd gfl101-fcos50__mse-w10 --format md -o compare.md

      pkd compare fcos50__baseline gfl101-fcos50__pkd --format html -o compare.html
    """
    from pkdcli.api.compare import hold, write
    from pkdcli.cli.progress.choose import watcher
    from pkdcli.reporting.compare.rows import DATA_COLUMNS
    from pkdcli.reporting.write import DATA, emit

    found = hold(options, output, watcher=watcher(json=False, quiet=output.quiet))
    if found.format in DATA:  # which has no place for notes
        for note in found.notes:
            print(note, file=sys.stderr)
    printed = options.output is None and found.format != "html"
    if printed:
        emit(found.format, None, found.tables(), list(found.notes), found.rows(), DATA_COLUMNS)
    if plot:
        from pkdcli.cli.plots import show

        show(found.figures(), err=printed and found.format != "table")
    for path in write(found, options):
        print(f"Wrote {path}", file=sys.stderr)
