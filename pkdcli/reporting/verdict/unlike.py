"""In which keys of their recipes a method's run and a baseline differ that ought not to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pkdcli.errors import PkdError
from pkdcli.runs.record import Record

MOST = 5
"""Keys that are named."""


def unlike_recipes(method: Record, baseline: Record) -> list[str]:
    """The keys of the recipe that keep two runs from being comparable, such as `amp`; none where one can't be read.

    Args:
        method: A distilled run, as `runs.collect` gives it.
        baseline: The run it would be measured against.
    """
    from pkdcli.recipe.identity import shared_with_baseline
    from pkdcli.recipe.modules.copies import read_recipe

    try:
        recipes = [read_recipe(Path(str(one["path"])) / "recipe.yaml") for one in (method, baseline)]
    except (PkdError, OSError):
        return []
    ours, theirs = (dict(_flat(shared_with_baseline(one))) for one in recipes)
    keys = [key for key in ours | theirs if ours.get(key) != theirs.get(key)]
    return keys[:MOST] + ["..."] * (len(keys) > MOST)


def _flat(content: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
