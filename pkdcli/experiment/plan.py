"""From recipes to runs: which there are to be, teachers included, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pkdcli.errors import PkdError
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.paths import RunPaths, teachers_root
from pkdcli.runs.store import sha256


@dataclass(frozen=True)
class PlannedRun:
    """One run of an experiment.

    Attributes:
        recipe: Complete.
        paths: Its run directory; a teacher's lies in the cache.
        teacher: The run that provides the teacher, for a distilled run.
        pause: Where it pauses, `at` (steps) and `measure` (whether it is evaluated there); None for at its end.
    """

    recipe: Recipe
    paths: RunPaths
    teacher: PlannedRun | None = None
    pause: Mapping[str, Any] | None = None

    @property
    def run(self) -> str:
        """The run's id."""
        return self.paths.run


def plan(recipes: Sequence[Recipe], runs: Path, cache: Path) -> list[PlannedRun]:
    """All runs that the recipes need, teachers before their students, none twice.

    Args:
        recipes: Of students, or of teachers themselves, complete but for what follows from the files they name.
        runs: The folder of runs.
        cache: The folder of the cache, which has the teachers' runs.

    Raises:
        PkdError: A teacher's weights can't be had, or its file is not there; a config can't be trained its own way.
    """
    from pkdcli.config.build import with_adapters
    from pkdcli.config.own import own_summary
    from pkdcli.config.teacher import teacher_recipe

    planned: dict[str, PlannedRun] = {}
    for recipe in recipes:
        recipe = with_adapters(with_weights_hash(recipe))
        teacher = None
        if recipe.teacher is not None:
            own = teacher_recipe(recipe)
            name = run_id(own)
            teacher = planned.setdefault(name, PlannedRun(own, RunPaths(teachers_root(cache) / name)))
        name = run_id(recipe)
        home = teachers_root(cache) if recipe.role == "teacher" else runs
        planned.setdefault(name, PlannedRun(recipe, RunPaths(home / name), teacher))
    for one in planned.values():
        own_summary(one.recipe)  # before a teacher is trained for hours
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
