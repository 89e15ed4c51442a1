"""Folders that are put into place together: all of them or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pkdcli.runs.store import cannot_write

STAGED, REMOVED = ".unpack-", ".removed-"
"""How hidden folders begin that are there while runs are unpacked or removed, and stay where that was killed."""


@contextmanager
def beside(root: Path) -> Iterator[Path]:
    """A folder in a folder of runs, hidden from whoever looks for runs; it is gone behind the block.

    Args:
        root: The folder of runs; made if it is not there.

    Raises:
        PkdError: It can't be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=STAGED, dir=root))
    except OSError as error:
        raise cannot_write(root, error) from error
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def place(moves: Sequence[tuple[Path, Path]]) -> None:
    """Rename folders into place; what stands there is moved aside first and comes back if anything fails.

    Args:
        moves: Pairs of a folder and where it is to be, on the same file system.

    Raises:
        PkdError: One can't be moved; all is as it was before.
    """
    done: list[tuple[Path, Path, Path | None]] = []
    try:
        for source, target in moves:
            aside = None
            if os.path.lexists(target):
                aside = source.with_name(f".{target.name}.before")
                os.replace(target, aside)
            done.append((source, target, aside))
            os.replace(source, target)
    except BaseException as error:
        for source, target, aside in reversed(done):
            with suppress(OSError):
                if not os.path.lexists(source):
                    os.replace(target, source)
            if aside is not None:
                with suppress(OSError):
                    os.replace(aside, target)
        if isinstance(error, OSError):
            raise cannot_write(error.filename2 or error.filename or "the runs", error) from error
        raise


def remove(folder: Path) -> None:
    """Remove a folder: for whoever looks for runs it is gone at once, and never there by half.

    Args:
        folder: A run's.

    Raises:
        PkdError: It can't be removed.
    """
    hidden = folder.with_name(f"{REMOVED}{folder.name}")
    try:
        if folder.is_symlink():
            folder.unlink()
            return
        if hidden.exists():  # of one that was killed at it
            shutil.rmtree(hidden)
        os.replace(folder, hidden)
        shutil.rmtree(hidden)
    except OSError as error:
        raise cannot_write(error.filename or folder, error) from error
