"""The places of one machine where jobs run: each with devices of its own, or processes on the CPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pkdcli.cores import SHARE, cores
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
        threads: Cores of each process, which has as many threads; None to leave the choice to the process.
        asked: Threads of each process, as somebody has asked for.
    """

    devices: tuple[str, ...] = ()
    processes: int = 1
    cpu: bool = False
    threads: int | None = None
    asked: int | None = None

    def place(self, spec: JobSpec) -> JobSpec:
        """The job as it runs here: through torchrun if it takes several processes."""
        env = dict(spec.env)
        if self.devices or self.cpu:
            env["CUDA_VISIBLE_DEVICES"] = ",".join(self.devices)
        if self.threads is not None:
            env[SHARE] = str(self.threads)
            env["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS") or str(self.threads)
        if self.asked is not None:
            env["OMP_NUM_THREADS"] = env["MKL_NUM_THREADS"] = str(self.asked)
        if self.processes == 1:
            return replace(spec, env=env)
        return replace(spec, env=env, argv=torchrun.command(spec.argv, self.processes), processes=self.processes)


def slots(
    devices: Sequence[str] = (),
    processes: int = 1,
    jobs: int = 1,
    spread: Sequence[str] = (),
    threads: int | None = None,
) -> list[Slot]:
    """Room for `jobs` jobs at a time.

    Args:
        devices: GPUs to share out among them, one process each.
        processes: Worker processes of a job, where no devices are given.
        jobs: How many jobs run at a time.
        spread: GPUs over which several jobs of one process are spread, one for each job, where no devices are given.
        threads: Of each process, in place of its share of the cores.

    Raises:
        PkdError: The devices can't be shared evenly.
    """
    share = devices_per_job(devices, processes, jobs)
    own = max(1, cores().count // (jobs * share)) if jobs * share > 1 else None
    if devices:
        parts = [tuple(devices[start : start + share]) for start in range(0, len(devices), share)]
        return [Slot(part, share, threads=own, asked=threads) for part in parts]
    if spread and share == 1 < jobs:
        return [Slot((spread[job % len(spread)],), threads=own, asked=threads) for job in range(jobs)]
    return [Slot((), share, share > 1, own, threads)] * jobs


def devices_per_job(devices: Sequence[str], processes: int, jobs: int) -> int:
    """Worker processes of one job.

    Args:
        devices: GPUs to share out; none for the CPU.
        processes: Of a job, where there are no devices.
        jobs: How many run at a time.

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
