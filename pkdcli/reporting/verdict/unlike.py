"""In which keys of their recipes two runs differ beyond the method: keys that ought not to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli.errors import PkdError
from pkdcli.runs.record import Record

if TYPE_CHECKING:
    from pkdcli.recipe.schema import Recipe

MOST = 5
"""Keys that are named where nobody asks for all."""


def unlike_recipes(method: Record, baseline: Record) -> list[str]:
    """The keys of the recipe that keep two runs from being comparable, such as `amp`; none where one can't be read.

    Args:
        method: A distilled run, as `runs.collect` gives it.
        baseline: The run it would be measured against.
    """
    from pkdcli.recipe.modules.copies import read_recipe

    try:
        ours, theirs = (read_recipe(Path(str(one["path"])) / "recipe.yaml") for one in (method, baseline))
    except (PkdError, OSError):
        return []
    return unlike(ours, theirs)


def unlike(ours: Recipe, theirs: Recipe, most: int | None = MOST) -> list[str]:
    """The keys of two recipes that differ, but for those of the method: loss, teacher, init.

    Args:
        ours: A resolved recipe.
        theirs: Another.
        most: How many are named; None for all.
    """
    from pkdcli.recipe.identity import shared_with_baseline

    first, second = (dict(_flat(shared_with_baseline(one))) for one in (ours, theirs))
    keys = [key for key in first | second if first.get(key) != second.get(key)]
    return keys if most is None else keys[:most] + ["..."] * (len(keys) > most)


def _flat(content: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
