"""Starts processes that live as long as this one does, from whichever thread they are asked for.

On Linux a process that shall end with its parent ends with the parent's thread that started it
(`PR_SET_PDEATHSIG`, prctl(2)). A notebook or a server may start a run from a thread that is soon gone, so all but the
main thread leave the starting to one thread that stays.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

from pkdcli.launch.local import os_processes


def start(command: Sequence[str], **settings: Any) -> subprocess.Popen[Any]:
    """Start a process in a session of its own, so that Ctrl-C reaches it only through us, and that ends with us.

    Args:
        command: Its words, never passed through a shell.
        **settings: Others of `subprocess.Popen`.

    Raises:
        OSError: It can't be started.
    """
    settings |= {
        "stdin": subprocess.DEVNULL,
        "start_new_session": True,
        "preexec_fn": os_processes.ended_with_us(),
    }
    if threading.current_thread() is threading.main_thread():
        return subprocess.Popen(command, **settings)
    return _thread().submit(subprocess.Popen, command, **settings).result()


@lru_cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "pkd-starter")


if hasattr(os, "register_at_fork"):  # a child has the executor, and not its thread
    os.register_at_fork(after_in_child=_thread.cache_clear)
