"""The file of a study as SQLite sees it: where it is, whether it is whole, and a copy to look into."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from pkdcli.destinations import nearest_there
from pkdcli.errors import ExitCode, PkdError
from pkdcli.folders import can_be_written

_PARTS = ("", "-journal", "-wal")
"""The endings of an SQLite database's files: what a killed process has left beside it belongs to it."""


def url(path: Path) -> str:
    """The address of an SQLite file, whatever letters its folders are made of."""
    from sqlalchemy.engine import URL

    return URL.create("sqlite", database=str(path.absolute())).render_as_string()


def fault(path: Path) -> str | None:
    """What SQLite finds wrong in a file that it can open, such as pages that were cut off; None for nothing."""
    with closing(sqlite3.connect(path)) as base:
        try:
            found = str(base.execute("PRAGMA quick_check(1)").fetchone()[0])
        except sqlite3.DatabaseError as error:
            return str(error)
    return None if found == "ok" else found.replace("*** in database main ***", "").strip()


def refuse_unusable(path: Path, shown: Path) -> None:
    """Refuse a file that can't be read or written to, or one whose folder can't be made as a file lies in its place.

    Args:
        path: The file; it need not be there.
        shown: The one that messages name.

    Raises:
        PkdError: One of these.
    """
    try:
        if path.is_file():
            path.open("rb").close()
    except OSError as error:
        raise unreachable(shown, error) from error
    there = nearest_there(path.absolute().parent)
    if not there.is_dir():
        raise PkdError(f"{shown}: {there} is no folder.", "Give another folder with --runs.", ExitCode.MISSING)
    # SQLite makes a journal beside the file.
    if not can_be_written(there) or (path.is_file() and not os.access(path, os.W_OK)):
        raise unreachable(shown, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def copy_of(path: Path, folder: Path) -> Path | None:
    """A copy of a database with what belongs to it; None where there is none. A folder in its place becomes a folder.

    Args:
        path: The database.
        folder: Where the copy goes.

    Raises:
        PkdError: It can't be read.
    """
    copied = folder / "study.sqlite3"
    if path.is_dir():
        copied.mkdir()
        return copied
    try:
        for end in _PARTS:
            if os.path.exists(f"{path}{end}"):
                shutil.copyfile(f"{path}{end}", f"{copied}{end}")
    except OSError as error:
        raise unreachable(path, error) from error
    return copied if copied.exists() else None


def unreachable(path: Path, error: OSError) -> PkdError:
    """What is said of a file that the system does not let one read or make.

    Args:
        path: The file.
        error: The system's own words.
    """
    return PkdError(f"{path}: {error.strerror}.", "Give another folder with --runs.", ExitCode.MISSING)
