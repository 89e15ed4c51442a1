"""What is wrong with something of the user's own is found before hours are spent on a teacher, or in a queue."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pkdcli import plugins
from pkdcli.errors import PkdError
from pkdcli.recipe import library
from pkdcli.recipe.references import Import, is_there
from pkdcli.runs.liveness import finished

if TYPE_CHECKING:
    from pkdcli.experiment.plan import PlannedRun
    from pkdcli.launch.outcome import Watcher
    from pkdcli.recipe.schema import Launcher, Recipe


def check(recipes: Sequence[Recipe], launcher: Launcher | None) -> None:
    """Refuse modules that nobody could import, without importing any, and jobs without the GPU that they need.

    Args:
        recipes: Of the runs that were asked for.
        launcher: Where they will be carried out; None for this process.

    Raises:
        PkdError: A module neither beside the recipe, nor in the working folder, nor installed; no GPU asked for.
    """
    if launcher is not None and launcher.kind == "slurm" and not launcher.gpus_per_node:
        for recipe in recipes:
            _refuse_on_cpus(recipe)
    if not _like_here(launcher):
        return
    for recipe in recipes:
        for one in recipe.named_imports:
            if not is_there(one):
                raise PkdError(
                    f"imports: there is no module {one.module}: not beside the recipe that names it, in the working "
                    "folder or among what is installed.",
                    "Put it beside the recipe, or its folder on PYTHONPATH.",
                )
        module, colon, _ = recipe.loss.type.partition(":")
        if colon and module not in [one.module for one in recipe.loss.imports] and not is_there(Import(module=module)):
            raise PkdError(
                f"loss {recipe.loss.name}: type: there is no module {module}: not beside the recipe, in the working "
                "folder or among what is installed.",
                "Write module:Class; put the module beside the recipe, or its folder on PYTHONPATH.",
            )


def prove(planned: Sequence[PlannedRun], launcher: Launcher, watcher: Watcher) -> None:
    """Have a process build what has something of the user's own in it and would otherwise wait for its turn first.

    Args:
        planned: The runs.
        launcher: Where they will be carried out.
        watcher: Told that something is being built.

    Raises:
        PkdError: What can't be built.
    """
    if not _like_here(launcher):
        return
    from pkdcli.launch.options import processes
    from pkdcli.launch.request import ask

    waiting = [one.recipe for one in planned if not finished(one.paths) and (launcher.kind != "local" or _waits(one))]
    distinct = {_parts(recipe): recipe for recipe in waiting if has_own(recipe)}
    if distinct:
        request = {
            "recipes": [recipe.model_dump(mode="json") for recipe in distinct.values()],
            "devices": processes(launcher),
            "here": launcher.kind == "local",
        }
        with watcher.doing("building what is yours, before anything is trained ..."):
            ask("pkdcli.engine.worker.prove", request, "the proof that it can be built")


def has_own(recipe: Recipe) -> bool:
    """Whether a run has something in it that only its building can prove, such as a detector that pkd does not ship."""
    from pkdcli.config.build import imports_of

    shipped = {library.load("detectors", name).config for name in library.names("detectors")}
    detectors = [one for one in (recipe.teacher, recipe.student) if one is not None]
    return bool(
        recipe.amp
        or recipe.config
        or ":" in recipe.loss.type
        or recipe.loss.type in plugins.names("losses")
        or recipe.teacher_speed.precision == "float16"
        or any(one.set or one.config_content or one.config not in shipped for one in detectors)
        or imports_of(recipe)
    )


def _waits(one: PlannedRun) -> bool:
    """Whether a teacher has to be trained first."""
    return one.teacher is not None and not finished(one.teacher.paths) and not one.teacher.recipe.weights


def _parts(recipe: Recipe) -> str:
    """What a recipe's parts are built from: runs that differ in nothing of it are proven by one of them."""
    whole = recipe.model_dump(mode="json")
    loss = {key: whole["loss"][key] for key in ("type", "params", "imports", "levels")}
    parts = ("role", "teacher", "student", "teacher_speed", "imports", "config", "amp")
    return json.dumps({"loss": loss, **{key: whole[key] for key in parts}}, sort_keys=True)


def _like_here(launcher: Launcher | None) -> bool:
    """Whether runs have this machine's Python: elsewhere other modules are installed."""
    return launcher is None or launcher.kind == "local" or not (launcher.container or launcher.python)


def _refuse_on_cpus(recipe: Recipe) -> None:
    what = "--amp" if recipe.amp else None
    if recipe.role == "distill" and recipe.teacher_speed.precision == "float16":
        what = what or "teacher_speed.precision=float16"
    if what:
        raise PkdError(f"{what} needs a GPU, and the launcher asks for none.", "Add --gpus-per-node 1, or more.")


def no_gpu_here() -> bool:
    """Whether this machine has no GPU that torch could see, as far as its devices tell."""
    from pkdcli.launch import gpus

    return gpus.on_machine() == 0
