"""The curves of all runs of a page, packed; those of many runs by a second process, while this one does the rest."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from typing import NamedTuple

from pkdcli.cores import share
from pkdcli.reporting.page.packed import PackedPanel, packed_panel
from pkdcli.reporting.plots.build import reader
from pkdcli.reporting.plots.training import Read, run_panels
from pkdcli.runs.record import Record

_CHUNK = 20  # runs that are sent at a time


class Job(NamedTuple):
    """A run whose curves are asked for, the baseline to show beside it, and points a line at most."""

    record: Record
    baseline: Record | None
    points: int


def packed_curves(jobs: Sequence[Job], read: Read, beside: bool) -> Callable[[], Iterator[list[PackedPanel | None]]]:
    """Begin with the curves of some runs.

    Args:
        jobs: The runs.
        read: Gives the curves of a run's folder, in this process.
        beside: Whether there are enough runs for a process of their own, which takes a twentieth of a second.

    Returns:
        What waits for them, and gives each run's panels in the order of the jobs.
    """
    if not beside or share() < 2:
        return lambda: (_packed(job, read) for job in jobs)
    try:
        pool = ProcessPoolExecutor(1, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_DFL))
        found = pool.map(_packed_there, jobs, chunksize=_CHUNK)
    except (OSError, ImportError):  # a machine that allows no process, or no semaphores
        return lambda: (_packed(job, read) for job in jobs)

    def wait() -> Iterator[list[PackedPanel | None]]:
        done = 0
        try:
            for panels in found:
                yield panels
                done += 1
        except BrokenProcessPool:  # such as by lack of memory: what it has not done is done here
            yield from (_packed(job, read) for job in jobs[done:])
        finally:
            pool.shutdown(cancel_futures=True)

    return wait


def _packed(job: Job, read: Read) -> list[PackedPanel | None]:
    beside = (job.baseline, read(job.baseline["path"])) if job.baseline else None
    return [packed_panel(one) for one in run_panels(job.record, read(job.record["path"] or ""), beside, job.points)]


def _packed_there(job: Job) -> list[PackedPanel | None]:
    return _packed(job, _reader())


@cache
def _reader() -> Read:
    return reader()
