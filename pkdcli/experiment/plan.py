"""From recipes to jobs and back: the thread that runs through the stations.

`plan` turns recipes into runs (teachers included, each once), `prepare` writes their run directories, `specs` makes the
jobs that `pkdcli.launch` runs.
"""

from __future__ import annotations

import os
import shlex
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pkdcli.config.environment import variables
from pkdcli.errors import ExitCode, PkdError
from pkdcli.launch.job import JobSpec
from pkdcli.launch.status import end
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.schema import Launcher, Recipe
from pkdcli.runs.liveness import finished, held_by
from pkdcli.runs.lock import holder
from pkdcli.runs.paths import RunPaths, teachers_root
from pkdcli.runs.status import FAILED, INTERRUPTED, QUEUED, RUNNING, Status
from pkdcli.runs.store import read_object, sha256, write_json, write_text

if TYPE_CHECKING:
    from pkdcli.launch.local.queue import Outcome


@dataclass(frozen=True)
class Planned:
    """One run of an experiment.

    Attributes:
        recipe: Complete.
        paths: Its run directory; a teacher's lies in the cache.
        teacher: The run that provides the teacher, for a distilled run.
    """

    recipe: Recipe
    paths: RunPaths
    teacher: Planned | None = None

    @property
    def run(self) -> str:
        """The run's id."""
        return self.paths.run


def plan(recipes: Sequence[Recipe], runs: Path, cache: Path) -> list[Planned]:
    """All runs that the recipes need, teachers before their students, none twice.

    Raises:
        PkdError: A teacher's weights can't be had, or its file is not there.
    """
    from pkdcli.config.build import with_adapters
    from pkdcli.config.teacher import teacher_recipe

    planned: dict[str, Planned] = {}
    for recipe in recipes:
        recipe = with_adapters(with_weights_hash(recipe))
        teacher = None
        if recipe.teacher is not None:
            own = teacher_recipe(recipe)
            name = run_id(own)
            teacher = planned.setdefault(name, Planned(own, RunPaths(teachers_root(cache) / name)))
        name = run_id(recipe)
        planned.setdefault(name, Planned(recipe, RunPaths(runs / name), teacher))
    return list(planned.values())


def with_weights_hash(recipe: Recipe) -> Recipe:
    """The recipe with the hash of the teacher's weights the user gave, and their absolute path."""
    if recipe.teacher_checkpoint is None or recipe.weights_sha256 is not None:
        return recipe
    path = Path(recipe.teacher_checkpoint).expanduser().absolute()
    if not path.is_file():
        raise PkdError(
            f"--teacher-checkpoint: there is no file {path}.",
            "Give a checkpoint of the teacher's architecture, such as the teacher.pth of another run.",
        )
    return recipe.model_copy(update={"teacher_checkpoint": str(path), "weights_sha256": _sha256(path)})


@lru_cache  # a sweep's recipes name the same file over and over
def _sha256(path: Path) -> str:
    return sha256(path)


def recipe_yaml(recipe: Recipe) -> str:
    """A resolved recipe as YAML."""
    content = recipe.model_dump(mode="json")
    return yaml.dump(content, Dumper=_Readable, sort_keys=False, allow_unicode=True, width=110)


class _Readable(yaml.SafeDumper):
    """The safe dumper, which writes what a detector's own config says line by line."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if value.endswith("\n") else None)


_Readable.add_representer(str, _text)


def config_py(planned: Planned, devices: int = 1) -> str:
    """The run's mmengine config as a Python file that stock mmengine tools read."""
    from pkdcli.config.build import as_python, build_config

    teacher = planned.teacher.paths.teacher if planned.teacher else None
    return as_python(build_config(planned.recipe, planned.paths.root, teacher, devices), planned.run)


def prepare(planned: Planned, cache: Path, devices: int = 1, launcher: Launcher | None = None) -> None:
    """Write the run directory, unless the run is finished.

    Args:
        planned: The run.
        cache: The cache folder.
        devices: Worker processes of the run, over all its machines.
        launcher: Noted down, so that the run can be launched again in the same way.

    Raises:
        PkdError: Another process is at it, or the folder can't be written.
    """
    if finished(planned.paths):
        return
    if who := held_by(planned.paths):
        raise PkdError(f"{planned.run} is running already: {who}.", "Wait for it, or stop it first.")
    write_text(planned.paths.recipe, recipe_yaml(planned.recipe))
    write_text(planned.paths.config, config_py(planned, devices))
    launched = {"launcher": launcher.model_dump(mode="json", exclude_unset=True), **by_whom()} if launcher else {}
    write_json(planned.paths.job, {**job(planned, cache, devices), **launched})
    Status(planned.paths, planned.recipe).write(state=QUEUED, phase=None, error=None)


def job(planned: Planned, cache: Path, devices: int = 1) -> dict[str, Any]:
    """What the worker needs beside the recipe: folders of this machine."""
    teacher = str(planned.teacher.paths.root) if planned.teacher else None
    return {"cache": str(cache), "teacher": teacher, "devices": devices}


def by_whom() -> dict[str, Any]:
    """The process that will carry runs out: when it has gone, nobody starts those that are still queued."""
    return {"queue": {"pid": os.getpid(), "host": socket.gethostname()}}


def spec(planned: Planned, cache: Path) -> JobSpec:
    """The job of a run."""
    words = [word for word in sys.argv[1:] if word != "--dry-run"]  # so that a dry run shows the very same job
    return JobSpec(
        name=planned.run,
        argv=(sys.executable, "-m", "pkdcli.engine.worker", str(planned.paths.root)),
        run_dir=planned.paths.root,
        env={
            "PKD_COMMAND": f"pkd {shlex.join(words)}",
            "PKD_CACHE": str(cache),
            **variables(planned.recipe),
        },
        needs=(planned.teacher.run,) if planned.teacher else (),
        alone=planned.recipe.weights is not None,
    )


def restored(paths: RunPaths, cache: Path) -> tuple[list[Planned], dict[str, Any]]:
    """A run from its directory: itself behind its teacher, and how it was launched.

    Raises:
        PkdError: Its recipe or its job.json is absent or damaged.
    """
    from pkdcli.config.teacher import teacher_recipe
    from pkdcli.recipe.library import parse, read_yaml

    recipe = parse(Recipe, read_yaml(paths.recipe), str(paths.recipe))
    found = read_object(paths.job)
    if recipe.teacher is None:
        return [Planned(recipe, paths)], found
    own = teacher_recipe(recipe)
    root = Path(found["teacher"]) if found.get("teacher") else teachers_root(cache) / run_id(own)
    teacher = Planned(own, RunPaths(root))
    return [teacher, Planned(recipe, paths, teacher)], found


def settle(planned: Sequence[Planned], outcomes: Mapping[str, Outcome]) -> None:
    """Write into the status what a run could not say itself: that it was killed, or never started."""
    for one in planned:
        outcome = outcomes.get(one.run)
        if outcome is None or outcome.code == ExitCode.OK or holder(one.paths):  # whose status it is
            continue
        status = Status(one.paths)
        with suppress(PkdError):  # a full disk: the watcher has said what there is to say
            if outcome.lacked and outcome.code == ExitCode.INTERRUPTED:
                end(one.paths, INTERRUPTED, outcome.cause, int(outcome.code), silent=False)
            elif outcome.lacked:
                status.write(error={"message": outcome.cause, "hint": None, "code": int(outcome.code)})
            elif status.fields.get("state") in (QUEUED, RUNNING):
                end(one.paths, FAILED, outcome.cause, int(outcome.code), silent=True)


def settle_interrupted(planned: Sequence[Planned]) -> None:
    """Write into the status of runs that were killed before they could say so that they were stopped."""
    for one in planned:
        if Status(one.paths).fields.get("state") == RUNNING and not held_by(one.paths):
            with suppress(PkdError):
                Status(one.paths).interrupt()


def exit_code(outcomes: Mapping[str, Outcome]) -> ExitCode:
    """The command's exit code: 0 when every run ended well, that of the only failure, else 1."""
    codes = {outcome.code for outcome in outcomes.values() if outcome.code and not outcome.lacked}
    if not codes:
        return ExitCode.OK if all(outcome.code == 0 for outcome in outcomes.values()) else ExitCode.RUN_FAILED
    only = codes.pop()
    return ExitCode(only) if not codes and only in iter(ExitCode) else ExitCode.RUN_FAILED
