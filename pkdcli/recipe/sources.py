"""Where the recipe of a name comes from: it came with pkd, or with a plug-in.

A plug-in has recipes in a folder of its package, laid out as pkd's own (`losses/huber.yaml`, `launchers/lab.yaml`). A
loss or a launcher that it offers without such a file has a recipe of defaults, so that its name can be used at once.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pkdcli import plugins
from pkdcli.errors import PkdError
from pkdcli.folders import recipes_root
from pkdcli.plugins import Plugin


@dataclass(frozen=True)
class Source:
    """One recipe that has a name.

    Attributes:
        name: The recipe's.
        path: Its YAML file; None where it is made of defaults.
        plugin: Whose it is; None for pkd's own.
    """

    name: str
    path: Path | None = None
    plugin: Plugin | None = None

    def __str__(self) -> str:
        if self.plugin is None:
            return f"pkdcli itself ({self.path})"
        return self.plugin.source + (f": {self.path}" if self.path else "")

    @property
    def origin(self) -> str | None:
        """The plug-in's distribution and version; None for pkd's own."""
        return f"{self.plugin.distribution} {self.plugin.version}" if self.plugin else None


def sources(kind: str) -> dict[str, list[Source]]:
    """All recipes of a kind that have a name, by it; several of one name can't be told apart by it.

    A plug-in whose folder is not there has none (`pkd doctor` tells).
    """
    found: dict[str, list[Source]] = defaultdict(list)
    for path in (recipes_root() / kind).glob("*.yaml"):
        found[path.stem].append(Source(path.stem, path))
    for plugin in plugins.offered("recipes"):
        try:
            files = sorted((folder_of(plugin) / kind).glob("*.yaml"))
        except PkdError:
            continue
        for path in files:
            found[path.stem].append(Source(path.stem, path, plugin))
    for plugin in plugins.offered(kind) if kind in DEFAULTS else ():
        # A recipe that the same distribution has for what it offers takes the place of the defaults.
        if plugin.distribution not in [one.plugin.distribution for one in found[plugin.name] if one.plugin]:
            found[plugin.name].append(Source(plugin.name, None, plugin))
    return dict(sorted(found.items()))


def source_of(what: str, candidates: list[Source]) -> Source:
    """The only one of the recipes that have a name.

    Args:
        what: What the name is of, such as `loss`.
        candidates: At least one.

    Raises:
        PkdError: There are several, of pkd's own and of plug-ins.
    """
    if len(candidates) > 1:
        theirs = [one.plugin for one in candidates if one.plugin]
        raise plugins.ambiguous(what, candidates[0].name, map(str, candidates), theirs)
    return candidates[0]


def folder_of(plugin: Plugin) -> Path:
    """The folder of recipes that an entry point names, `package.folder`, found without importing the package.

    Raises:
        PkdError: There is no such package, or no such folder in it.
    """
    outermost, *inner = re.split(r"[.:]", plugin.value)
    try:
        spec = find_spec(outermost)
    except (ImportError, ValueError):  # the second of a module that was put in by hand
        spec = None
    places = list(spec.submodule_search_locations or []) if spec else []
    folder = next((path for place in places if (path := Path(place, *inner)).is_dir()), None)
    if folder is None:
        missing = f"its package {outermost} has no folder {'/'.join(inner)}" if places else f"no package {outermost}"
        raise plugin.broken(missing)
    return folder


def _loss(plugin: Plugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "title": f"{plugin.value} of {plugin.distribution}",
        "summary": "A plug-in's loss with its own defaults.",
        "type": plugin.name,
        "weight": {"default": 1},
    }


def _launcher(plugin: Plugin) -> dict[str, Any]:
    return {"name": plugin.name, "kind": plugin.name, "notes": f"{plugin.value} of {plugin.distribution}"}


DEFAULTS: dict[str, Callable[[Plugin], dict[str, Any]]] = {"losses": _loss, "launchers": _launcher}
"""The recipes of defaults by kind."""
