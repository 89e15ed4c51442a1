"""What is known of a run that was handed to Slurm: its own words, the scheduler's, and the end of its log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pkdcli.errors import ExitCode
from pkdcli.launch.local.status import SILENT_MINUTES, minutes_since
from pkdcli.launch.logs import silent_end
from pkdcli.launch.outcome import Outcome
from pkdcli.launch.run_state import SUBMITTED, RunState, own_words, was_silent
from pkdcli.launch.slurm import cluster
from pkdcli.launch.slurm.script import TASK_FILE
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import FAILED, INTERRUPTED, QUEUED, RUNNING, cancelled_by
from pkdcli.runs.store import read_object, read_path

Jobs = Mapping[str, cluster.Job]
Query = Callable[[RunPaths, "Jobs | None"], RunState]


def task_of(paths: RunPaths) -> str | None:
    """The Slurm task a run was last submitted as; None where its last launch was another."""
    launcher = read_object(paths.job).get("launcher")
    if not isinstance(launcher, dict) or launcher.get("kind") != "slurm":
        return None
    submitted = read_object(paths.root / SUBMITTED)
    if "job" not in submitted:
        return None
    return f"{submitted['job']}_{submitted.get('task')}"


def on_slurm(
    paths: RunPaths, status: dict[str, Any], task: str, jobs: Jobs | None, query: Query
) -> RunState:
    """What is known of a run that was submitted.

    Args:
        paths: Its run directory.
        status: What its status.json says; it is not finished.
        task: The task it was last submitted as.
        jobs: What the scheduler says of its tasks; None where it does not answer.
        query: Tells the state of another run, whose teacher this one needs.
    """
    state, reason, silent = *own_words(status), was_silent(status)
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
        return RunState(paths, state, reason, where, status, silent, task)
    cancelled = job is not None and job.state == "CANCELLED"
    if state == INTERRUPTED:
        if cancelled and not reason:
            reason = cancelled_by(paths) or f"cancelled: scancel, or the cluster ({job.reason})"
    elif state in (RUNNING, QUEUED):
        never = state == QUEUED
        state, silent = FAILED, not never
        if isinstance(code, int) and code:
            reason, silent = silent_end(paths, cluster.exit_cause(code)), True
        elif never and (job is None or cancelled) and (stopped := _needed_run_stopped(paths, jobs, query)):
            state, reason = INTERRUPTED, stopped
        elif cancelled and "Dependency" in job.reason:
            reason = "not started, since a run that it needs failed"
        elif cancelled:
            state, silent = INTERRUPTED, False
            by = cancelled_by(paths)
            reason = "cancelled before it started" if never else f"{by or 'cancelled'} before it could save"
        elif job:
            reason = silent_end(
                paths, f"Slurm says {job.state}" + (f" ({job.reason})" if job.reason != "None" else "")
            )
        elif jobs is None and minutes_since(status) < SILENT_MINUTES:
            state, silent, reason = status.get("state", QUEUED), False, "the scheduler does not answer"
        elif jobs is None:
            reason = f"no sign of life for {minutes_since(status):.0f} minutes, and the scheduler does not answer"
        else:
            reason = silent_end(paths, "the scheduler no longer knows it")
    return RunState(paths, state, reason, where, status, silent, task)


def _needed_run_stopped(paths: RunPaths, jobs: Jobs | None, query: Query) -> str | None:
    """How the run whose teacher this one needs was stopped, in words; None where it was not."""
    teacher = read_path(paths.job, "teacher")
    if teacher is None:
        return None
    found = query(RunPaths(teacher), jobs)
    stopped = Outcome(ExitCode.INTERRUPTED, lacked=found.paths.run, reason=found.reason)
    return stopped.cause if found.state == INTERRUPTED else None


def _wait(reason: str) -> str:
    # Slurm gives no reason, or "None", until its scheduler has looked at a task.
    return f"waits for {reason}" if reason not in ("", "None") else "waits to be scheduled"
