"""One student, with a teacher or alone: `pkdcli.train()` and `pkd train`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pkdcli.launch.options import LaunchOptions
from pkdcli.launch.outcome import Watcher
from pkdcli.options import Only, OutputOptions
from pkdcli.recipe.options import RecipeOptions, RunOptions, TeacherOptions

if TYPE_CHECKING:
    from pkdcli.experiment.execute import Experiment

Teacher = Annotated[TeacherOptions, Only("pretrained", "teacher_checkpoint")]


def plan_train(
    run: RunOptions,
    recipe: RecipeOptions,
    teacher: Teacher,
    launch: LaunchOptions,
    output: OutputOptions,
    *,
    watcher: Watcher,
    command: str,
) -> Experiment:
    """Plan one student, its teacher before it.

    Args:
        run: Which student, teacher and loss.
        recipe: How to train.
        teacher: Where its weights come from.
        launch: Where it is carried out.
        output: Where runs are; a dry run needs neither data nor devices.
        watcher: Told of data that is drawn or checked.
        command: What somebody typed or called, for the run's records.

    Raises:
        PkdError: Something is wrong with a recipe, its files or its data.
    """
    from pkdcli.config.trackers import named
    from pkdcli.experiment.execute import experiment
    from pkdcli.folders import cache_root, runs_root
    from pkdcli.launch.options import launcher, processes
    from pkdcli.recipe.options import request
    from pkdcli.recipe.resolve import resolve

    machines = launcher(launch, dry_run=output.dry_run)
    asked = request(run, recipe, teacher, processes(machines), named(recipe.tracker))
    return experiment(
        [resolve(asked)],
        runs=runs_root(output.runs),
        cache=cache_root(),
        launcher=machines,
        watcher=watcher,
        command=command,
        wait=launch.wait,
        dry_run=output.dry_run,
    )
