"""`pkd train`: one student."""

from __future__ import annotations

from pkdcli.api.runs.again import RepeatOptions
from pkdcli.api.train import Teacher
from pkdcli.cli.typer_options import spread
from pkdcli.launch.options import LaunchOptions
from pkdcli.options import OutputOptions
from pkdcli.recipe.options import RecipeOptions, RunOptions


@spread
def command(
    run: RunOptions,
    recipe: RecipeOptions,
    teacher: Teacher,
    launch: LaunchOptions,
    output: OutputOptions,
    again: RepeatOptions,
) -> None:
    """Train a student with a teacher, and print its six COCO metrics.

    The teacher comes from the zoo (scale paper on COCO), from --teacher-checkpoint, or is trained first and kept.
    A run that is finished is not run again; one that was interrupted goes on.

    [bold]Examples[/bold]

      pkd train --pair gfl101-fcos50 --scale tiny

      pkd train --pair gfl101-fcos50 --loss mse --weight 50 --data my-data.yaml --batch-size 16

      pkd train --pair gfl101-fcos50 --loss none --scale tiny    [dim]# the baseline[/dim]

      pkd train --pair gfl101-fcos50 --scale tiny --set schedule.gamma=0.2 --dry-run

      pkd train --pair gfl101-fcos50 --gpus 8

      pkd train --recipe runs/RUN/recipe.yaml --seed 1    [dim]# the same run with another seed[/dim]
    """
    from pkdcli.api.train import plan_train
    from pkdcli.cli.plan import carry_out, typed
    from pkdcli.cli.progress.choose import watcher

    watch = watcher(json=output.json, quiet=output.quiet)
    planned = plan_train(run, recipe, teacher, launch, output, again, watcher=watch, command=typed())
    carry_out(planned, output, watch)
