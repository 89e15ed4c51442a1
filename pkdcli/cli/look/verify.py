"""`pkd verify`: the paper's mathematics on real features."""

from __future__ import annotations

from typing import Annotated

import typer

from pkdcli.api.options import VerifyOptions
from pkdcli.cli.typer_options import spread
from pkdcli.options import Only, OutputOptions

FORMATS = ("table", "md", "json")


@spread
def command(
    options: VerifyOptions,
    output: Annotated[OutputOptions, Only("quiet")],
    format: Annotated[str, typer.Option("--format", metavar="FORMAT", help=", ".join(FORMATS) + ".")] = "table",
) -> None:
    """Check the paper's appendix A.3 in float64 on the feature maps of a pair.

    Norm+KL's value and gradient go to PKD's as the temperature grows; norm-mse is twice pkd; pkd does not change when
    either side is scaled or shifted, mse does. The finished teacher and baseline give the weights where there are any.
    Leaves with exit code 1 where a claim does not hold.

    [bold]Examples[/bold]

      pkd verify

      pkd verify --pair maskswin-faster50 --image street.jpg --image dog.jpg --format md
    """
    import json

    from pkdcli.api.verify import verify
    from pkdcli.cli.console import tell
    from pkdcli.cli.progress.choose import watcher
    from pkdcli.errors import ExitCode, unknown
    from pkdcli.reporting.tables.verified import verified_tables
    from pkdcli.reporting.write import emit

    if format not in FORMATS:
        raise unknown("--format", format, FORMATS)
    done = verify(options, watcher=watcher(json=False, quiet=output.quiet))
    if format == "json":
        print(json.dumps(done.found, indent=1))
    else:
        emit(format, None, verified_tables(done.found), [], [], ())
    if not output.quiet:
        tell(f"Wrote {done.files[0]}, .csv and .json")
    raise typer.Exit(ExitCode.OK if done.passed else ExitCode.RUN_FAILED)
