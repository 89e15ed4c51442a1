"""`pkd clean`: remove what is no longer needed, after showing it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from pkdcli.cli import typer_options as o
from pkdcli.errors import ExitCode, PkdError

HOUR = 3600.0
CACHE = ("downloads", "data", "checks", "annotations", "matplotlib", "torchinductor")
"""Folders of the cache that are made or downloaded again when they are needed; teachers are not among them."""


def command(
    keep: Annotated[
        int, typer.Option("--keep-checkpoints", min=0, metavar="N", help="Checkpoints that finished runs keep.")
    ] = 1,
    cache: Annotated[
        str | None, typer.Option("--cache", metavar="PARTS", help=f"Parts of the cache too: {','.join(CACHE)} or all.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove it.")] = False,
    runs: o.Runs = None,
) -> None:
    """Remove checkpoints of finished runs and what killed processes left half-written.

    Results, weights, logs and the checkpoints of unfinished runs stay, and so do teachers. Without --yes nothing is
    removed: it is only shown.

    [bold]Examples[/bold]

      pkd clean

      pkd clean --keep-checkpoints 0 --yes

      pkd clean --cache downloads,data
    """
    from pkdcli.folders import cache_root, runs_root

    found = sorted({*_checkpoints(runs, keep), *_halves(runs), *_parts(cache)})
    if not found:
        print(f"nothing to remove in {runs_root(runs)} and {cache_root()}")
        return
    total = 0
    for path in found:
        size = _size(path)
        total += size
        print(f"{_bytes(size):>10}  {path}")
    if not yes:
        print(f"{_bytes(total)} in {len(found)} places; nothing is removed yet: add --yes")
        return
    for path in found:
        _remove(path)
    print(f"removed {_bytes(total)} in {len(found)} places")


def _checkpoints(runs: Path | None, keep: int) -> Iterator[Path]:
    """Checkpoints of finished runs but for the newest ones."""
    from pkdcli.runs.find import all_runs
    from pkdcli.runs.liveness import finished, held_by

    for paths in all_runs(runs):
        if finished(paths) and not held_by(paths):
            states = sorted(paths.checkpoints.glob("*.pth"), key=lambda path: (path.stat().st_mtime_ns, path.name))
            yield from states[: len(states) - keep] if keep else states


def _halves(runs: Path | None) -> Iterator[Path]:
    """Files that were being written when their process was killed; not those of the last hour."""
    import time

    from pkdcli.folders import cache_root
    from pkdcli.runs.find import all_runs
    from pkdcli.runs.liveness import held_by

    free = [paths.root for paths in all_runs(runs) if not held_by(paths)]
    places = [*free, *(cache_root() / part for part in ("downloads", "checks", "annotations"))]
    for place in places:
        for path in place.rglob(".*.part"):
            if path.is_file() and time.time() - path.stat().st_mtime > HOUR:
                yield path


def _parts(cache: str | None) -> Iterator[Path]:
    from pkdcli.cli.typer_options import words
    from pkdcli.errors import unknown
    from pkdcli.folders import cache_root

    for word in words(cache, "--cache"):
        if word not in (*CACHE, "all"):
            raise unknown("part of the cache", word, (*CACHE, "all"))
        for part in CACHE if word == "all" else (word,):
            if (cache_root() / part).exists():
                yield cache_root() / part


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.lstat().st_size for file in files)


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _remove(path: Path) -> None:
    import shutil

    try:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    except OSError as error:
        raise PkdError(f"can't remove {path}: {error.strerror}.", None, ExitCode.MISSING) from error
