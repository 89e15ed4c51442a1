"""Runs handed to a cluster: what is submitted, what a dry run shows of it, and waiting for the end."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pkdcli import experiment
from pkdcli.cli.launcher import processes
from pkdcli.cli.progress import watcher
from pkdcli.errors import ExitCode
from pkdcli.launch.queue import Outcome
from pkdcli.launch.slurm.submit import Batch, batches, folder, submit
from pkdcli.launch.state import Found, look_all, settle
from pkdcli.places import runs_root
from pkdcli.runs.state import finished
from pkdcli.runs.status import DONE, INTERRUPTED, QUEUED, RUNNING

if TYPE_CHECKING:
    from pkdcli.cli.launch import Where
    from pkdcli.recipe.schema import Launcher

POLL_SECONDS = 2.0  # between two questions to the scheduler


def submit_all(
    planned: Sequence[experiment.Planned], cache: Path, launcher: Launcher, where: Where
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
        experiment.prepare(one, cache, processes(launcher), launcher)
    new = submit(batches([experiment.spec(one, cache) for one in todo], launcher, done), runs, living)
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


def show_scripts(planned: Sequence[experiment.Planned], runs: Path, cache: Path, where: Where) -> None:
    """Print the very scripts that would be submitted, and how."""
    done = [one.run for one in planned if finished(one.paths)]
    specs = [experiment.spec(one, cache) for one in planned if one.run not in done]
    for batch in batches(specs, where.launcher, done):
        command = command_of(batch, runs)
        if where.json:
            print(json.dumps({"script": batch.script, "sbatch": command}))
        else:
            print(f"\n# {shlex.join(command)}\n\n{batch.script}", end="")


def command_of(batch: Batch, runs: Path) -> list[str]:
    """The command that submits an array, with the names of the runs it waits for in their jobs' place."""
    return ["sbatch", "--parsable", *batch.options(folder(runs), {}), str(folder(runs) / batch.name)]


def wait(planned: Sequence[experiment.Planned], done: Sequence[str], cache: Path, where: Where) -> dict[str, Outcome]:
    """Wait until every run has ended; Ctrl-C ends the waiting and leaves the jobs alone."""
    watch = watcher({one.run: one for one in planned}, done, json=where.json, quiet=where.quiet)
    specs = {one.run: experiment.spec(one, cache) for one in planned if one.run not in done}
    outcomes = dict.fromkeys(done, Outcome(ExitCode.OK))
    begun: set[str] = set()
    try:
        with watch:
            while len(outcomes) < len(planned):
                rest = [one.paths for one in planned if one.run not in outcomes]
                for found in look_all(rest):
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
                    time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        print("the jobs go on: pkd status shows how far they are, pkd cancel stops them.", file=sys.stderr)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    return outcomes


def _outcome(found: Found) -> Outcome:
    if found.state in (DONE, INTERRUPTED):
        return Outcome(ExitCode.OK if found.state == DONE else ExitCode.INTERRUPTED)
    error = found.status.get("error")
    return Outcome(error.get("code") or 1 if isinstance(error, dict) else ExitCode.RUN_FAILED)
