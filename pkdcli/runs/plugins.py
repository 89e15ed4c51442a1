"""Whether the plug-ins that a run was made with are here in the same versions."""

from __future__ import annotations

from collections.abc import Iterable

from pkdcli import plugins
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_json


def changed_plugins(runs: Iterable[RunPaths]) -> list[str]:
    """What is to be said of plug-ins that are not here as runs were made with them, each distribution once.

    Args:
        runs: Run directories. Of one that is not finished another version is passed over, since its worker says so
            itself, and only a plug-in that is gone is named.
    """
    made: dict[tuple[str, str], list[str]] = {}
    for paths in runs:
        done = paths.result.is_file()
        for one in (read_json(paths.env) or {}).get("plugins", []):
            if done or plugins.installed(one["distribution"]) is None:
                named = made.setdefault((one["distribution"], one["version"]), [])
                named += [paths.run] if paths.run not in named else []
    said = []
    for (distribution, version), named in made.items():
        more = f" and {len(named) - 1} more" if len(named) > 1 else ""
        said += plugins.changes([{"distribution": distribution, "version": version}], named[-1] + more)
    return said
