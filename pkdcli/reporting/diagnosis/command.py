"""The command that trains a run again with something changed, as it can be typed."""

from __future__ import annotations

import shlex
from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING

from pkdcli.recipe import library
from pkdcli.runs.record import plain

if TYPE_CHECKING:
    from pkdcli.recipe.schema import Recipe

# What a sweep lists and a training has one of: the run's own recipe tells it.
_AXES = ("loss", "losses", "weight", "weights", "temperature", "temperatures", "pair", "pairs", "teacher", "teachers",
         "student", "students", "schedule", "schedules", "seed", "seeds", "max-seeds", "max-iters")  # fmt: skip
_FLAGS = ("baseline", "no-baseline", "share-teacher", "no-share-teacher", "until-decided", "dry-run", "json", "quiet",
          "q")  # fmt: skip


def changed(recipe: Recipe, typed: str | None, options: Mapping[str, str | None]) -> str:
    """`pkd train` for the run of a recipe, with some options changed.

    Args:
        recipe: The run's.
        typed: The command that made it, which knows paths and `--set`; None where it is not known.
        options: By their names, with underscores; None takes one away. `set:KEY` is the value of a `--set`.
    """
    words = _words(typed)
    assigned = {key[4:]: value for key, value in options.items() if key.startswith("set:")}
    options = {key.replace("_", "-"): value for key, value in options.items() if not key.startswith("set:")}
    kept = _without_sets(_kept(words or (), {*_AXES, *options}), assigned)
    if words is None:  # called from Python, or made by another release
        kept = ["--scale", recipe.scale.name, "--data", recipe.data.name]
        kept += [] if recipe.batch == recipe.scale.batch else ["--batch-size", str(recipe.batch)]
    mine = {key: value for key, value in _own(recipe).items() if key not in options}
    told = {**mine, **{key: value for key, value in options.items() if value is not None}}
    words = [word for key, value in told.items() for word in (f"--{key}", value)]
    sets = [word for key, value in assigned.items() if value is not None for word in ("--set", f"{key}={value}")]
    return shlex.join(["pkd", "train", *words, *kept, *sets])


def data_of(recipe: Recipe, typed: str | None) -> str:
    """What names a run's data set on the command line, quoted where that is needed.

    Args:
        recipe: The run's.
        typed: The command that made it; None where it is not known.
    """
    left = iter(_words(typed) or ())
    for word in left:
        name, equals, value = word.partition("=")
        if name == "--data":
            return shlex.quote(value if equals else next(left, ""))
    return shlex.quote(recipe.data.name)


def _own(recipe: Recipe) -> dict[str, str]:
    """What makes a run one of a sweep."""
    loss, found = recipe.loss, {}
    if recipe.pair in library.names("pairs"):
        found["pair"] = recipe.pair
    else:
        found |= {"teacher": recipe.teacher.name} if recipe.teacher else {}
        found["student"] = recipe.student.name
    found["loss"] = loss.name
    if recipe.role == "distill" and loss.weight is not None:
        found["weight"] = plain(loss.weight)
    if loss.temperature is not None:
        found["temperature"] = plain(loss.temperature)
    if recipe.schedule.name in library.names("schedules"):
        found["schedule"] = recipe.schedule.name
    return {**found, "seed": str(recipe.seed)}


def _words(typed: str | None) -> list[str] | None:
    """The options of a `pkd train` or `pkd sweep`; None of anything else."""
    try:
        words = shlex.split(typed or "")
    except ValueError:
        return None
    return words[2:] if words[:2] in (["pkd", "train"], ["pkd", "sweep"]) else None


def _kept(words: Sequence[str], gone: set[str]) -> list[str]:
    """Options and their values but for some."""
    kept: list[str] = []
    left = iter(words)
    for word in left:
        name, equals, _ = word.lstrip("-").partition("=")
        if not word.startswith("-") or name not in {*gone, *_FLAGS}:
            kept.append(word)
        elif name not in _FLAGS and not equals:
            next(left, None)  # its value
    return kept


def _without_sets(words: Sequence[str], keys: Container[str]) -> list[str]:
    """Options without the assignments to some keys."""
    kept: list[str] = []
    left = iter(words)
    for word in left:
        name, equals, value = word.partition("=")
        if name != "--set":
            kept.append(word)
            continue
        value = value if equals else next(left, "")
        if value.partition("=")[0] not in keys:
            kept += ["--set", value]
    return kept
