"""Only one process at a time writes into a run directory.

The lock is the operating system's (POSIX record locks, which network file systems know too): it goes with the process
that holds it, however that ends. The file only says who that is.
"""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pkdcli.errors import PkdError
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import now
from pkdcli.runs.store import cannot_write

try:
    import fcntl
except ImportError:  # not POSIX: nothing is locked there
    fcntl = None

PATIENCE = 0.5  # seconds: whoever asks who holds a lock has it for a moment

_held: set[Path] = set()


def lock_file(paths: RunPaths) -> Path:
    """The lock of a run; there while somebody is at work, or after somebody was killed at it."""
    return paths.root / ".lock"


def holder(paths: RunPaths) -> str | None:
    """Who holds a run's lock, in words; None where nobody does, whatever is written in the file."""
    path = lock_file(paths)
    # Closing a file lets go of all locks that this very process has on it.
    if path in _held:
        return f"process {os.getpid()} on {socket.gethostname()}"
    if fcntl is None:
        return None
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.lockf(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _in_words(_read(handle))
    finally:
        os.close(handle)
    return None


class RunLock:
    """Holds a run directory while its `with` block runs.

    Args:
        paths: The run directory; it must exist.
    """

    def __init__(self, paths: RunPaths) -> None:
        self.paths = paths
        self._path = lock_file(paths)
        self._handle: int | None = None

    def __enter__(self) -> RunLock:
        """Take the lock.

        Raises:
            PkdError: Another process holds it, or the folder can't be written (exit code 3).
        """
        if fcntl is None:
            return self
        try:
            self._handle = self._open()
        except OSError as error:
            raise cannot_write(self._path, error) from error
        _held.add(self._path)
        return self

    def _open(self) -> int:
        patience = time.monotonic() + PATIENCE
        while True:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The one before may have removed the file between the two calls: then this lock is on nothing.
                with suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(handle), os.stat(self._path)):
                        who = {"pid": os.getpid(), "host": socket.gethostname(), "since": now()}
                        os.ftruncate(handle, 0)
                        os.pwrite(handle, json.dumps(who).encode(), 0)
                        return handle
            except BlockingIOError:
                who = _in_words(_read(handle))
                os.close(handle)
                if time.monotonic() < patience:
                    time.sleep(0.02)
                    continue
                raise PkdError(
                    f"{self.paths.run} is running already: {who}.", "Wait for it, or stop it first."
                ) from None
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)

    def __exit__(self, *_: Any) -> None:
        """Let go of it."""
        if self._handle is not None:
            with suppress(OSError):
                os.unlink(self._path)
            os.close(self._handle)
            _held.discard(self._path)
            self._handle = None


def _read(handle: int) -> dict[str, Any]:
    try:
        content = json.loads(os.pread(handle, 4096, 0))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _in_words(who: dict[str, Any]) -> str:
    if "pid" not in who:
        return "another process"
    return f"process {who['pid']} on {who.get('host')}, since {who.get('since')}"
