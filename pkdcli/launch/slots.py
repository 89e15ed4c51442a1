"""The places of one machine where jobs run: each with devices of its own, or processes on the CPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pkdcli.errors import PkdError
from pkdcli.launch import torchrun
from pkdcli.launch.job import JobSpec


@dataclass(frozen=True)
class Slot:
    """Room for one job.

    Attributes:
        devices: Values for CUDA_VISIBLE_DEVICES, one process each; empty to leave the choice to torch.
        processes: Worker processes of a job.
        cpu: Hide every GPU.
        threads: Threads of each process; None to leave the choice to torch.
    """

    devices: tuple[str, ...] = ()
    processes: int = 1
    cpu: bool = False
    threads: int | None = None

    def place(self, spec: JobSpec) -> JobSpec:
        """The job as it runs here: through torchrun if it takes several processes."""
        env = dict(spec.env)
        if self.devices or self.cpu:
            env["CUDA_VISIBLE_DEVICES"] = ",".join(self.devices)
        if self.threads is not None:
            env["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS") or str(self.threads)
        if self.processes == 1:
            return replace(spec, env=env)
        return replace(spec, env=env, argv=torchrun.command(spec.argv, self.processes), processes=self.processes)


def slots(devices: Sequence[str] = (), processes: int = 1, jobs: int = 1) -> list[Slot]:
    """Room for `jobs` jobs at a time.

    Args:
        devices: GPUs to share out among them, one process each.
        processes: Worker processes of a job, where no devices are given.
        jobs: How many jobs run at a time.

    Raises:
        PkdError: The devices can't be shared evenly.
    """
    if devices:
        share = devices_per_job(devices, processes, jobs)
        return [Slot(tuple(devices[start : start + share]), share) for start in range(0, len(devices), share)]
    if jobs == processes == 1:
        return [Slot()]
    threads = max(1, (os.cpu_count() or 1) // (jobs * processes))
    return [Slot((), processes, processes > 1, threads)] * jobs


def devices_per_job(devices: Sequence[str], processes: int, jobs: int) -> int:
    """Worker processes of one job.

    Raises:
        PkdError: The devices can't be shared evenly.
    """
    if not devices:
        return processes
    if len(devices) % jobs:
        raise PkdError(
            f"--jobs {jobs}: {len(devices)} devices can't be shared evenly by {jobs} jobs.",
            f"Give a number of jobs that divides {len(devices)}.",
        )
    return len(devices) // jobs
