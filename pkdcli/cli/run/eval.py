"""`pkd eval`: a run or a checkpoint on a data set."""

from __future__ import annotations

from typing import Annotated

import typer

from pkdcli.cli import typer_options as o


def command(
    target: Annotated[
        str, typer.Argument(metavar="RUN|CHECKPOINT", help="A run's id or folder, or a checkpoint file.")
    ],
    data: o.DataName = None,
    split: Annotated[str, typer.Option(help="val, test or train.")] = "val",
    model: Annotated[str, typer.Option(help="student or teacher (of a run).")] = "student",
    detector: Annotated[
        str | None,
        typer.Option(help="What a bare checkpoint is of; a run knows.", autocompletion=o._complete("detectors")),
    ] = None,
    scale: Annotated[
        str | None, typer.Option(help="Of a bare checkpoint; by default full size, on images as its own config tests.")
    ] = None,
    runs: o.Runs = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Evaluate a run's student (or its teacher), or a checkpoint: six COCO metrics.

    A run's own data set and split are the default; the result goes to eval/<data>-<split>.json in the run's folder and
    never touches result.json. Classes are matched by the names in the checkpoint. A run of a release that wrote no
    student.py beside its student.pth gets it here.

    [bold]Examples[/bold]

      pkd eval gfl101-fcos50__pkd-w10__2x__shapes-tiny__s0-1a2b3c4d

      pkd eval gfl101-fcos50__pkd --split test

      pkd eval student.pth --detector fcos50 --data my-data.yaml
    """
    from pkdcli.api.evaluate import evaluate

    evaluate(target, data, split, model, detector, scale, runs, json, quiet)
