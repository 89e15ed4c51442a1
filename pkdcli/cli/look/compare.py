"""`pkd compare`: runs held against each other, image by image."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pkdcli.api.compare import FORMATS, PAGE, CompareOptions
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
    from pkdcli.api.compare import compare
    from pkdcli.cli.progress.choose import watcher
    from pkdcli.errors import unknown
    from pkdcli.reporting.compare.rows import DATA_COLUMNS
    from pkdcli.reporting.write import DATA, emit, format_of, save

    format = format_of(options.format, options.output)
    if format not in FORMATS:  # by the name of the file
        raise unknown("--format", format, FORMATS)
    found = compare(options, output, watcher=watcher(json=False, quiet=output.quiet))
    if format == "html":
        path = options.output or PAGE
        print(f"Wrote {save(path, found.page())}", file=sys.stderr)
    else:
        if format in DATA:  # which has no place for notes
            for note in found.notes:
                print(note, file=sys.stderr)
        emit(format, options.output, found.tables(), list(found.notes), found.rows(), DATA_COLUMNS)
    if plot or options.plot_dir:
        from pkdcli.cli.plots import show

        show(found.figures(), plot, options.plot_dir, err=format not in ("table", "html") and options.output is None)
    if options.plot_dir:
        for path in found.write_pictures(options.plot_dir):
            print(f"Wrote {path}", file=sys.stderr)
