"""Runs that are no longer wanted: `pkdcli.remove()` and `pkd rm`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pkdcli.errors import PkdError
from pkdcli.options import Only, OutputOptions, option
from pkdcli.runs.find import all_runs, only, teacher_of
from pkdcli.runs.paths import RunPaths


@dataclass(frozen=True)
class RemoveOptions:
    """Which runs are removed.

    Attributes:
        names: Their ids, beginnings that mean one run each, or their folders.
        force: Also a teacher that runs learn or have learned from.
    """

    names: tuple[str, ...] = option(
        (), "Runs' ids, their beginnings, or folders.", argument=True, repeatable=True, metavar="RUN..."
    )
    force: bool = option(False, "Also a teacher that other runs learn or have learned from.")


@dataclass(frozen=True)
class Removed:
    """What is removed, or would be.

    Attributes:
        sizes: The runs' folders, each with its size in bytes.
        used: Of teachers, by their folders, the ids of the other runs that have them.
        done: Whether they are removed, or only looked at.
    """

    sizes: dict[Path, int]
    used: dict[Path, list[str]] = field(default_factory=dict)
    done: bool = False

    @property
    def total(self) -> int:
        """The size of all, in bytes."""
        return sum(self.sizes.values())


def remove(options: RemoveOptions, output: Annotated[OutputOptions, Only("runs", "dry_run")]) -> Removed:
    """Remove runs with all that is in their folders.

    Args:
        options: Which runs.
        output: Where the runs are, and whether only to look.

    Returns:
        What was removed, with `dry_run=True` what would be.

    Raises:
        PkdError: No such run or several, one that is running or queued, or a teacher that other runs have.
    """
    from pkdcli.runs.archives.place import remove as remove_folder

    found = _chosen(options.names, output.runs)
    for paths in found:
        refuse_busy(paths)
    used = users_of(found, all_runs(output.runs))
    if used and not options.force:
        raise _in_use(used)
    sizes = {paths.root: size_of(paths.root) for paths in found}
    if not output.dry_run:
        for paths in found:
            refuse_busy(paths)  # while somebody was asked, it may have been started
            remove_folder(paths.root)
    return Removed(sizes, {paths.root: runs for paths, runs in used.items()}, not output.dry_run)


def _chosen(names: Sequence[str], runs: Path | None) -> list[RunPaths]:
    if not names:
        raise PkdError("give the runs to remove.", "`pkd status` lists them; pkd clean --what failed,smoke finds more.")
    among = all_runs(runs)
    found = {paths.root: paths for paths in (only(name, among) for name in names)}
    for paths in found.values():
        # A path may be any folder, and a file called recipe.yaml alone makes no run of it.
        if not paths.status.is_file() or not (paths.recipe.is_file() or paths.result.is_file()):
            raise PkdError(f"{paths.root} is no whole run: nothing in it is removed.", "Remove the folder by hand.")
    return list(found.values())


def refuse_busy(paths: RunPaths) -> None:
    """Refuse a run that somebody is at, or will be.

    Args:
        paths: The run.

    Raises:
        PkdError: It is running, or waits to.
    """
    from pkdcli.launch.status import query_all

    (found,) = query_all([paths])
    if found.state in ("running", "queued"):
        where = f": {found.where or found.job}" if found.where or found.job else ""
        raise PkdError(f"{paths.run} is {found.state}{where}.", f"Stop it first: pkd cancel {paths.run}")


def users_of(teachers: Sequence[RunPaths], among: Sequence[RunPaths]) -> dict[RunPaths, list[str]]:
    """The runs that have some others as their teachers, without those others themselves.

    Args:
        teachers: Runs of any kind.
        among: Where to look for users.
    """
    places = {os.path.realpath(paths.root): paths for paths in teachers}
    found: dict[RunPaths, list[str]] = {}
    for one in among:
        teacher = teacher_of(one)
        at = places.get(os.path.realpath(teacher.root)) if teacher is not None else None
        if at is not None and os.path.realpath(one.root) not in places:
            found.setdefault(at, []).append(one.run)
    return found


def _in_use(used: dict[RunPaths, list[str]]) -> PkdError:
    paths, runs = next(iter(used.items()))
    listed = "".join(f"\n  {run}" for run in runs[:10]) + ("\n  ..." if len(runs) > 10 else "")
    return PkdError(
        f"{paths.run} is the teacher of {len(runs)} run{'s' * (len(runs) != 1)}:{listed}",
        "Without it they can't go on to the same numbers, and `pkd eval --model teacher` has nothing to evaluate. "
        "--force removes it all the same; the next run that needs it trains it again.",
    )


def size_of(path: Path) -> int:
    """The bytes of a file, or of all files below a folder.

    Args:
        path: The file or folder.
    """
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.lstat().st_size for file in files)
