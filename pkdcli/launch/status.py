"""What has become of a run, from its own files and from whoever carries it out.

A run's status.json tells what the run itself could tell. Whoever is killed tells nothing: then the process table of
this machine or the scheduler says that nobody is at it any more, and its log why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pkdcli.errors import ExitCode, PkdError
from pkdcli.launch.local.queue import Outcome
from pkdcli.launch.slurm import cluster
from pkdcli.launch.slurm.arrays import SUBMITTED
from pkdcli.launch.slurm.script import TASK_FILE
from pkdcli.runs.liveness import alive, finished, held_by
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import DONE, FAILED, INTERRUPTED, QUEUED, RUNNING, Status, cancelled_by
from pkdcli.runs.store import read_object

TAIL = 40  # lines of a log
SILENT_MINUTES = 30  # after which a run of another machine, of which nobody can tell, is taken for lost

Jobs = Mapping[str, cluster.Job]


@dataclass(frozen=True)
class Found:
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


def task_of(paths: RunPaths) -> str | None:
    """The Slurm task a run was last submitted as; None where its last launch was another."""
    launcher = read_object(paths.job).get("launcher")
    if not isinstance(launcher, dict) or launcher.get("kind") != "slurm":
        return None
    submitted = read_object(paths.root / SUBMITTED)
    if "job" not in submitted:
        return None
    return f"{submitted['job']}_{submitted.get('task')}"


def look_all(all_paths: Iterable[RunPaths]) -> list[Found]:
    """What is known of some runs; the scheduler is asked once, and only where some are its."""
    known = [(paths, finished(paths), task_of(paths)) for paths in all_paths]
    tasks = [task for _, done, task in known if task and not done]
    jobs = cluster.jobs(tasks) if tasks else {}
    return [_look(paths, jobs, task, done) for paths, done, task in known]


def ask(all_paths: Iterable[RunPaths]) -> Jobs | None:
    """What the scheduler says of some runs, where there are any of its; None where it does not answer."""
    tasks = [task for paths in all_paths if not finished(paths) and (task := task_of(paths))]
    return cluster.jobs(tasks) if tasks else {}


def look(paths: RunPaths, jobs: Jobs | None) -> Found:
    """What is known of one run.

    Args:
        paths: Its run directory.
        jobs: What the scheduler says; None where it does not answer.
    """
    return _look(paths, jobs, task_of(paths))


def _look(paths: RunPaths, jobs: Jobs | None, task: str | None, done: bool = False) -> Found:
    # While the scheduler was asked, another run may have finished; one that had is not asked again.
    status = read_object(paths.status)
    if done or finished(paths):
        return Found(paths, DONE, status=status, where=_process(status), job=task)
    if task:
        return _on_slurm(paths, status, task, jobs)
    return _on_a_machine(paths, status)


def _on_a_machine(paths: RunPaths, status: dict[str, Any]) -> Found:
    state, reason, where, silent = *_own_words(status), _process(status), _was_silent(status)
    held = held_by(paths)
    if state == QUEUED and held:  # it has only just begun, or its status was damaged
        state, reason, where = RUNNING, None, held
    elif state == RUNNING and not held:
        state, reason, silent = FAILED, _silent_end(paths, "its process is gone"), True
    elif state == RUNNING and (minutes := _minutes_since(status)) > SILENT_MINUTES and not _here(status):
        state, reason, silent = FAILED, f"no sign of life from {where} for {minutes:.0f} minutes", True
    elif state == QUEUED:
        queue = read_object(paths.job).get("queue") or {}
        where = None
        if reason:
            state = FAILED
        elif not alive(queue.get("pid"), queue.get("host")):
            state, reason = INTERRUPTED, "never started: the pkd that queued it has ended"
    return Found(paths, state, reason, where, status, silent)


def _on_slurm(paths: RunPaths, status: dict[str, Any], task: str, jobs: Jobs | None) -> Found:
    state, reason, silent = *_own_words(status), _was_silent(status)
    where = f"Slurm {task}"
    ended = read_object(paths.root / TASK_FILE)
    code = ended.get("code") if f"{ended.get('job')}_{ended.get('task')}" == task else None
    job = (jobs or {}).get(task)
    if job and job.node:
        where += f" on {job.node}"
    if job and job.active:
        if job.state == "PENDING":
            again = "queued again; " if state == INTERRUPTED else ""
            state, reason = QUEUED, f"{again}{_wait(job.reason)}"
        elif state in (QUEUED, INTERRUPTED) and job.state in ("RUNNING", "CONFIGURING"):
            state, reason = RUNNING, None
        return Found(paths, state, reason, where, status, silent, task)
    cancelled = job is not None and job.state == "CANCELLED"
    if state == INTERRUPTED:
        if cancelled and not reason:
            reason = cancelled_by(paths) or f"cancelled: scancel, or the cluster ({job.reason})"
    elif state in (RUNNING, QUEUED):
        never = state == QUEUED
        state, silent = FAILED, not never
        if isinstance(code, int) and code:
            reason, silent = _silent_end(paths, cluster.exit_cause(code)), True
        elif never and (job is None or cancelled) and (stopped := _needed_run_stopped(paths, jobs)):
            state, reason = INTERRUPTED, stopped
        elif cancelled and "Dependency" in job.reason:
            reason = "not started, since a run that it needs failed"
        elif cancelled:
            state, silent = INTERRUPTED, False
            by = cancelled_by(paths)
            reason = "cancelled before it started" if never else f"{by or 'cancelled'} before it could save"
        elif job:
            reason = _silent_end(
                paths, f"Slurm says {job.state}" + (f" ({job.reason})" if job.reason != "None" else "")
            )
        elif jobs is None and _minutes_since(status) < SILENT_MINUTES:
            state, silent, reason = status.get("state", QUEUED), False, "the scheduler does not answer"
        elif jobs is None:
            reason = f"no sign of life for {_minutes_since(status):.0f} minutes, and the scheduler does not answer"
        else:
            reason = _silent_end(paths, "the scheduler no longer knows it")
    return Found(paths, state, reason, where, status, silent, task)


def _needed_run_stopped(paths: RunPaths, jobs: Jobs | None) -> str | None:
    """How the run whose teacher this one needs was stopped, in words; None where it was not."""
    teacher = read_object(paths.job).get("teacher")
    if not teacher:
        return None
    found = look(RunPaths(Path(teacher)), jobs)
    stopped = Outcome(ExitCode.INTERRUPTED, lacked=found.paths.run, reason=found.reason)
    return stopped.cause if found.state == INTERRUPTED else None


def _wait(reason: str) -> str:
    # Slurm gives no reason, or "None", until its scheduler has looked at a task.
    return f"waits for {reason}" if reason not in ("", "None") else "waits to be scheduled"


def settle(found: Found) -> None:
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


def tail(path: Path, lines: int = TAIL) -> list[str]:
    """The last lines of a file; none where it can't be read."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 400 * lines))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def _own_words(status: dict[str, Any]) -> tuple[str, str | None]:
    error = status.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    state = status.get("state")
    if state == DONE:  # but the caller knows that it is not finished
        return FAILED, "its result or its weights are no longer there"
    return state if state in (QUEUED, RUNNING, FAILED, INTERRUPTED) else QUEUED, message


def _was_silent(status: dict[str, Any]) -> bool:
    error = status.get("error")
    return bool(isinstance(error, dict) and error.get("silent"))


def _process(status: dict[str, Any]) -> str | None:
    return f"{status['host']}, process {status.get('pid')}" if status.get("host") else None


def _here(status: dict[str, Any]) -> bool:
    import socket

    return status.get("host") == socket.gethostname()


def _minutes_since(status: dict[str, Any]) -> float:
    try:
        then = datetime.strptime(status["updated"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except (KeyError, TypeError, ValueError):
        return 0.0
    return (datetime.now(timezone.utc) - then).total_seconds() / 60


def _silent_end(paths: RunPaths, cause: str) -> str:
    """A cause with what the log adds: torchrun and Slurm write there how a worker was lost."""
    log = "\n".join([*tail(paths.log), *tail(Path(read_object(paths.root / SUBMITTED).get("output", "")))])
    words = cluster.last_words(log)
    if words is None and ("SIGKILL" in log or "Killed" in log) and "SIGKILL" not in cause:
        words = "killed by SIGKILL, most often for want of memory"
    return f"{cause}; {words}" if words else cause
