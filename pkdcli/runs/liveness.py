"""What can be said of a run from its files alone."""

from __future__ import annotations

import os
import socket

from pkdcli.runs.lock import holder, lock_file
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_object


def finished(paths: RunPaths) -> bool:
    """Whether the run's result and its exported detector are there."""
    result = read_object(paths.result)
    if "metrics" not in result:
        return False
    return paths.weights(result.get("role", "distill")).is_file()


def alive(pid: int | None, host: str | None) -> bool:
    """Whether a process of this machine lives; one of another machine is taken to.

    Args:
        pid: The process.
        host: The machine it runs on, by name.
    """
    if not isinstance(pid, int) or pid <= 0:
        return False
    # Elsewhere than on POSIX, signal 0 is not a question but an interruption.
    if host != socket.gethostname() or os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def held_by(paths: RunPaths) -> str | None:
    """Who is at work in a run directory, in words; None where nobody is."""
    if who := holder(paths):
        return who
    status = read_object(paths.status)
    pid, host = status.get("pid"), status.get("host")
    if status.get("state") != "running" or not alive(pid, host):
        return None
    # Numbers of processes come round again: on this machine a lock that nobody holds says that its holder was killed.
    if host == socket.gethostname() and lock_file(paths).exists():
        return None
    return f"process {pid} on {host}"
