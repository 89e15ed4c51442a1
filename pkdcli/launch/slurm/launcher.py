"""Runs handed to a cluster: what is submitted, what a dry run shows of it, and waiting for the end."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pkdcli.cli.notes import note
from pkdcli.cli.progress.choose import watcher
from pkdcli.errors import ExitCode
from pkdcli.experiment import plan
from pkdcli.folders import runs_root
from pkdcli.launch.local.queue import Outcome
from pkdcli.launch.options import processes
from pkdcli.launch.slurm import memory
from pkdcli.launch.slurm.arrays import Batch, batches, folder, submit
from pkdcli.launch.status import Found, ask, look, look_all, settle
from pkdcli.runs.liveness import finished
from pkdcli.runs.status import DONE, INTERRUPTED, QUEUED, RUNNING

if TYPE_CHECKING:
    from pkdcli.api.train import Where
    from pkdcli.recipe.schema import Launcher

LOOK_SECONDS = 2.0  # between two looks at the runs' own files
_ASKS = ((60.0, 5.0), (3600.0, 30.0), (6 * 3600.0, 60.0))
"""The scheduler, which all users share, is asked so often (seconds) until so long after the first question."""
_LATER = 120.0  # seconds between two questions after that


def submit_all(
    planned: Sequence[plan.Planned], cache: Path, launcher: Launcher, where: Where
) -> dict[str, Outcome]:
    """Submit what is neither finished nor on the cluster already.

    Returns:
        How each run ended, if that was waited for.

    Raises:
        PkdError: The cluster refuses.
        typer.Exit: All is submitted, and nobody waits.
    """
    runs = runs_root(where.runs)
    done = [one.run for one in planned if finished(one.paths)]
    # A teacher that another sweep has submitted is waited for, not trained twice.
    living = {one.paths.run: one for one in look_all(one.paths for one in planned) if one.state in (QUEUED, RUNNING)}
    living = {run: one.job for run, one in living.items() if one.job}
    todo = [one for one in planned if one.run not in done and one.run not in living]
    for one in todo:
        plan.prepare(one, cache, 1 if one.recipe.weights else processes(launcher), launcher)
    note(memory.said([one.recipe for one in todo], launcher), where)
    new = submit(batches([plan.spec(one, cache) for one in todo], launcher, done), runs, living)
    for one in planned:
        state = "done before" if one.run in done else f"on the cluster before as {living.get(one.run)}"
        _say(where, one.run, new.get(one.run), f"submitted as {new[one.run]}" if one.run in new else state)
    if where.wait:
        return wait(planned, done, cache, where)
    if not where.json and not where.quiet and (new or living):
        print("pkd status shows how far they are, pkd report what came out.", file=sys.stderr)
    raise typer.Exit(ExitCode.OK)


def _say(where: Where, run: str, job: str | None, text: str) -> None:
    if where.json:
        print(json.dumps({"event": "submitted" if job else "known", "run": run, "job": job}), flush=True)
    elif not where.quiet:
        print(f"{run}: {text}", file=sys.stderr)


def show_scripts(planned: Sequence[plan.Planned], runs: Path, cache: Path, where: Where) -> None:
    """Print the very scripts that would be submitted, and how."""
    done = [one.run for one in planned if finished(one.paths)]
    specs = [plan.spec(one, cache) for one in planned if one.run not in done]
    note(memory.said([one.recipe for one in planned if one.run not in done], where.launcher), where)
    for batch in batches(specs, where.launcher, done):
        command = command_of(batch, runs)
        if where.json:
            print(json.dumps({"script": batch.script, "sbatch": command}))
        else:
            print(f"\n# {shlex.join(command)}\n\n{batch.script}", end="")


def command_of(batch: Batch, runs: Path) -> list[str]:
    """The command that submits an array, with the names of the runs it waits for in their jobs' place."""
    return ["sbatch", "--parsable", *batch.options(folder(runs), {}), str(folder(runs) / batch.name)]


def pause(waited: float) -> float:
    """Seconds from one question to the scheduler to the next, after so many seconds of waiting."""
    return next((pause for until, pause in _ASKS if waited < until), _LATER)


def wait(
    planned: Sequence[plan.Planned],
    done: Sequence[str],
    cache: Path,
    where: Where,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Outcome]:
    """Wait until every run has ended; Ctrl-C ends the waiting and leaves the jobs alone.

    What the runs write themselves is looked at every two seconds, the scheduler asked ever less often.
    """
    watch = watcher({one.run: one for one in planned}, done, json=where.json, quiet=where.quiet)
    specs = {one.run: plan.spec(one, cache) for one in planned if one.run not in done}
    outcomes = dict.fromkeys(done, Outcome(ExitCode.OK))
    begun: set[str] = set()
    jobs, begin, due = None, clock(), clock()
    try:
        with watch:
            while len(outcomes) < len(planned):
                rest = [one.paths for one in planned if one.run not in outcomes]
                if clock() >= due:
                    jobs, due = ask(rest), clock() + pause(clock() - begin)
                for found in (look(paths, jobs) for paths in rest):
                    spec = specs[found.paths.run]
                    if found.state == RUNNING and spec.name not in begun:
                        begun.add(spec.name)
                        watch.began(spec)
                    if found.state == RUNNING:
                        watch.ticked(spec)
                    elif found.state != QUEUED:
                        settle(found)
                        outcomes[spec.name] = _outcome(found)
                        watch.ended(spec, outcomes[spec.name])
                if len(outcomes) < len(planned):
                    sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        print("the jobs go on: pkd status shows how far they are, pkd cancel stops them.", file=sys.stderr)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    return outcomes


def _outcome(found: Found) -> Outcome:
    if found.state in (DONE, INTERRUPTED):
        return Outcome(ExitCode.OK if found.state == DONE else ExitCode.INTERRUPTED)
    error = found.status.get("error")
    return Outcome(error.get("code") or 1 if isinstance(error, dict) else ExitCode.RUN_FAILED)
