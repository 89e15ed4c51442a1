"""`pkd reproduce`: a whole table of the paper, or a user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pkdcli.api.reproduce import Teacher
from pkdcli.cli.typer_options import spread
from pkdcli.launch.options import LaunchOptions
from pkdcli.options import Only, OutputOptions
from pkdcli.recipe.options import RecipeOptions, TableOptions
from pkdcli.reporting.write import FORMATS


@spread
def command(
    table: TableOptions,
    recipe: RecipeOptions,
    teacher: Teacher,
    launch: LaunchOptions,
    output: Annotated[OutputOptions, Only("runs", "dry_run", "quiet")],
    format: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help=f"{', '.join(FORMATS)}; default: as FILE ends, else table."),
    ] = None,
    file: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the table here.")] = None,
) -> None:
    """Run every experiment of a table, and print it beside the paper's numbers.

    Teachers, baselines and students that lines share run once, whatever table or command asked for them first; a
    failed run costs its own lines only. Typing the same command again runs what is missing. Differences from the paper
    are given at scale paper on COCO; elsewhere the signs of the gains and the ranks of the weights are compared.

    [bold]Examples[/bold]

      pkd reproduce table8 --scale tiny --dry-run

      pkd reproduce table8 --scale tiny --only gfl101-fcos50 --format md --output table8.md

      pkd reproduce table7 --scale tiny --seeds 0,1,2
    """
    from pkdcli.api.reproduce import plan_reproduce
    from pkdcli.cli.plan import typed
    from pkdcli.cli.progress.choose import watcher
    from pkdcli.cli.table_plan import carry_out_table, show_table_plan
    from pkdcli.reporting.write import format_of

    format = format_of(format, file)
    watch = watcher(json=False, quiet=output.quiet)
    planned = plan_reproduce(table, recipe, teacher, launch, output, watcher=watch, command=typed())
    if output.dry_run:
        show_table_plan(planned, format, file)
    else:
        carry_out_table(planned, format, file, watch)
