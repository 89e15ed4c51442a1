"""What has become of runs, from their own files and from whoever carries them out.

A run's status.json tells what the run itself could tell. Whoever is killed tells nothing: then the process table of
this machine or the scheduler says that nobody is at it any more, and its log why.
"""

from __future__ import annotations

from collections.abc import Iterable

from pkdcli.launch.local.status import on_a_machine
from pkdcli.launch.plugin import launcher_of_run
from pkdcli.launch.run_state import RunState, process_of
from pkdcli.launch.slurm import cluster
from pkdcli.launch.slurm.status import Jobs, on_slurm, task_of
from pkdcli.runs.liveness import finished
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import DONE
from pkdcli.runs.store import read_object


def query_all(all_paths: Iterable[RunPaths]) -> list[RunState]:
    """What is known of some runs; the scheduler is asked once, and only where some are its."""
    known = [(paths, finished(paths), task_of(paths)) for paths in all_paths]
    tasks = [task for _, done, task in known if task and not done]
    jobs = cluster.jobs(tasks) if tasks else {}
    return [_query(paths, jobs, task, done) for paths, done, task in known]


def ask_scheduler(all_paths: Iterable[RunPaths]) -> Jobs | None:
    """What the scheduler says of some runs, where there are any of its; None where it does not answer."""
    tasks = [task for paths in all_paths if not finished(paths) and (task := task_of(paths))]
    return cluster.jobs(tasks) if tasks else {}


def query(paths: RunPaths, jobs: Jobs | None) -> RunState:
    """What is known of one run.

    Args:
        paths: Its run directory.
        jobs: What the scheduler says; None where it does not answer.
    """
    return _query(paths, jobs, task_of(paths))


def _query(paths: RunPaths, jobs: Jobs | None, task: str | None, done: bool = False) -> RunState:
    # While the scheduler was asked, another run may have finished; one that had is not asked again.
    status = read_object(paths.status)
    if done or finished(paths):
        return RunState(paths, DONE, status=status, where=process_of(status), job=task)
    if task:
        return on_slurm(paths, status, task, jobs, query)
    if (own := launcher_of_run(paths)) is not None:
        return own.status(paths)
    return on_a_machine(paths, status)
