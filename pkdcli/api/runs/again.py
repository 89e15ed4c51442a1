"""`pkd train --recipe FILE`: a run once more, from what it left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pkdcli.errors import PkdError
from pkdcli.options import WHAT, fields, given_in, option

if TYPE_CHECKING:
    from pkdcli.experiment.execute import Experiment
    from pkdcli.launch.options import LaunchOptions
    from pkdcli.launch.outcome import Watcher
    from pkdcli.options import OutputOptions
    from pkdcli.recipe.options import RecipeOptions, RunOptions, TeacherOptions

BESIDE = {"seed", "data", "allow_bad_data", "teacher_checkpoint"}
HARMLESS = {"workers", "checkpoint_minutes", "checkpoint_iters", "keep_predictions", "val_interval", "tracker"}
"""What may be given beside a recipe: what it says nothing of, and what changes no number."""

# Where a recipe says what an option would.
_KEYS = {
    "weight": "loss.weight",
    "temperature": "loss.temperature",
    "levels": "loss.levels",
    "epochs": "schedule.epochs",
    "batch_size": "batch",
    "tap": "student.tap and teacher.tap",
    "pair": "teacher and student",
    "sets": "the key itself",
}


@dataclass(frozen=True, kw_only=True)
class RepeatOptions:
    """A run that is to be repeated.

    Attributes:
        recipe: Its recipe.yaml, or its folder; None to make a recipe of the other options.
    """

    recipe: Path | None = option(
        None,
        "Repeat a run: its recipe.yaml, or its folder. Beside it go --seed, --data and --teacher-checkpoint (where the "
        "same files lie now), --runs, and what changes no number, such as --workers and all about machines.",
        metavar="FILE",
        panel=WHAT,
    )


def plan_again(
    again: RepeatOptions,
    run: RunOptions,
    recipe: RecipeOptions,
    teacher: TeacherOptions,
    launch: LaunchOptions,
    output: OutputOptions,
    *,
    watcher: Watcher,
    command: str,
) -> Experiment:
    """Plan a run from its recipe.yaml, its teacher before it: the same id, and the same numbers.

    Args:
        again: Names the recipe.
        run: May name another seed, and where the same data is now.
        recipe: May say what changes no number.
        teacher: May say where the same teacher's weights are now.
        launch: Where it is carried out.
        output: Where runs are; a dry run needs neither data nor devices.
        watcher: Told of data that is drawn or checked, and where the run is another than that of the folder.
        command: What somebody typed or called, for the run's records.

    Raises:
        PkdError: An option that the recipe has the say of, something wrong in the recipe, or other data than it names.
    """
    from pkdcli.config.trackers import named
    from pkdcli.experiment.execute import experiment
    from pkdcli.experiment.repeat import Changes, check_same, missing_weights, read, recipe_file
    from pkdcli.launch.options import launcher
    from pkdcli.runs.paths import RunPaths
    from pkdcli.runs.store import read_object

    given = _refuse_others(again.recipe, run, recipe, teacher)
    file = recipe_file(again.recipe)
    fields = {name: getattr(recipe, name) for name in HARMLESS & given - {"tracker"}}
    if "tracker" in given:
        fields["trackers"] = list(named(recipe.tracker))
    seed = run.seed if "seed" in given else None
    wanted = read(file, Changes(seed, run.data, teacher.teacher_checkpoint, run.allow_bad_data, fields))
    machines = launcher(launch, dry_run=output.dry_run)
    planned = experiment([wanted], machines, launch, output, watcher=watcher, command=command)
    check_same(wanted, planned.recipes[0], file)
    last = planned.planned[-1]
    if error := missing_weights(last.recipe, last.teacher and last.teacher.paths, file):
        raise error
    folder = RunPaths(file.absolute().parent)
    known = read_object(folder.status).get("run")
    if known and seed is None and last.run != known:
        watcher.on_note(
            f"{file} makes another run than the one it lies with, {last.run}: it was edited, or written by a release "
            "that named runs otherwise"
        )
    return planned


def _refuse_others(file: Path, run: RunOptions, recipe: RecipeOptions, teacher: TeacherOptions) -> set[str]:
    """What is given beside the recipe, all of which may be."""
    groups = (run, recipe, teacher)
    named = {name for group in groups for name in given_in(group)}
    given = {field.name: field for group in groups for field in fields(type(group)) if field.name in named}
    others = [name for name in given if name not in BESIDE | HARMLESS]
    if others:
        words = ", ".join(given[name].names[0].split("/")[0] for name in others)
        keys = ", ".join(f"`{_KEYS.get(name, name)}`" for name in others)
        raise PkdError(
            f"{words}: not together with --recipe, which says the whole of a run.",
            f"Leave {'it' if len(others) == 1 else 'them'} out, or change {keys} in a copy of {file} and give "
            "that. Beside a recipe go --seed, --data, --teacher-checkpoint, --runs, and options about machines.",
        )
    return named
