"""`pkd compare`: runs held against each other, image by image."""

from __future__ import annotations

from typing import Annotated

from pkdcli.api.compare import FORMATS, CompareOptions
from pkdcli.cli.typer_options import spread
from pkdcli.options import Only, OutputOptions


@spread
def command(options: CompareOptions, output: Annotated[OutputOptions, Only("runs", "quiet")]) -> None:
    """Hold runs against each other, image by image: what is better, how sure that is, and which errors are gone.

    [bold]Examples[/bold]

      pkd compare fcos50__baseline gfl101-fcos50__pkd

      pkd compare fcos50__baseline gfl101-fcos50__pkd gfl101-fcos50__mse-w10 --format md -o compare.md
    """
    from pkdcli.api.compare import compare
    from pkdcli.cli.progress.choose import watcher
    from pkdcli.errors import unknown
    from pkdcli.reporting.compare.tables import DATA_COLUMNS
    from pkdcli.reporting.write import emit, format_of

    format = format_of(options.format, options.output)
    if format not in FORMATS:  # by the name of the file
        raise unknown("--format", format, FORMATS)
    found = compare(options, output, watcher=watcher(json=False, quiet=output.quiet))
    emit(format, options.output, found.tables(), [], found.rows(), DATA_COLUMNS)
