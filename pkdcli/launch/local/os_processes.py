"""Questions to the operating system about processes that are not our own children."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def children(pid: int) -> list[int]:
    """The processes that a process has started and that still live."""
    return [child for child, parent in _parents().items() if parent == pid]


def descendants(pid: int) -> list[int]:
    """The children of a process, their children, and so on."""
    parents = _parents()
    found, front = [], {pid}
    while front := {child for child, parent in parents.items() if parent in front}:
        found += sorted(front)
    return found


def parent(pid: int) -> int | None:
    """The process that has started a process, if it still lives."""
    return _parents().get(pid)


def words(pid: int) -> list[str]:
    """The command line of a process; empty where it has ended or may not be seen."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        found = _ps("-o", "args=", "-p", str(pid)).split()
        return found


def send(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to processes, passing over those that have ended.

    Args:
        pids: The processes.
        number: The signal.
    """
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def ended_with_us() -> Callable[[], None] | None:
    """What a new process must do to get SIGTERM when this one dies; None where the system has no such thing.

    A queue that is killed leaves nobody behind who goes on without it, and typing its command again finds no run taken.
    """
    if not sys.platform.startswith("linux"):
        return None
    library, us = ctypes.CDLL(None), os.getpid()

    def prepare() -> None:
        library.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != us:  # died in between
            os._exit(1)

    return prepare


def _parents() -> dict[int, int]:
    """The parent of every living process."""
    found = {}
    try:
        entries = [entry for entry in os.listdir("/proc") if entry.isdecimal()]
    except OSError:
        entries = []
    for entry in entries:
        with suppress(OSError, ValueError, IndexError):
            # The name of the program, in brackets, may itself hold blanks and brackets.
            state, ppid = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                found[int(entry)] = int(ppid)
    if found:
        return found
    for line in _ps("-A", "-o", "pid=,ppid=").splitlines():
        pid, ppid = line.split()
        found[int(pid)] = int(ppid)
    return found


def _ps(*options: str) -> str:
    try:
        return subprocess.run(["ps", *options], capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""
