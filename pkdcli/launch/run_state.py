"""What is known of a run, and writing down on its behalf what it could not say itself."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import DONE, FAILED, INTERRUPTED, QUEUED, RUNNING, Status

SUBMITTED = "slurm.json"
"""In a run directory: the job and task that it was last submitted as."""


@dataclass(frozen=True)
class RunState:
    """What is known of a run.

    Attributes:
        paths: Its run directory.
        state: queued, running, done, failed or interrupted.
        reason: Why it waits, failed or was interrupted.
        where: The machine, process or job that has or had it.
        status: What its status.json says.
        silent: It ended without a word of its own.
        job: Its Slurm task, if it was launched as one.
    """

    paths: RunPaths
    state: str
    reason: str | None = None
    where: str | None = None
    status: dict[str, Any] = field(default_factory=dict)
    silent: bool = False
    job: str | None = None

    @property
    def resumable(self) -> bool:
        """Whether it has ended without a result."""
        return self.state in (FAILED, INTERRUPTED)


def reconcile(found: RunState) -> None:
    """Write down what a run could not say itself, so that reports and later looks agree; a full disk is no error."""
    if not found.resumable or found.status.get("state") not in (QUEUED, RUNNING) or not found.reason:
        return
    code = ExitCode.INTERRUPTED if found.state == INTERRUPTED else ExitCode.RUN_FAILED
    with suppress(PkdError):
        end(found.paths, found.state, found.reason, int(code), silent=found.silent)


def end(paths: RunPaths, state: str, reason: str, code: int, *, silent: bool) -> None:
    """Write into the status of a run how it ended, on its behalf.

    Args:
        paths: The run directory.
        state: failed or interrupted.
        reason: Why, in words.
        code: Its exit code.
        silent: Its log is all there is to go by, so `pkd status` shows the end of it.
    """
    error = {"message": reason, "hint": None, "code": code, "silent": silent}
    Status(paths).write(state=state, phase=None, eta_s=None, error=error)


def own_words(status: dict[str, Any]) -> tuple[str, str | None]:
    """The state that a run's status.json tells of, and why it ended, as far as it says so."""
    error = status.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    state = status.get("state")
    if state == DONE:  # but the caller knows that it is not finished
        return FAILED, "its result or its weights are no longer there"
    return state if state in (QUEUED, RUNNING, FAILED, INTERRUPTED) else QUEUED, message


def was_silent(status: dict[str, Any]) -> bool:
    """Whether it was written down before that the run ended without a word of its own."""
    error = status.get("error")
    return bool(isinstance(error, dict) and error.get("silent"))


def process_of(status: dict[str, Any]) -> str | None:
    """The machine and process that has or had a run, in words."""
    return f"{status['host']}, process {status.get('pid')}" if status.get("host") else None
