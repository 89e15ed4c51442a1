"""`pkd visualize`: Figures 4 to 8 of the paper's appendix."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pkdcli.cli import typer_options as o

_LOOK = "How it looks"


def command(
    figure: Annotated[
        str,
        typer.Option(
            "--figure", metavar="4|...|8|all", help="Which; several with commas between.", rich_help_panel=o._WHAT
        ),
    ] = "all",
    pair: Annotated[
        str | None,
        typer.Option(
            help="Teacher and student; each figure's own by default.",
            autocompletion=o._complete("pairs"),
            rich_help_panel=o._WHAT,
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|CHECKPOINT|zoo",
            help="Its weights; by default those that pkd train would take.",
            rich_help_panel=o._WHAT,
        ),
    ] = None,
    student: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|CHECKPOINT|zoo", help="Its weights; by default the baseline's.", rich_help_panel=o._WHAT
        ),
    ] = None,
    distilled: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|CHECKPOINT", help="A third detector: the student after distillation.", rich_help_panel=o._WHAT
        ),
    ] = None,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Random weights for what is not named.", rich_help_panel=o._WHAT)
    ] = False,
    image: Annotated[
        list[Path] | None,
        typer.Option(
            "--image", metavar="FILE", help="Instead of images of the data set; repeatable.", rich_help_panel=o._WHAT
        ),
    ] = None,
    count: Annotated[
        int, typer.Option("--count", min=1, max=16, help="Images of the data set's val split.", rich_help_panel=o._WHAT)
    ] = 2,
    scale: Annotated[
        str | None,
        typer.Option(
            help="paper (the default) or tiny, as for pkd train.",
            autocompletion=o._complete("scales"),
            rich_help_panel=o._WHAT,
        ),
    ] = None,
    data: o.DataName = None,
    seed: o.Seed = 0,
    levels: Annotated[
        str | None,
        typer.Option(
            metavar="P3,P4",
            help="Stages by their strides (P3 has 8); each figure's own by default.",
            rich_help_panel=_LOOK,
        ),
    ] = None,
    reduce: Annotated[
        str,
        typer.Option(
            metavar="max|mean|norm", help="How a position's channels become one number.", rich_help_panel=_LOOK
        ),
    ] = "max",
    color_scale: Annotated[
        str | None,
        typer.Option(
            metavar="shared|detector|own",
            help="One colour scale for all patterns, one a detector, or each its "
            "own; each figure's own way by default.",
            rich_help_panel=_LOOK,
        ),
    ] = None,
    format: Annotated[
        str, typer.Option("--format", metavar="png,pdf,svg", help="Kinds of pictures.", rich_help_panel=_LOOK)
    ] = "png,pdf,svg",
    dpi: Annotated[int, typer.Option(min=50, max=1200, help="Dots an inch of pictures.", rich_help_panel=_LOOK)] = 220,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder of the files; default: figures/<name>/ in the runs folder.",
            rich_help_panel=o._WHERE,
        ),
    ] = None,
    runs: o.Runs = None,
    dry_run: o.DryRun = False,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Draw Figures 4 to 8 of the paper from the real features of detectors: a teacher, its student before distillation.

    4: activation patterns and distribution of P3. 5: dominant stages, P3 to P6. 6: noise off the objects, and dominant
    channels. 7: dominant channels. 8: patterns and distributions, P3 to P6. Each of the paper's own pair unless --pair
    or a run says another. Beside the pictures: the numbers as CSV, and a caption.

    [bold]Examples[/bold]

      pkd visualize --pair gfl101-fcos50 --scale tiny

      pkd visualize --figure 4 --pair gfl101-fcos50 --scale tiny --image street.jpg --reduce norm

      pkd visualize --figure 5,8 --distilled gfl101-fcos50__pkd

      pkd visualize --figure 6 --teacher zoo --student faster.pth --image street.jpg --format pdf
    """
    from pkdcli.api.visualize.visualize import Asked, visualize
    from pkdcli.errors import unknown
    from pkdcli.options import OutputOptions
    from pkdcli.reporting.paper_figures import catalog

    formats = tuple(dict.fromkeys(o.words(format, "--format")))
    for option, words, allowed in (
        ("--reduce", [reduce], catalog.REDUCTIONS),
        ("--color-scale", [color_scale] if color_scale is not None else [], catalog.COLOR_SCALES),
        ("--format", formats, catalog.FORMATS),
    ):
        for word in words:
            if word not in allowed:
                raise unknown(option, word, allowed)
    asked = Asked(
        figures=catalog.numbers(figure),
        pair=pair,
        teacher=teacher,
        student=student,
        distilled=distilled,
        untrained=untrained,
        images=tuple(image or ()),
        count=count,
        levels=tuple(o.words(levels, "--levels")),
        reduce=reduce,
        color_scale=color_scale,
        formats=formats,
        dpi=dpi,
        output=output,
        scale=scale,
        data=data,
        seed=seed,
    )
    visualize(asked, OutputOptions(runs=runs, dry_run=dry_run, json=json, quiet=quiet))
