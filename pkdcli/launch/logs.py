"""The ends of logs, which tell how a run was lost that could not say so itself."""

from __future__ import annotations

import re
from pathlib import Path

from pkdcli.launch.run_state import SUBMITTED
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_path

TAIL = 40  # lines of a log


def tail(path: Path, lines: int = TAIL) -> list[str]:
    """The last lines of a file; none where it can't be read.

    Args:
        path: The file.
        lines: How many.
    """
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 400 * lines))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def silent_end(paths: RunPaths, cause: str) -> str:
    """A cause with what the log adds: torchrun and Slurm write there how a worker was lost.

    Args:
        paths: The run directory.
        cause: How the run was lost, as far as that is known already.
    """
    output = read_path(paths.root / SUBMITTED, "output")
    log = "\n".join([*tail(paths.log), *(tail(output) if output else [])])
    words = last_words(log)
    if words is None and ("SIGKILL" in log or "Killed" in log) and "SIGKILL" not in cause:
        words = "killed by SIGKILL, most often for want of memory"
    return f"{cause}; {words}" if words else cause


def last_words(log: str) -> str | None:
    """What Slurm has written into a run's log of its end: a limit, a lack of memory, a lost node."""
    patterns = (
        (r"DUE TO TIME LIMIT", "it reached its time limit"),
        (r"[Oo]ut.?[Oo]f.?[Mm]emory|oom.kill|Exceeded job memory limit", "it ran out of memory"),
        (r"DUE TO NODE FAILURE|Node failure", "its node failed"),
        (r"DUE TO PREEMPTION", "it was preempted"),
        (r"\*\*\* (?:STEP|JOB) \S+ (?:ON \S+ )?CANCELLED", "it was cancelled"),
    )
    return next((words for pattern, words in patterns if re.search(pattern, log)), None)
