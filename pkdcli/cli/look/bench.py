"""`pkd bench`: what this machine makes of a pair, against mmrazor and the plain formulas."""

from __future__ import annotations

from typing import Annotated

import typer

from pkdcli.cli import typer_options as o

SECTIONS = (
    *("losses", "launches", "step", "group", "eval", "data", "startup", "suggest", "experiment"),
    *("operators", "coco", "report"),
)
DEFAULT = SECTIONS[:7]
_MEASURE = "What and how to measure"


def command(
    pair: o.Pair = "gfl101-fcos50",
    scale: o.ScaleName = "tiny",
    loss: o.Loss = "pkd",
    image: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="Size of the images in pixels.", rich_help_panel=_MEASURE),
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Images a step.", rich_help_panel=_MEASURE)] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of a step on the CPU; PyTorch's own choice.", rich_help_panel=_MEASURE)
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="A,B", help=f"Sections: {', '.join(SECTIONS)}.", rich_help_panel=_MEASURE),
    ] = None,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Propose faster settings for the teacher.", rich_help_panel=_MEASURE)
    ] = False,
    clock: Annotated[
        str,
        typer.Option(
            metavar="wall|cpu",
            help="cpu: processor time, on one thread; steadier where others use the machine too.",
            rich_help_panel=_MEASURE,
        ),
    ] = "wall",
    repeat: Annotated[int, typer.Option(min=1, help="Rounds of each comparison.", rich_help_panel=_MEASURE)] = 5,
    students: Annotated[int, typer.Option(min=1, help="Students that share a teacher.", rich_help_panel=_MEASURE)] = 5,
    eval_images: Annotated[
        int, typer.Option(min=1, help="Images of the evaluation; 5000 is COCO's val.", rich_help_panel=_MEASURE)
    ] = 200,
    report_runs: Annotated[
        int, typer.Option(min=1, help="Runs that the report reads.", rich_help_panel=_MEASURE)
    ] = 200,
    coco_images: Annotated[
        int, typer.Option(min=1, help="Images of the annotations for coco; COCO has 118287.", rich_help_panel=_MEASURE)
    ] = 118_287,
    epochs: Annotated[int, typer.Option(min=1, help="Of the experiment.", rich_help_panel=_MEASURE)] = 12,
    sets: o.Set = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.", rich_help_panel=_MEASURE)] = False,
    quiet: o.Quiet = False,
) -> None:
    """Measure on this machine: losses, launches on a GPU, steps, shared teachers, evaluation, loading, start-up.

    What is compared takes turns in one process, after a warm-up; seconds are medians, a ratio is the median of those of
    each round, with its quartiles. Pictures are drawn and weights random, except for [bold]experiment[/bold], which
    takes many minutes; --suggest uses a trained teacher where there is one. Measured only where --only names them:
    experiment, coco (annotations as large as COCO's) and report (of as many runs as --report-runs says).

    [bold]Examples[/bold]

      pkd bench

      pkd bench --pair gfl101-fcos50 --scale paper --image 256x320 --only step,group

      pkd bench --suggest --scale paper

      pkd bench --only eval --eval-images 5000 --repeat 1 --json

      pkd bench --only launches --scale paper --image 192x320
    """
    from pkdcli.api.benchmark import Wishes, bench, size

    named = o.words(only, "--only") or (() if suggest else DEFAULT)
    wishes = Wishes(
        pair=pair,
        scale=scale,
        loss=loss,
        image=size(image),
        batch=batch,
        threads=1 if clock == "cpu" and threads is None else threads,
        clock=clock,
        only=(*named, *(("suggest",) if suggest and "suggest" not in named else ())),
        repeat=repeat,
        students=students,
        eval_images=eval_images,
        report_runs=report_runs,
        coco_images=coco_images,
        epochs=epochs,
        sets=tuple(sets or ()),
    )
    raise typer.Exit(bench(wishes, json, quiet))
