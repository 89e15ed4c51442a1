"""One student, with a teacher or alone: `pkdcli.train()` and `pkd train`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pkdcli.api.planning import Planned, asked
from pkdcli.api.runs.again import RepeatOptions, plan_again
from pkdcli.launch.options import LaunchOptions
from pkdcli.launch.outcome import Watcher
from pkdcli.options import Only, OutputOptions
from pkdcli.recipe.options import RecipeOptions, RunOptions, TeacherOptions

if TYPE_CHECKING:
    from pkdcli.experiment.execute import Experiment
    from pkdcli.runs.run import Run

Teacher = Annotated[TeacherOptions, Only("pretrained", "teacher_checkpoint")]


def train(
    run: RunOptions,
    recipe: RecipeOptions,
    teacher: Teacher,
    launch: LaunchOptions,
    output: Planned,
    again: RepeatOptions,
    *,
    watcher: Watcher,
    command: str,
) -> Run | Experiment:
    """Train a student with a teacher, or alone, and return the run.

    A run that is finished is not run again; one that was interrupted goes on. Ctrl-C, or interrupting a notebook's
    kernel, has it save and stop.

    Args:
        run: Which student, teacher and loss.
        recipe: How to train.
        teacher: Where its weights come from.
        launch: Where it is carried out.
        output: Where runs are, and whether only to plan.
        again: The recipe of a run to repeat, in place of most of the others.
        watcher: Told of what happens.
        command: What somebody called, for the run's records.

    Returns:
        The run; with `dry_run=True` the plan, as an `Experiment`.

    Raises:
        PkdError: Something is wrong before anything runs, or the run failed.
        KeyboardInterrupt: After Ctrl-C, when the run has saved and stopped.
    """
    from pkdcli.api.runs import runs_of

    planned = plan_train(run, recipe, teacher, launch, output, again, watcher=watcher, command=command)
    if output.dry_run:
        return planned
    planned.execute(watcher)
    planned.check(planned.planned[-1])
    return runs_of([planned.planned[-1].paths])[0]


def plan_train(
    run: RunOptions,
    recipe: RecipeOptions,
    teacher: Teacher,
    launch: LaunchOptions,
    output: OutputOptions,
    again: RepeatOptions,
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
        again: The recipe of a run to repeat, in place of most of the others.
        watcher: Told of data that is drawn or checked.
        command: What somebody typed or called, for the run's records.

    Raises:
        PkdError: Something is wrong with a recipe, its files or its data.
    """
    from pkdcli.experiment.execute import experiment
    from pkdcli.recipe.resolve import resolve

    if again.recipe is not None:
        return plan_again(again, run, recipe, teacher, launch, output, watcher=watcher, command=command)
    machines, base = asked(run, recipe, teacher, launch, output)
    return experiment([resolve(base)], machines, launch, output, watcher=watcher, command=command)
