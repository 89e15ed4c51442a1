"""What is no longer needed: checkpoints of finished runs, files half-written, failed and smoke runs, the cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pkdcli.api.runs.remove import size_of, users_of
from pkdcli.errors import ExitCode, PkdError, unknown
from pkdcli.folders import cache_root, runs_root
from pkdcli.options import Only, OutputOptions, option
from pkdcli.runs.archives.place import REMOVED, STAGED
from pkdcli.runs.find import all_runs, runs_in
from pkdcli.runs.paths import RunPaths, teachers_root

HOUR = 3600.0
CACHE = ("downloads", "data", "checks", "annotations", "joined", "matplotlib", "torchinductor")
"""Folders of the cache that are made or downloaded again when they are needed; teachers are not among them."""
WHAT = ("checkpoints", "failed", "smoke", "teachers", "cache")
"""What can be looked for by name; without a name, it is checkpoints."""


@dataclass(frozen=True)
class CleanOptions:
    """What to look for, and whether to remove it.

    Attributes:
        keep_checkpoints: Checkpoints that a finished run keeps, the newest ones.
        what: What to look for, of `WHAT`; checkpoints where nothing is named.
        cache: Parts of the cache too, of `CACHE`, or `all`.
        yes: Remove it; without, it is only found.
    """

    keep_checkpoints: int = option(1, "Checkpoints that finished runs keep.", min=0, metavar="N")
    what: tuple[str, ...] = option(
        (),
        "checkpoints (the default, with what killed processes left half-written), failed or smoke for these runs as "
        "a whole, teachers for those in the cache that no run of this folder has, cache for all of --cache.",
        metavar="|".join(WHAT),
    )
    cache: tuple[str, ...] = option((), f"Parts of the cache too: {','.join(CACHE)} or all.", metavar="PARTS")
    yes: bool = option(False, "Remove it.", names=("--yes", "-y"))


@dataclass(frozen=True)
class Clutter:
    """What is no longer needed.

    Attributes:
        sizes: Files and folders, sorted, each with its size in bytes.
        removed: Whether they are removed, or only found.
    """

    sizes: dict[Path, int]
    removed: bool = False

    @property
    def total(self) -> int:
        """The size of all, in bytes."""
        return sum(self.sizes.values())


def clean(options: CleanOptions, output: Annotated[OutputOptions, Only("runs", "dry_run")]) -> Clutter:
    """Find what is no longer needed, and remove it if asked to: by default checkpoints of finished runs.

    Results, weights, logs and the checkpoints of unfinished runs stay, and so do teachers, unless failed runs, smoke
    runs or teachers are named. A run that is running or queued stays in any case.

    Args:
        options: What to find, and whether to remove it.
        output: Where the runs are; a dry run removes nothing.

    Raises:
        PkdError: There is no such thing to look for or part of the cache, or something can't be removed.
    """
    runs = output.runs
    for word in options.what:
        if word not in WHAT:
            raise unknown("thing to clean", word, WHAT, "--what")
    wanted = options.what or ("checkpoints",)
    find: dict[str, Callable[[], Iterator[Path]]] = {
        "checkpoints": lambda: iter([*_checkpoints(runs, options.keep_checkpoints), *_halves(runs)]),
        "failed": lambda: _failed(runs),
        "smoke": lambda: _smoke(runs),
        "teachers": lambda: _teachers(runs),
        "cache": lambda: _parts(("all",)),
    }
    found = sorted({*(path for word in wanted for path in find[word]()), *_parts(options.cache)})
    found = [path for path in found if not set(path.parents) & set(found)]  # what goes with a whole folder
    sizes = {path: size_of(path) for path in found}
    removed = options.yes and not output.dry_run
    if removed:
        for path in found:
            _remove(path)
    return Clutter(sizes, removed)


def _failed(runs: Path | None) -> Iterator[Path]:
    """The folders of runs that failed; those that were interrupted can go on, and stay."""
    from pkdcli.launch.status import query_all

    yield from (one.paths.root for one in query_all(all_runs(runs)) if one.state == "failed")


def _smoke(runs: Path | None) -> Iterator[Path]:
    """The folders of finished runs that were cut down to a few steps or images, and of their teachers no one has."""
    from pkdcli.runs.liveness import held_by
    from pkdcli.runs.record import smoke
    from pkdcli.runs.store import read_object

    found = [one for one in all_runs(runs) if smoke(read_object(one.result)) and not held_by(one)]
    used = users_of(found, all_runs(runs))
    yield from (one.root for one in found if one not in used)


def _teachers(runs: Path | None) -> Iterator[Path]:
    """The teachers in the cache that no run of the folder has, and nobody is at."""
    from pkdcli.launch.status import query_all

    teachers = runs_in(teachers_root(cache_root()))
    used = users_of(teachers, runs_in(runs_root(runs)))
    free = [one for one in teachers if one not in used]
    yield from (one.paths.root for one in query_all(free) if one.state not in ("running", "queued"))


def _checkpoints(runs: Path | None, keep: int) -> Iterator[Path]:
    """Checkpoints of finished runs but for the newest ones."""
    from pkdcli.runs.liveness import finished, held_by

    for paths in all_runs(runs):
        if finished(paths) and not held_by(paths):
            states = sorted(paths.checkpoints.glob("*.pth"), key=lambda path: (path.stat().st_mtime_ns, path.name))
            yield from states[: max(0, len(states) - keep)]


def _halves(runs: Path | None) -> Iterator[Path]:
    """Files that were being written when their process was killed; not those of the last hour."""
    from pkdcli.runs.liveness import held_by

    free = [paths.root for paths in all_runs(runs) if not held_by(paths)]
    places = [*free, *(cache_root() / part for part in ("downloads", "checks", "annotations", "joined"))]
    for place in places:
        for path in place.rglob(".*.part"):
            if path.is_file() and time.time() - path.stat().st_mtime > HOUR:
                yield path
    for root in (runs_root(runs), teachers_root(cache_root())):
        for begin in (STAGED, REMOVED):
            yield from (path for path in root.glob(f"{begin}*") if time.time() - path.stat().st_mtime > HOUR)


def _parts(words: Sequence[str]) -> Iterator[Path]:
    for word in words:
        if word not in (*CACHE, "all"):
            raise unknown("part of the cache", word, (*CACHE, "all"))
        for part in CACHE if word == "all" else (word,):
            if (cache_root() / part).exists():
                yield cache_root() / part


def _remove(path: Path) -> None:
    import shutil

    from pkdcli.runs.archives.place import remove

    if RunPaths(path).exists:
        remove(path)
        return
    try:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    except OSError as error:
        remedy = f"Check the permissions of {path.parent}."
        raise PkdError(f"can't remove {path}: {error.strerror}.", remedy, ExitCode.MISSING) from error
