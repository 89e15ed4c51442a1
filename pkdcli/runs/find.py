"""The runs a user means."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from pkdcli.errors import PkdError, nearest
from pkdcli.folders import cache_root, runs_root
from pkdcli.runs.paths import RunPaths, teachers_root


def all_runs(runs: Path | None) -> list[RunPaths]:
    """Every run, the teachers in the cache first."""
    found = []
    for root in (teachers_root(cache_root()), runs_root(runs)):
        folders = sorted(os.listdir(root)) if root.is_dir() else []
        marks = ("status.json", "recipe.yaml", "result.json")
        found += [
            RunPaths(root / name)
            for name in folders
            if not name.startswith(".") and any(os.path.isfile(os.path.join(root, name, mark)) for mark in marks)
        ]
    return found


def chosen(names: Sequence[str], among: Iterable[RunPaths]) -> list[RunPaths]:
    """The runs whose ids begin so (a path to a run directory does too), each once; every run without names.

    Raises:
        PkdError: No run's id begins so.
    """
    among = list(among)
    if not names:
        return among
    found: dict[Path, RunPaths] = {}
    for name in names:
        wanted = Path(name).name if "/" in name else name
        matching = [one for one in among if one.run == wanted] or [one for one in among if one.run.startswith(wanted)]
        if not matching or not wanted:
            guess = nearest(wanted, [one.run for one in among])
            hint = f"Did you mean {guess}? " if guess else ""
            raise PkdError(f"no run begins with {name!r}.", f"{hint}`pkd status` lists the runs; see --runs DIR.")
        found |= {one.root: one for one in matching}
    return list(found.values())


def only(name: str, among: Iterable[RunPaths]) -> RunPaths:
    """The one run whose id begins so.

    Raises:
        PkdError: None does, or several do.
    """
    found = chosen([name], among)
    if len(found) > 1:
        listed = "\n".join(f"  {one.run}" for one in found)
        raise PkdError(f"{len(found)} runs begin with {name!r}:\n{listed}", "Give more of its name.")
    return found[0]
