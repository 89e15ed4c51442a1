"""Jobs handed to Slurm: submitted as arrays, described in a dry run, waited for, cancelled."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli.errors import ExitCode, Interrupted
from pkdcli.launch.job import JobSpec
from pkdcli.launch.launcher import Launcher
from pkdcli.launch.outcome import Outcome, Watcher
from pkdcli.launch.run_state import RunState, reconcile
from pkdcli.launch.slurm import cluster, memory
from pkdcli.launch.slurm.arrays import Batch, batches, folder, submit
from pkdcli.launch.status import ask_scheduler, query, query_all
from pkdcli.recipe.schema import SLURM_KEYS
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import DONE, INTERRUPTED, QUEUED, RUNNING, note_cancel, paused

if TYPE_CHECKING:
    from pkdcli.recipe.schema import Launcher as LauncherRecipe
    from pkdcli.recipe.schema import Recipe

LOOK_SECONDS = 2.0  # between two looks at the runs' own files
_ASKS = ((60.0, 5.0), (3600.0, 30.0), (6 * 3600.0, 60.0))
"""The scheduler, which all users share, is asked so often (seconds) until so long after the first question."""
_LATER = 120.0  # seconds between two questions after that


class SlurmLauncher(Launcher):
    """Submits runs as tasks of job arrays, which go on when this process has ended.

    Args:
        recipe: What to ask of the cluster.
    """

    shares_teachers = False
    takes: Sequence[str] = SLURM_KEYS

    def __init__(self, recipe: LauncherRecipe) -> None:
        self.recipe = recipe

    def processes(self, *, alone: bool = False) -> int:
        """Worker processes of one run, over all its machines; one is enough for a run that only evaluates."""
        return 1 if alone else self.recipe.nodes * self.recipe.per_node

    def jobs_at_a_time(self) -> int:
        """The scheduler decides."""
        return 1

    def known(self, paths: Sequence[RunPaths]) -> dict[str, str]:
        """The tasks of those that are on the cluster: a teacher that another sweep has submitted trains once."""
        living = [one for one in query_all(paths) if one.state in (QUEUED, RUNNING)]
        return {one.paths.run: one.job for one in living if one.job}

    def notes(self, recipes: Sequence[Recipe], *, dry_run: bool) -> list[str]:
        """How much memory these runs want, where none is asked for."""
        said = memory.said(recipes, self.recipe)
        return [said] if said else []

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
        """Submit what is not on the cluster already."""
        todo = [spec for spec in specs if spec.name not in known]
        new = submit(batches(todo, self.recipe, done), runs, known)
        for run in done:
            watcher.on_submit(run, None, "done before")
        for spec in specs:
            job = new.get(spec.name)
            text = f"submitted as {job}" if job else f"on the cluster before as {known.get(spec.name)}"
            watcher.on_submit(spec.name, job, text)
        if wait:
            return wait_for(specs, done, watcher)
        if new or known:
            watcher.on_submit("", None, "pkd status shows how far they are, pkd report what came out.")
        return {spec.name: Outcome(ExitCode.OK, job=new.get(spec.name) or known.get(spec.name)) for spec in specs}

    def describe(self, specs: Sequence[JobSpec], done: Sequence[str], *, runs: Path) -> list[dict[str, Any]]:
        """The very scripts that would be submitted, and the commands that would submit them."""
        found = batches(specs, self.recipe, done)
        return [{"script": batch.script, "sbatch": command_of(batch, runs)} for batch in found]

    def status(self, paths: RunPaths) -> RunState:
        """What is known of one run; the scheduler is asked."""
        return query(paths, ask_scheduler([paths]))

    def cancel(self, states: Sequence[RunState]) -> None:
        """Have the scheduler end tasks, after they have saved."""
        jobs = [one for one in states if one.job]
        for one in jobs:
            if one.state == RUNNING:
                note_cancel(one.paths)
        cluster.scancel([one.job for one in jobs if one.job])


def command_of(batch: Batch, runs: Path) -> list[str]:
    """The command that submits an array, with the names of the runs it waits for in their jobs' place.

    Args:
        batch: The array.
        runs: The runs folder, under which its script is kept.
    """
    return ["sbatch", "--parsable", *batch.options(folder(runs), {}), str(folder(runs) / batch.name)]


def pause(waited: float) -> float:
    """Seconds from one question to the scheduler to the next, after so many seconds of waiting."""
    return next((pause for until, pause in _ASKS if waited < until), _LATER)


def wait_for(
    specs: Sequence[JobSpec],
    done: Sequence[str],
    watcher: Watcher,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Outcome]:
    """Wait until every run has ended; Ctrl-C ends the waiting and leaves the jobs alone.

    What the runs write themselves is looked at every two seconds, the scheduler asked ever less often.

    Args:
        specs: The runs that are on the cluster.
        done: Runs that have ended well before.
        watcher: Told of what happens.
        clock: Seconds, of any origin.
        sleep: Lets so many seconds pass.

    Raises:
        Interrupted: After Ctrl-C.
    """
    outcomes = dict.fromkeys(done, Outcome(ExitCode.OK))
    rest = {spec.name: spec for spec in specs if spec.name not in outcomes}
    begun: set[str] = set()
    jobs, begin, due = None, clock(), clock()
    try:
        with watcher:
            while rest:
                waiting = [RunPaths(spec.run_dir) for spec in rest.values()]
                if clock() >= due:
                    jobs, due = ask_scheduler(waiting), clock() + pause(clock() - begin)
                for found in (query(paths, jobs) for paths in waiting):
                    spec = rest[found.paths.run]
                    if found.state == RUNNING and spec.name not in begun:
                        begun.add(spec.name)
                        watcher.on_start(spec)
                    if found.state == RUNNING:
                        watcher.on_tick(spec)
                    elif found.state != QUEUED:
                        reconcile(found)
                        outcomes[spec.name] = _outcome(found)
                        del rest[spec.name]
                        watcher.on_end(spec, outcomes[spec.name])
                if rest:
                    sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        raise Interrupted("the jobs go on: pkd status shows how far they are, pkd cancel stops them.") from None
    return outcomes


def _outcome(found: RunState) -> Outcome:
    if found.state in (DONE, INTERRUPTED):
        return Outcome(ExitCode.OK if found.state == DONE or paused(found.status) else ExitCode.INTERRUPTED)
    error = found.status.get("error")
    return Outcome(error.get("code") or 1 if isinstance(error, dict) else ExitCode.RUN_FAILED)
