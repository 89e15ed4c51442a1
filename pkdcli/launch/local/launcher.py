"""Jobs on this machine, side by side as far as its devices go."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli.launch.job import JobSpec
from pkdcli.launch.launcher import Launcher
from pkdcli.launch.local.os_processes import send
from pkdcli.launch.local.slots import Slot, devices_per_job, slots
from pkdcli.launch.local.status import on_a_machine
from pkdcli.launch.outcome import Outcome, Watcher
from pkdcli.launch.run_state import RunState
from pkdcli.recipe.schema import LOCAL_KEYS
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import note_cancel
from pkdcli.runs.store import read_object

if TYPE_CHECKING:
    from pkdcli.recipe.schema import Launcher as LauncherRecipe
    from pkdcli.recipe.schema import Recipe


class LocalLauncher(Launcher):
    """Starts workers as processes of this one, and waits for them.

    Args:
        recipe: How many at a time, on which devices.
    """

    shares_teachers = True
    takes: Sequence[str] = LOCAL_KEYS

    def __init__(self, recipe: LauncherRecipe) -> None:
        self.recipe = recipe

    def processes(self, *, alone: bool = False) -> int:
        """Worker processes of one run; one that only evaluates has as many, which would be idle without."""
        return devices_per_job(self.recipe.devices, self.recipe.processes, self.recipe.jobs)

    def jobs_at_a_time(self) -> int:
        """How many jobs run beside each other."""
        return self.recipe.jobs

    def known(self, paths: Sequence[RunPaths]) -> dict[str, str]:
        """None: whoever started a run here is still waiting for it, and its lock says so."""
        return {}

    def notes(self, recipes: Sequence[Recipe], *, dry_run: bool) -> list[str]:
        """How jobs are spread over GPUs, and whether this machine is busy with something else."""
        said = [said_of_spread(self.recipe, spread(self.recipe))]
        if not dry_run:
            said.append(said_of_load(self._room()))
        return [text for text in said if text]

    def run(
        self,
        specs: Sequence[JobSpec],
        watcher: Watcher,
        done: Sequence[str],
        *,
        runs: Path,
        known: Mapping[str, str],
        wait: bool,
    ) -> dict[str, Outcome]:
        """Run the jobs and wait for them."""
        from pkdcli.launch.local.queue import run_all

        with watcher:
            return run_all(specs, watcher, done, self._room(), self.recipe.retries)

    def describe(self, specs: Sequence[JobSpec], done: Sequence[str], *, runs: Path) -> list[dict[str, Any]]:
        """Nothing: a job's own command is all that is started."""
        return []

    def status(self, paths: RunPaths) -> RunState:
        """What is known of a run of this machine, or of one with the same folders."""
        return on_a_machine(paths, read_object(paths.status))

    def cancel(self, states: Sequence[RunState]) -> None:
        """Ask the processes of runs on this machine to save and stop."""
        for one in states:
            if one.status.get("host") == socket.gethostname():
                note_cancel(one.paths)
                if not one.status.get("shared_with"):  # its group sees the note, and the others go on
                    # The processes of a run agree between two steps to stop, so one of them is enough.
                    send([one.status.get("pid")], signal.SIGINT)

    def _room(self) -> list[Slot]:
        own = self.recipe
        return slots(own.devices, own.processes, own.jobs, spread(own), own.threads)


def spread(launcher: LauncherRecipe) -> tuple[str, ...]:
    """The GPUs over which several jobs are spread that were given none: all that are visible."""
    from pkdcli.launch import gpus

    alone = launcher.kind == "local" and launcher.jobs > 1 and launcher.processes == 1 and not launcher.devices
    return gpus.visible() if alone else ()


def said_of_spread(launcher: LauncherRecipe, names: Sequence[str]) -> str | None:
    """Which GPUs several jobs are spread over, in words, and what that leaves crowded or idle.

    Args:
        launcher: How many jobs at a time.
        names: The GPUs, as `spread` gives them.
    """
    if not names:
        return None
    jobs, there = launcher.jobs, len(names)
    text = f"{jobs} runs at a time on {'GPUs' if there > 1 else 'GPU'} {','.join(names[:jobs])}, a GPU each"
    if jobs > there:
        text = f"{jobs} runs at a time on {there} {'GPUs' if there > 1 else 'GPU'}: "
        text += f"up to {-(-jobs // there)} runs share one and its memory; --jobs {there} gives each its own"
    elif jobs < there:
        text += f"; {there - jobs} more of {there} stay idle: --jobs {there}, or --gpus {there // jobs * jobs} to share"
        text += " all out"
    return text


def said_of_load(room: Sequence[Slot]) -> str | None:
    """What to say of a machine that is busy with something else, where a run's threads would wait for each other."""
    from pkdcli.cores import busy, cores

    found = cores()
    load = busy(found)
    threads = room[0].asked or os.environ.get("OMP_NUM_THREADS") or room[0].threads or found.count
    if load is None or str(threads) == "1":
        return None
    return (
        f"this machine is busy: a load of {load:.1f} on {found.machine} core{'s' if found.machine > 1 else ''}. "
        "Threads that wait for each other lose most by that: --threads 1 --workers 0 may be many times faster"
    )
