"""`pkd sweep`: many students."""

from __future__ import annotations

from pkdcli.cli.typer_options import spread
from pkdcli.launch.options import LaunchOptions
from pkdcli.options import OutputOptions
from pkdcli.recipe.axes.grid import GridOptions
from pkdcli.recipe.options import RecipeOptions, SweepOptions, TeacherOptions
from pkdcli.recipe.seeds import SeedOptions


@spread
def command(
    sweep: SweepOptions,
    more: GridOptions,
    until: SeedOptions,
    recipe: RecipeOptions,
    teacher: TeacherOptions,
    launch: LaunchOptions,
    output: OutputOptions,
) -> None:
    """Train one student for every combination of losses, weights, temperatures, pairs, schedules and seeds.

    The baseline is trained too, and the teacher once. A failed run does not stop the others; typing the same command
    again runs only what is missing.

    [bold]Examples[/bold]

      pkd sweep --loss mse --weights 10,30,50 --scale tiny

      pkd sweep --loss norm-kl --temperatures 1,10,50 --weights 10 --scale tiny

      pkd sweep --loss pkd,mse --seeds 0,1,2 --schedules 1x,2x --scale tiny --dry-run

      pkd sweep --loss pkd --grid loss.levels=index,stride --grid student.lr=0.02,0.04 --scale tiny

      pkd sweep --loss mse --weights 10,30,50 --devices 0,1,2,3 --jobs 2

      pkd sweep --loss pkd,mse --scale tiny --until-decided --max-seeds 8
    """
    from pkdcli.api.sweep import plan_decided, plan_sweep
    from pkdcli.cli.plan import carry_out, typed
    from pkdcli.cli.progress.choose import watcher

    watch = watcher(json=output.json, quiet=output.quiet)
    if until != SeedOptions():
        from pkdcli.cli.decided_plan import carry_out_decided

        found = plan_decided(
            sweep, until, recipe, teacher, launch, output, watcher=watch, command=typed(), more=more
        )
        carry_out_decided(found, output, watch)
    planned = plan_sweep(sweep, more, recipe, teacher, launch, output, watcher=watch, command=typed())
    carry_out(planned, output, watch, sweep=True)
