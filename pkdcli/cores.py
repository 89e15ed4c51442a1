"""The processor cores that a run may use, and the threads that fit on them: known without torch, before it is loaded.

OpenMP, and with it torch, sees the cores that a process may be scheduled on. It does not see a container's quota, what
Slurm has given to a task that it does not bind, nor that other processes of the same run or command share them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SHARE = "PKD_CORES"
"""Variable with the cores of one process, where several jobs share a machine."""
SHOWN = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", SHARE)


@dataclass(frozen=True)
class Cores:
    """Cores that this process, with those beside it in the same job, may keep busy.

    Attributes:
        count: How many.
        machine: Those that the machine has.
        limit: What leaves fewer of them: `affinity`, `a cgroup's quota` or `Slurm`; None where nothing does.
        bound: Those that the process may be scheduled on, which is what OpenMP sees.
    """

    count: int
    machine: int
    limit: str | None
    bound: int

    def __str__(self) -> str:
        return f"{self.count} of {self.machine}, by {self.limit}" if self.limit else str(self.count)


def cores(root: Path = Path("/"), env: Mapping[str, str] = os.environ) -> Cores:
    """The cores of this process.

    Args:
        root: Where the system's files begin.
        env: The environment; inside a Slurm job it says what a task was given.
    """
    machine = os.cpu_count() or 1
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine
    limits = {"affinity": bound, "a cgroup's quota": _quota(root), "Slurm": _given_by_slurm(env)}
    known = {name: limit for name, limit in limits.items() if limit is not None and limit < machine}
    name = min(known, key=known.__getitem__, default=None)
    return Cores(max(1, int(known[name])) if name else machine, machine, name, bound)


def load() -> float | None:
    """Processes of the whole machine that wanted a core over the last minute; None where the system does not say."""
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None


def share(env: Mapping[str, str] = os.environ, found: Cores | None = None) -> int:
    """The cores of one process, its loader processes included.

    Args:
        env: The environment; `PKD_CORES` in it is this process's share, `LOCAL_WORLD_SIZE` the number that share.
        found: The cores of all of them, where they are known already.
    """
    told = env.get(SHARE, "")
    if told.isdecimal() and int(told):
        return int(told)
    return max(1, (found or cores(env=env)).count // _beside(env))


def variables(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What to add to the environment before torch is loaded, so that its threads fit the cores of the process.

    What the user has set stays. Nothing is added where OpenMP sees just the cores that there are. On a machine that is
    busy already, threads that wait sleep in place of spinning: they would take the cores from those they wait for. That
    changes no number.

    Args:
        env: The environment so far.
    """
    found, added = cores(env=env), {}
    own = share(env, found)
    if not env.get("OMP_NUM_THREADS") and own < found.bound:
        added["OMP_NUM_THREADS"] = str(own)
    threads = env.get("OMP_NUM_THREADS") or added.get("OMP_NUM_THREADS")
    # Else mmengine would name 1 for MKL in a run of several processes.
    if threads and not env.get("MKL_NUM_THREADS"):
        added["MKL_NUM_THREADS"] = threads.split(",")[0]
    if busy(found) and not env.get("OMP_WAIT_POLICY") and not env.get("GOMP_SPINCOUNT"):
        added["OMP_WAIT_POLICY"] = "PASSIVE"
    return added


def busy(found: Cores) -> float | None:
    """The load, where it is more than the machine's cores; else None: the whole machine's, not this process's part."""
    now = load()
    return now if now is not None and now > found.machine else None


def _beside(env: Mapping[str, str]) -> int:
    """Processes of the run on this machine, as torchrun says."""
    told = env.get("LOCAL_WORLD_SIZE", "")
    return max(1, int(told)) if told.isdecimal() else 1


def _given_by_slurm(env: Mapping[str, str]) -> int | None:
    if not env.get("SLURM_JOB_ID"):
        return None
    told = env.get("SLURM_CPUS_PER_TASK") or env.get("SLURM_CPUS_ON_NODE") or ""
    return int(told) if told.isdecimal() else None


def _quota(root: Path) -> float | None:
    """Cores' worth of time that the process's control groups leave it: the least, from its own up to the root."""
    groups = root / "sys/fs/cgroup"
    own = {"": "/", "cpu": "/"}
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, names, path = line.split(":", 2)
            own |= {name: path for name in names.split(",") if name in own}
    found = []
    for folder in _up(groups, own[""]):
        with suppress(OSError, ValueError):
            quota, period = (folder / "cpu.max").read_text().split()
            found.append(int(quota) / int(period))  # "max" is no number
    for mounted in ("cpu", "cpu,cpuacct"):
        for folder in _up(groups / mounted, own["cpu"]):
            with suppress(OSError, ValueError):
                quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
                found += [quota / period] if quota > 0 else []
    return min(found, default=None)


def _up(mounted: Path, path: str) -> list[Path]:
    """The folders of a group and those above it; inside a container its path may lead nowhere, and the root is its."""
    inside = Path(path.lstrip("/"))
    return [mounted / folder for folder in (inside, *inside.parents)]
