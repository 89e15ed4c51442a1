"""Files and folders that a user names to be written: looked at before the work, and told of where they can't be."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pkdcli.errors import ExitCode, PkdError


def check_destination(path: Path, option: str, *, folder: bool = False) -> None:
    """Refuse a file or folder that can't be written, before any work is done for it.

    Args:
        path: What was given.
        option: What it was given to, such as `--output`, for the remedy.
        folder: It is to be a folder.

    Raises:
        PkdError: An empty word; or it is a folder where a file is to be, or the other way round, or a device, or may
            not be written (exit code 3).
    """
    if path == Path():  # an empty word, as of a variable that is not set, or the working folder
        if folder:
            return
        raise PkdError(f"{option}: that is a folder, not a file.", f"Name a file: {option} FILE")
    path = path.expanduser().absolute()
    there = nearest_there(path)
    if there == path and not folder:
        if path.is_dir():
            raise not_written(path, OSError(errno.EISDIR, os.strerror(errno.EISDIR)), option)
        if (path.exists() and not stat.S_ISREG(path.stat().st_mode)) or path.parent == Path("/dev"):
            raise PkdError(
                f"can't write {path}: it is a device, not a file.",
                f"Leave {option} out to have it printed, or name a file: {option} FILE",
                ExitCode.MISSING,
            )
        there = path.parent
    wrong = None
    if not there.is_dir():
        wrong = errno.ENOTDIR
    elif not os.access(there, os.W_OK | os.X_OK):
        read_only = hasattr(os, "statvfs") and os.statvfs(there).f_flag & os.ST_RDONLY
        wrong = errno.EROFS if read_only else errno.EACCES
    if wrong is not None:
        raise not_written(path, OSError(wrong, os.strerror(wrong)), option, folder=folder)


@contextmanager
def destination(path: Path, option: str, *, folder: bool = False) -> Iterator[None]:
    """What can't be written inside is told with the path that was given, the cause, and a remedy for this option.

    Args:
        path: What was given.
        option: What it was given to, such as `--output`.
        folder: It is a folder, in which files are written.

    Raises:
        PkdError: It can't be written (exit code 3).
    """
    try:
        yield
    except (OSError, PkdError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError):
            raise
        raise not_written(path, cause, option, folder=folder) from cause


def not_written(path: Path, error: OSError, option: str, *, folder: bool = False) -> PkdError:
    """The error for what a user wanted to be written somewhere, with a remedy that fits its cause.

    Args:
        path: What was given.
        error: What the system says.
        option: What it was given to, such as `--output`.
        folder: It was to be a folder.
    """
    path = path.expanduser().absolute()
    there = nearest_there(path if folder else path.parent)
    kind, cause = "DIR" if folder else "FILE", error.errno
    remedy = f"Name another: {option} {kind}"
    if cause in (errno.ENOSPC, errno.EDQUOT):
        return PkdError(
            f"no space left to write {path}.",
            f"Free some space there, or name another on a disk that has some: {option} {kind}",
            ExitCode.MISSING,
        )
    reason = error.strerror or str(error)
    if cause in (errno.EEXIST, errno.ENOTDIR):
        reason = "a file stands where a folder should be" + (f": {there}" if there != path else "")
    elif cause == errno.EISDIR:
        remedy = f"Name a file in it: {option} {shlex.quote(str(path))}/NAME"
    elif cause in (errno.EACCES, errno.EPERM) and hasattr(os, "getuid") and there.stat().st_uid == os.getuid():
        remedy = f"Allow it, chmod u+wx {shlex.quote(str(there))}, or name another: {option} {kind}"
    return PkdError(f"can't write {path}: {reason}.", remedy, ExitCode.MISSING)


def nearest_there(path: Path) -> Path:
    """The path itself or the nearest above it that is there, be it a link that leads nowhere.

    Args:
        path: An absolute one.
    """
    return next(one for one in (path, *path.parents) if os.path.lexists(one))
