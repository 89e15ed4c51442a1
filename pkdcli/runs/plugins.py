"""Whether the plug-ins that a run was made with are here in the same versions."""

from __future__ import annotations

from collections.abc import Iterable

from pkdcli import plugins
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_json


def changed_plugins(runs: Iterable[RunPaths]) -> list[str]:
    """What is to be said of plug-ins that finished runs were made with in other versions, each distribution once.

    Args:
        runs: Run directories; one that is not finished is passed over, since its worker says so itself.
    """
    said: dict[tuple[str, str], str] = {}
    for paths in runs:
        if not paths.result.is_file():
            continue
        for one in (read_json(paths.env) or {}).get("plugins", []):
            for text in plugins.changes([one], paths.run):
                said.setdefault((one["distribution"], one["version"]), text)
    return list(said.values())
