"""What is no longer needed: checkpoints of finished runs, files half-written, parts of the cache."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pkdcli.errors import ExitCode, PkdError, unknown
from pkdcli.folders import cache_root
from pkdcli.options import Only, OutputOptions, option
from pkdcli.runs.find import all_runs

HOUR = 3600.0
CACHE = ("downloads", "data", "checks", "annotations", "joined", "matplotlib", "torchinductor")
"""Folders of the cache that are made or downloaded again when they are needed; teachers are not among them."""


@dataclass(frozen=True)
class CleanOptions:
    """What to look for, and whether to remove it.

    Attributes:
        keep_checkpoints: Checkpoints that a finished run keeps, the newest ones.
        cache: Parts of the cache too, of `CACHE`, or `all`.
        yes: Remove it; without, it is only found.
    """

    keep_checkpoints: int = option(1, "Checkpoints that finished runs keep.", min=0, metavar="N")
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


def clean(options: CleanOptions, output: Annotated[OutputOptions, Only("runs")]) -> Clutter:
    """Find checkpoints of finished runs and what killed processes left half-written, and remove them if asked to.

    Results, weights, logs and the checkpoints of unfinished runs stay, and so do teachers.

    Args:
        options: What to find, and whether to remove it.
        output: Where the runs are.

    Raises:
        PkdError: There is no such part of the cache, or something can't be removed.
    """
    runs = output.runs
    found = sorted({*_checkpoints(runs, options.keep_checkpoints), *_halves(runs), *_parts(options.cache)})
    sizes = {path: _size(path) for path in found}
    if options.yes:
        for path in found:
            _remove(path)
    return Clutter(sizes, options.yes)


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


def _parts(words: Sequence[str]) -> Iterator[Path]:
    for word in words:
        if word not in (*CACHE, "all"):
            raise unknown("part of the cache", word, (*CACHE, "all"))
        for part in CACHE if word == "all" else (word,):
            if (cache_root() / part).exists():
                yield cache_root() / part


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.lstat().st_size for file in files)


def _remove(path: Path) -> None:
    import shutil

    try:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    except OSError as error:
        raise PkdError(f"can't remove {path}: {error.strerror}.", None, ExitCode.MISSING) from error
