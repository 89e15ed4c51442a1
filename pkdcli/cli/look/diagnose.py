"""`pkd diagnose`: why a student is no better."""

from __future__ import annotations

from typing import Annotated

import typer

from pkdcli.api.diagnosis.diagnose import DiagnoseOptions
from pkdcli.cli.typer_options import spread
from pkdcli.options import Only, OutputOptions


@spread
def command(options: DiagnoseOptions, output: Annotated[OutputOptions, Only("runs", "json", "quiet")]) -> None:
    """Say why a run is no better: the likeliest cause first, its numbers beside those of good runs, what to type.

    It reads what the run has recorded, which takes a second; --look also runs both nets over a few images. Leaves with
    exit code 1 where something is wrong, 0 where the run is healthy.

    [bold]Examples[/bold]

      pkd diagnose gfl101-fcos50__pkd

      pkd diagnose gfl101-fcos50__pkd --look

      pkd diagnose gfl101-fcos50__mse-w50 --format md -o why.md
    """
    import sys

    from pkdcli.api.diagnosis.diagnose import diagnose
    from pkdcli.cli.progress.choose import watcher
    from pkdcli.errors import ExitCode
    from pkdcli.reporting.write import emit

    quiet = output.quiet or output.json or options.format == "json"
    done = diagnose(options, output, watcher=watcher(json=False, quiet=quiet))
    if done.file is not None:
        print(f"Wrote {done.file}", file=sys.stderr)
    elif done.format == "json":
        print(done.text(), end="")
    elif output.quiet:
        if done.line:
            print(done.line)
    else:
        emit(done.format, None, done.tables(), [], [], ())
    raise typer.Exit(ExitCode.OK if done.healthy else ExitCode.RUN_FAILED)
