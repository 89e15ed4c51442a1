"""`pkd verify`: the paper's mathematics on real features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pkdcli.cli import typer_options as o

FORMATS = ("table", "md", "json")


def command(
    pair: o.Pair = "gfl101-fcos50",
    scale: o.ScaleName = "tiny",
    data: o.DataName = None,
    image: Annotated[
        list[Path] | None,
        typer.Option("--image", metavar="FILE", help="Instead of the data set's first two val images; repeatable."),
    ] = None,
    runs: o.Runs = None,
    format: Annotated[str, typer.Option("--format", metavar="FORMAT", help=", ".join(FORMATS) + ".")] = "table",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder of plot, CSV and JSON; default: verify/ in the runs folder."
        ),
    ] = None,
    quiet: o.Quiet = False,
) -> None:
    """Check the paper's appendix A.3 in float64 on the feature maps of a pair.

    Norm+KL's value and gradient go to PKD's as the temperature grows; norm-mse is twice pkd; pkd does not change when
    either side is scaled or shifted, mse does. The finished teacher and baseline give the weights where there are any.
    Leaves with exit code 1 where a claim does not hold.

    [bold]Examples[/bold]

      pkd verify

      pkd verify --pair maskswin-faster50 --image street.jpg --image dog.jpg --format md
    """
    from pkdcli.api.verify import verify
    from pkdcli.errors import unknown

    if format not in FORMATS:
        raise unknown("--format", format, FORMATS)
    raise typer.Exit(verify(pair, scale, data, image or [], runs, format, output, quiet))
