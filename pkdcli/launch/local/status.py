"""What is known of a run of this machine, or of another that its folder is shared with."""

from __future__ import annotations

import socket
from datetime import datetime, timezone
from typing import Any

from pkdcli.launch.logs import silent_end
from pkdcli.launch.run_state import RunState, own_words, process_of, was_silent
from pkdcli.runs.liveness import alive, held_by
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import FAILED, INTERRUPTED, QUEUED, RUNNING
from pkdcli.runs.store import read_object

SILENT_MINUTES = 30  # after which a run of another machine, of which nobody can tell, is taken for lost


def on_a_machine(paths: RunPaths, status: dict[str, Any]) -> RunState:
    """What is known of a run that no cluster has.

    Args:
        paths: Its run directory.
        status: What its status.json says; it is not finished.
    """
    state, reason, where, silent = *own_words(status), process_of(status), was_silent(status)
    held = held_by(paths)
    if state == QUEUED and held:  # it has only just begun, or its status was damaged
        state, reason, where = RUNNING, None, held
    elif state == RUNNING and not held:
        state, reason, silent = FAILED, silent_end(paths, "its process is gone"), True
    elif state == RUNNING and (minutes := minutes_since(status)) > SILENT_MINUTES and not _here(status):
        state, reason, silent = FAILED, f"no sign of life from {where} for {minutes:.0f} minutes", True
    elif state == QUEUED:
        queue = read_object(paths.job).get("queue")
        queue = queue if isinstance(queue, dict) else {}
        where = None
        if reason:
            state = FAILED
        elif not alive(queue.get("pid"), queue.get("host")):
            state, reason = INTERRUPTED, "never started: the pkd that queued it has ended"
    return RunState(paths, state, reason, where, status, silent)


def _here(status: dict[str, Any]) -> bool:
    return status.get("host") == socket.gethostname()


def minutes_since(status: dict[str, Any]) -> float:
    """Minutes since a run last wrote its status; 0 where that can't be told."""
    try:
        then = datetime.strptime(status["updated"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except (KeyError, TypeError, ValueError):
        return 0.0
    return (datetime.now(timezone.utc) - then).total_seconds() / 60
