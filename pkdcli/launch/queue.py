"""Run many jobs: each after what it needs, one failure stopping nothing but what depends on it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pkdcli.errors import ExitCode
from pkdcli.launch.job import JobSpec
from pkdcli.launch.local import LocalProcess

POLL_SECONDS = 0.1


class Watcher(Protocol):
    """Told of everything that happens, as it happens."""

    def began(self, spec: JobSpec) -> None:
        """A job has started."""

    def ticked(self, spec: JobSpec) -> None:
        """A job is still running; called about ten times a second."""

    def ended(self, spec: JobSpec, outcome: Outcome) -> None:
        """A job has ended, or can't start."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        code: Its exit code; 0 is well.
        died_by: The signal that killed it, if one did.
        lacked: The job it needed that did not end well, if that kept it from starting.
    """

    code: int
    died_by: str | None = None
    lacked: str | None = None

    @property
    def cause(self) -> str:
        """How a job that did not end well ended, in words."""
        if self.lacked:
            return f"not started, since {self.lacked} failed"
        cause = f"killed by {self.died_by}" if self.died_by else f"exit code {int(self.code)}"
        if self.died_by == "SIGKILL":
            cause += "; on Linux most often for want of memory: try a smaller --batch-size or --workers 0"
        return cause


def run_all(specs: Sequence[JobSpec], watcher: Watcher, done: Sequence[str] = ()) -> dict[str, Outcome]:
    """Run jobs one after the other, in the order given but for what they need.

    The first Ctrl-C asks the running job to save and stop, and starts no other; a second one kills it.

    Args:
        specs: The jobs; what one needs stands before it or in `done`.
        watcher: Told of what happens.
        done: Names of jobs that have ended well before.

    Returns:
        How each job ended, by name.

    Raises:
        KeyboardInterrupt: After Ctrl-C, when the running job has ended.
    """
    outcomes = dict.fromkeys(done, Outcome(ExitCode.OK))
    for spec in specs:
        lacked = next((need for need in spec.needs if outcomes.get(need, Outcome(1)).code != ExitCode.OK), None)
        outcomes[spec.name] = Outcome(ExitCode.RUN_FAILED, lacked=lacked) if lacked else _run(spec, watcher)
        watcher.ended(spec, outcomes[spec.name])
    return outcomes


def _run(spec: JobSpec, watcher: Watcher) -> Outcome:
    process = LocalProcess(spec)
    try:
        watcher.began(spec)
        while (code := process.poll()) is None:
            watcher.ticked(spec)
            time.sleep(POLL_SECONDS)
    except BaseException as error:  # a closed pipe, say: whatever it is, no process is left behind
        _end(process)
        if isinstance(error, KeyboardInterrupt):
            watcher.ended(spec, Outcome(ExitCode.OK if process.poll() == 0 else ExitCode.INTERRUPTED))
        raise
    return Outcome(code, process.died_by)


def _end(process: LocalProcess) -> None:
    """Ask a process to save and stop, and wait; Ctrl-C ends the patience."""
    try:
        process.stop()
        while process.poll() is None:
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        process.kill()
