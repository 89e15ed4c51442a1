"""The weights that a user names: of a run, of a file, of the zoo."""

from __future__ import annotations

from pathlib import Path

from pkdcli.api.visualize.source import ZOO, Source, WeightsQuery
from pkdcli.config import zoo
from pkdcli.errors import PkdError
from pkdcli.experiment.derived_recipes import of_run, recipe_of
from pkdcli.recipe.alone import alone
from pkdcli.recipe.schema import Detector, Recipe
from pkdcli.runs.find import find_run
from pkdcli.runs.paths import RunPaths, teachers_root

ROLES = {"teacher": "teacher", "baseline": "baseline", "distill": "distilled"}
"""A run's role, in words."""


def named(query: WeightsQuery, key: str, word: str, which: Detector, option: str) -> Source:
    """A detector with the weights that a user names.

    Args:
        query: What was asked for.
        key: `teacher`, `student` or `distilled`.
        word: A run, a file of weights or `zoo`.
        which: The detector.
        option: The option that the word was given to, for errors.

    Raises:
        PkdError: There is no such thing, or it is of another detector or scale.
    """
    recipe = alone(query.recipe.model_copy(update={"student": which}))
    titles = {"distilled": f"{which.title}, distilled"}
    title = titles.get(key, which.title)
    if word == ZOO:
        return _of_zoo(key, title, recipe, option)
    paths = find_run(word, query.root) if key != "teacher" else _teacher_run(word, query)
    if paths is None:
        path = Path(word).expanduser().absolute()
        return Source(key, title, recipe, str(path), f"checkpoint {path}")
    given = recipe_of(paths)
    model = "teacher" if key == "teacher" and given.role == "distill" else "student"
    theirs, weights = of_run(paths, model)
    for what, ours, other in (
        ("detector", which.name, theirs.student.name), ("scale", query.recipe.scale.name, theirs.scale.name)
    ):  # fmt: skip
        if ours != other:
            hint = f"Add --scale {other}." if what == "scale" else f"Name a run of {which.title}, or another --pair."
            raise PkdError(f"{option}: {paths.run} is of {what} {other}, not {ours}.", hint)
    if key == "distilled" or (key == "student" and given.role == "distill"):
        title = f"{which.title}, {given.loss.name}"
    of = "teacher of run" if model == "teacher" else f"{ROLES[given.role]} run"
    return Source(key, title, theirs, str(weights), f"{of} {paths.run}")


def _teacher_run(word: str, query: WeightsQuery) -> RunPaths | None:
    """A teacher's own run in the cache, or a run whose teacher is meant."""
    try:
        return find_run(word, teachers_root(query.cache))
    except PkdError:
        return find_run(word, query.root)


def _of_zoo(key: str, title: str, recipe: Recipe, option: str) -> Source:
    if recipe.scale.rules:
        raise PkdError(
            f"{option} zoo: the zoo's weights are of detectors at scale paper, not {recipe.scale.name}.",
            "Leave out --scale, or name a run or a checkpoint.",
        )
    address = zoo.entry(recipe.student.config).weights
    if address is None:
        raise PkdError(f"{option} zoo: mmdet's zoo has no weights of {recipe.student.config}.", "Name a checkpoint.")
    return Source(key, title, recipe, address, f"mmdet's zoo, {address.rpartition('/')[2]}")
