"""A run's directory before it begins, and the job that carries it out; and back from the directory to the run."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from pkdcli.config.environment import variables
from pkdcli.data.joined.make import joined
from pkdcli.errors import ExitCode, PkdError
from pkdcli.experiment.plan import PlannedRun
from pkdcli.experiment.relocate import as_yaml, say_where
from pkdcli.launch.job import JobSpec
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.schema import Launcher, Recipe
from pkdcli.runs.find import teacher_of
from pkdcli.runs.liveness import finished, held_by
from pkdcli.runs.paths import RunPaths, teachers_root
from pkdcli.runs.status import QUEUED, Status
from pkdcli.runs.store import read_object, write_json, write_text


def recipe_yaml(recipe: Recipe) -> str:
    """A resolved recipe as YAML."""
    return as_yaml(recipe.model_dump(mode="json"))


def config_py(planned: PlannedRun, devices: int = 1) -> str:
    """The run's mmengine config as a Python file that stock mmengine tools read.

    Args:
        planned: The run.
        devices: Its worker processes, over all its machines.
    """
    from pkdcli.config.build import as_python, build_config

    teacher = planned.teacher.paths.teacher if planned.teacher else None
    return as_python(build_config(planned.recipe, planned.paths.root, teacher, devices), planned.run)


def prepare(planned: PlannedRun, cache: Path, devices: int = 1, launcher: Launcher | None = None) -> None:
    """Write the run directory; of a finished run only where its data lies now, if that has moved.

    Args:
        planned: The run.
        cache: The cache folder.
        devices: Worker processes of the run, over all its machines.
        launcher: Noted down, so that the run can be launched again in the same way.

    Raises:
        PkdError: Another process is at it, or the folder can't be written.
    """
    if finished(planned.paths):
        with suppress(PkdError):  # a finished run in a folder that can't be written is finished all the same
            say_where(planned.paths, planned.recipe.data)
        return
    if who := held_by(planned.paths):
        raise PkdError(f"{planned.run} is running already: {who}.", "Wait for it, or stop it first.")
    joined(planned.recipe.data, cache)  # of a run that goes on: the cache may have been emptied meanwhile
    write_text(planned.paths.recipe, recipe_yaml(planned.recipe))
    keep_modules(planned.recipe, planned.paths)
    write_text(planned.paths.config, config_py(planned, devices))
    launched = {"launcher": launcher.model_dump(mode="json", exclude_unset=True), **by_whom()} if launcher else {}
    write_json(planned.paths.job, {**job(planned, cache, devices), **launched})
    Status(planned.paths, planned.recipe).write(state=QUEUED, phase=None, error=None)


def keep_modules(recipe: Recipe, paths: RunPaths) -> None:
    """Copy the user's own modules into the run directory.

    Args:
        recipe: The run's.
        paths: Its directory.

    Raises:
        PkdError: They can't be written.
    """
    from pkdcli.recipe.modules.copies import FOLDER, keep

    try:
        keep(recipe, paths.root)
    except OSError as error:
        raise PkdError(
            f"can't copy the recipe's own modules to {paths.root / FOLDER}: {error.strerror or error}.",
            "Make room there, or name another folder with --runs.",
            ExitCode.MISSING,
        ) from error


def job(planned: PlannedRun, cache: Path, devices: int = 1) -> dict[str, Any]:
    """What the worker needs beside the recipe: folders of this machine.

    Args:
        planned: The run.
        cache: The cache folder.
        devices: Its worker processes, over all its machines.
    """
    teacher = str(planned.teacher.paths.root) if planned.teacher else None
    pause = {"pause": dict(planned.pause)} if planned.pause else {}
    return {"cache": str(cache), "teacher": teacher, "devices": devices, **pause}


def by_whom() -> dict[str, Any]:
    """The process that will carry runs out: when it has gone, nobody starts those that are still queued."""
    return {"queue": {"pid": os.getpid(), "host": socket.gethostname()}}


def spec(planned: PlannedRun, cache: Path, command: str) -> JobSpec:
    """The job of a run.

    Args:
        planned: The run.
        cache: The cache folder.
        command: What somebody typed, or called, to have it carried out; noted down in the run's env.json.
    """
    return JobSpec(
        name=planned.run,
        argv=(sys.executable, "-m", "pkdcli.engine.worker", str(planned.paths.root)),
        run_dir=planned.paths.root,
        env={"PKD_COMMAND": command, "PKD_CACHE": str(cache), **variables(planned.recipe)},
        needs=(planned.teacher.run,) if planned.teacher else (),
        alone=planned.recipe.weights is not None,
    )


def restored(paths: RunPaths, cache: Path) -> tuple[list[PlannedRun], dict[str, Any]]:
    """A run from its directory: itself behind its teacher, and how it was launched.

    Args:
        paths: The run directory.
        cache: The cache folder, which has the teachers' runs.

    Raises:
        PkdError: Its recipe or its job.json is absent or damaged.
    """
    from pkdcli.config.teacher import teacher_recipe
    from pkdcli.recipe.modules.copies import read_recipe

    recipe = read_recipe(paths.recipe)
    found = read_object(paths.job)
    if recipe.teacher is None:
        return [PlannedRun(recipe, paths)], found
    own = teacher_recipe(recipe)
    teacher = PlannedRun(own, teacher_of(paths) or RunPaths(teachers_root(cache) / run_id(own)))
    return [teacher, PlannedRun(recipe, paths, teacher)], found
