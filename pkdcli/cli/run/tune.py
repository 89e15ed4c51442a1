"""`pkd tune`: the best weight for less than a grid."""

from __future__ import annotations

from pkdcli.api.tune.options import TuneOptions
from pkdcli.cli.typer_options import spread
from pkdcli.launch.options import LaunchOptions
from pkdcli.options import OutputOptions
from pkdcli.recipe.axes.grid import GridOptions
from pkdcli.recipe.options import RecipeOptions, TeacherOptions


@spread
def command(
    tuning: TuneOptions,
    more: GridOptions,
    recipe: RecipeOptions,
    teacher: TeacherOptions,
    launch: LaunchOptions,
    output: OutputOptions,
) -> None:
    """Find the best loss weight, or temperature, or any key of a recipe, for less than a full grid costs.

    Trials are whole runs that pause, are compared after equal steps at equal learning rates, and go on if they are
    among the better ones; the best two are trained to the end. Typing the same command again goes on where it was
    interrupted; runs that are there already are used.

    [bold]Examples[/bold]

      pkd tune --pair gfl101-fcos50 --loss mse --weight 1..100 --scale tiny

      pkd tune --loss mse --weight 1..100 --budget 2h --devices 0,1 --jobs 2

      pkd tune --loss norm-kl --weight 10 --temperature 1..100 --trials 8 --scale tiny

      pkd tune --loss mse --weight 1..100 --confirm-seeds 1,2 --scale tiny

      pkd tune --loss pkd --weight 3..30 --grid loss.levels=index,stride --scale tiny --dry-run
    """
    from pkdcli.api.tune.tune import plan_tune
    from pkdcli.cli.plan import interruptible, typed
    from pkdcli.cli.progress.choose import watcher
    from pkdcli.cli.tuned import confirmation_line, plan_line, show_plan, show_result

    watch = watcher(json=output.json, quiet=output.quiet)
    plan = plan_tune(tuning, more, recipe, teacher, launch, output, watcher=watch, command=typed())
    if output.dry_run:
        show_plan(plan, output)
        return
    if not output.quiet:
        watch.on_note(plan_line(plan).rstrip("."))
        if plan.confirm_seeds:
            watch.on_note(confirmation_line(plan).rstrip("."))
    with interruptible():
        show_result(plan.execute(watch), output, typed())
