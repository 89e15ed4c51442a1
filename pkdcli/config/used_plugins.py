"""The plug-ins that a run uses, as its recipe tells: which versions of them made it stands in its env.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pkdcli import plugins
from pkdcli.config import families
from pkdcli.plugins import Plugin
from pkdcli.recipe.detectors.read import config_of
from pkdcli.recipe.schema import Recipe
from pkdcli.recipe.sources import sources


def used_plugins(recipe: Recipe, launcher: Mapping[str, Any] | None = None) -> list[Plugin]:
    """The plug-ins that are installed here and that a run uses, each entry point once.

    Args:
        recipe: Of the run.
        launcher: The launcher recipe that started it, as its job.json has it; its `name` and `kind` are looked at.
    """
    launcher = launcher or {}
    named: dict[str, set[Any]] = {"losses": {recipe.loss.type}, "trackers": set(recipe.trackers)}
    named["launchers"] = {launcher.get("kind")}
    if plugins.offered("families"):
        detectors = [one for one in (recipe.teacher, recipe.student) if one is not None]
        kinds = [kind for one in detectors for kind in families.types_of(config_of(one)["model"])]
        named["families"] = {kind.rpartition(".")[2] for kind in kinds}
    found = [one for kind, words in named.items() for one in plugins.offered(kind) if one.name in words]
    for kind, names in _recipes_of(recipe, launcher).items():
        if plugins.offered("recipes"):
            found += [one.plugin for name in names for one in sources(kind).get(name, []) if one.plugin]
    return list(dict.fromkeys(found))


def record(found: list[Plugin]) -> list[dict[str, str]]:
    """Plug-ins as env.json has them: kind, name, distribution and version of each."""
    return [{key: getattr(one, key) for key in ("kind", "name", "distribution", "version")} for one in found]


def _recipes_of(recipe: Recipe, launcher: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names of the recipes that a resolved one was made of, by kind."""
    detectors = [one.name for one in (recipe.teacher, recipe.student) if one is not None]
    return {
        "pairs": [recipe.pair] if recipe.pair else [],
        "detectors": detectors,
        "losses": [recipe.loss.name],
        "schedules": [recipe.schedule.name],
        "datasets": [recipe.data.name],
        "scales": [recipe.scale.name],
        "launchers": [launcher["name"]] if launcher.get("name") else [],
    }
