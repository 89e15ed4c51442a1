"""The two folders pkd writes to: runs and cache. Nothing else is ever written."""

from __future__ import annotations

import functools
import os
import stat
from contextlib import suppress
from pathlib import Path

from pkdcli.errors import ExitCode, PkdError


def runs_root(given: Path | None = None) -> Path:
    """The folder of run directories: `given`, or $PKD_RUNS, or ./runs; it need not exist.

    Raises:
        PkdError: It is a file, in which looking finds no run and nothing can be written.
    """
    root = Path(given or os.environ.get("PKD_RUNS") or "runs").expanduser().absolute()
    if is_no_folder(root):
        variable = "" if given or not os.environ.get("PKD_RUNS") else " or the environment variable PKD_RUNS"
        raise PkdError(f"{root} is a file, not a folder of runs.", f"Give the folder with --runs DIR{variable}.")
    return root


def is_no_folder(path: Path) -> bool:
    """Whether a file stands where a folder should be."""
    return os.path.exists(path) and not os.path.isdir(path)


def cache_root() -> Path:
    """The folder of data, teachers and downloads: $PKD_CACHE, or `pkd` in the user's cache folder."""
    if os.environ.get("PKD_CACHE"):
        return Path(os.environ["PKD_CACHE"]).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("pkd", appauthor=False)


def libraries_cache() -> Path:
    """Where matplotlib, torch and others keep what they can make again: the cache.

    A cache that is shared may be read-only to its users: then it is a folder beside other temporary files that
    belongs to this user alone, as some of these files are pickles: whoever may write one has code run.
    """
    cache = cache_root()
    return cache if can_be_written(cache) else _private()


def libraries_environment() -> dict[str, str]:
    """The variables by which pkd's processes, and the libraries in them, find these folders.

    Without them matplotlib and yapf, which mmengine imports, write into the user's home.
    """
    own = libraries_cache()
    return {
        "PKD_CACHE": str(cache_root()),
        "XDG_CACHE_HOME": str(own),
        "MPLCONFIGDIR": os.environ.get("MPLCONFIGDIR", str(own / "matplotlib")),
    }


@functools.cache
def _private() -> Path:
    """A temporary folder that nobody else may write to; one for all processes of a user where that is safe."""
    import atexit
    import shutil
    import tempfile

    folder = Path(tempfile.gettempdir()) / f"pkd-{os.getuid() if hasattr(os, 'getuid') else 'cache'}"
    with suppress(OSError):
        folder.mkdir(mode=0o700)
    with suppress(OSError):
        found = folder.lstat()
        whose = not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o077)
        if stat.S_ISDIR(found.st_mode) and whose:
            return folder
    made = tempfile.mkdtemp(prefix="pkd-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))


def can_be_written(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder itself where it is not there."""
    existing = _existing(folder)
    return os.path.isdir(existing) and os.access(existing, os.W_OK | os.X_OK)


def make_room(folder: Path, force: bool) -> None:
    """Make sure that nothing is written over, in a folder that a user names, without a word.

    Args:
        folder: Where files are to be written.
        force: The user has said so.

    Raises:
        PkdError: It is a file, there is something in it, or nothing can be written there (exit code 3).
    """
    if folder.is_file():
        raise PkdError(f"{folder} is a file.", "Give a folder with -o DIR.")
    if not can_be_written(folder):
        existing = _existing(folder)
        why = "Permission denied" if os.path.isdir(existing) else f"{existing} is a file"
        raise PkdError(f"can't write {folder}: {why}.", "Give another folder with -o DIR.", ExitCode.MISSING)
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise PkdError(f"{folder} is there already.", "Give another with -o DIR, or write into it with --force.")


def recipes_root() -> Path:
    """The folder of built-in recipes: inside the wheel when installed, beside the package in a checkout."""
    inside = Path(__file__).parent / "_recipes"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "recipes"
