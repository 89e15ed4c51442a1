"""Starts processes that live as long as this one does, from whichever thread they are asked for.

On Linux a process that shall end with its parent ends with the parent's thread that started it
(`PR_SET_PDEATHSIG`, prctl(2)). A notebook or a server may start a run from a thread that is soon gone, so all but the
main thread leave the starting to one thread that stays.
"""

from __future__ import annotations

import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any


def start(command: tuple[str, ...], **settings: Any) -> subprocess.Popen[bytes]:
    """Start a process.

    Args:
        command: Its words, never passed through a shell.
        **settings: As for `subprocess.Popen`.

    Raises:
        OSError: It can't be started.
    """
    if threading.current_thread() is threading.main_thread():
        return subprocess.Popen(command, **settings)
    return _thread().submit(subprocess.Popen, command, **settings).result()


@lru_cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "pkd-starter")
