"""What all ways of showing progress have in common: what is said of a run while it goes on, and how it ended."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pkdcli.launch.job import JobSpec
from pkdcli.launch.outcome import Outcome, Watcher
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import DONE, FAILED, INTERRUPTED, paused
from pkdcli.runs.store import read_json

if TYPE_CHECKING:
    from pkdcli.experiment.plan import PlannedRun

LOG_LINES = 40


class Watch(Watcher):
    """Says nothing while runs go well, and why they failed when they do."""

    def __init__(self) -> None:
        self.planned: Mapping[str, PlannedRun] = {}
        self.done: list[str] = []
        self._forwarded: set[tuple[str, str]] = set()

    def at_scale_tiny(self) -> str:
        """The command that was typed, at that scale."""
        return tiny_command()

    def on_plan(self, runs: Mapping[str, PlannedRun], done: Sequence[str]) -> None:
        """Remember what will be carried out."""
        self.planned, self.done = runs, list(done)

    def __enter__(self) -> Watch:
        for run in self.done:
            self.say(f"{run}: done before")
        for one in self.planned.values():
            if one.recipe.role == "teacher" and one.run not in self.done:
                source = "is evaluated once" if one.recipe.weights else "is trained first, once"
                self.say(f"{one.recipe.student.title}, the teacher, {source}: {one.paths.root}")
        return self

    def on_warning(self, text: str) -> None:
        """Print a warning about the data."""
        print(f"warning: {text}", file=sys.stderr, flush=True)

    def on_rung(self, rung: Mapping[str, Any]) -> None:
        """Say how the trials of a search compare."""
        self.say(rung_line(rung))

    def say(self, line: str) -> None:
        """Print a line of news."""

    def complain(self, line: str) -> None:
        """Print a line about a failure."""
        print(line, file=sys.stderr, flush=True)

    def on_start(self, spec: JobSpec) -> None:
        """A job has started."""

    def on_tick(self, spec: JobSpec) -> None:
        """A job is still running: pass on the warnings it has written down."""
        self.forward_warnings(spec)

    def forward_warnings(self, spec: JobSpec) -> None:
        """Pass on those of a run's warnings that are new."""
        for text in self.status(spec).get("warnings", []):
            if (spec.name, text) not in self._forwarded:
                self._forwarded.add((spec.name, text))
                self.warn(spec, text)

    def warn(self, spec: JobSpec, text: str) -> None:
        """Print a warning of a run."""
        self.complain(f"{spec.name}: warning: {text}")

    def on_retry(self, spec: JobSpec, outcome: Outcome, left: int) -> None:
        """A lost job is started again."""
        times = f"; {left} more {'time' if left == 1 else 'times'} if need be" if left else ", for the last time"
        self.complain(f"{spec.name}: {outcome.cause}; started again{times}")

    def on_end(self, spec: JobSpec, outcome: Outcome) -> None:
        """A job has ended: say how, and where it failed why."""
        self.forward_warnings(spec)
        if outcome.code == 0 and paused(status := self.status(spec)):
            self.say(f"{spec.name}: {status['error']['message']}")
        elif outcome.code == 0:
            metrics = (read_json(RunPaths(spec.run_dir).result) or {}).get("metrics", {})
            self.say(f"{spec.name}: done, mAP {_points(metrics.get('mAP'))}")
        elif outcome.lacked:
            self.complain(f"{spec.name}: {outcome.cause}")
        elif outcome.code == 130:
            error = self.status(spec).get("error")
            self.say(f"{spec.name}: stopped" + (f": {error['message']}" if error else ""))
        else:
            self.complain(f"{spec.name}: failed\n{why(spec, outcome)}")

    def status(self, spec: JobSpec) -> dict[str, Any]:
        """What the run's status.json says."""
        return read_json(RunPaths(spec.run_dir).status) or {}


def why(spec: JobSpec, outcome: Outcome) -> str:
    """Why a job failed: its own words, or the end of its log where it died without any.

    Args:
        spec: The job.
        outcome: How it ended.
    """
    paths = RunPaths(spec.run_dir)
    error = (read_json(paths.status) or {}).get("error")
    if error and not outcome.died_by:
        return "\n".join(text for text in (error["message"], error.get("hint"), f"log: {paths.log}") if text)
    lines = paths.log.read_text(errors="replace").splitlines()[-LOG_LINES:] if paths.log.is_file() else []
    return "\n".join([outcome.cause, *(f"  | {line}" for line in lines), f"log: {paths.log}"])


def _points(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def rung_line(rung: Mapping[str, Any]) -> str:
    """How the trials of a search compare, in a line: the best first."""
    found = [f"{values(one['params'])}: {one['mAP']:.1f}" for one in rung["trials"]]
    return f"after {rung['step']:,} steps, mAP of {', '.join(found)} ({rung['spent']:,} steps spent)"


def values(params: Mapping[str, Any]) -> str:
    """What is special about a trial, in words."""
    said = (f"{key} {value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in params.items())
    return " ".join(said)


PHASES = {"data": "reading data", "weights": "loading weights", "finish": "finishing"}
ENDING = {DONE: "finishing", FAILED: "stopping", INTERRUPTED: "stopping"}
"""What is said of a run that has said how it ended, as long as its process is still there."""


def describe(status: Mapping[str, Any]) -> str:
    """How far a run is, in a line: phase, epoch, loss, speed, time left."""
    phase, total = status.get("phase"), status.get("phase_total")
    if phase == "evaluate":
        return f"evaluating, {status.get('phase_done') or 0}/{total} images" if total else "evaluating"
    if phase != "train" or not status.get("iters"):
        return ENDING.get(status.get("state")) or PHASES.get(phase, "starting")
    parts = []
    if status.get("epochs"):
        parts.append(f"epoch {status['epoch']}/{status['epochs']}")
    parts.append(f"step {status['iter']}/{status['iters']}")
    if status.get("train_loss") is not None:
        parts.append(f"loss {status['train_loss']:.3f}")
    if status.get("it_per_s"):
        parts.append(f"{status['it_per_s']:.2f} it/s")
    if status.get("eta_s") is not None:
        parts.append(f"{duration(status['eta_s'])} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def tiny_command() -> str:
    """The command that was typed, at the scale that needs no COCO."""
    words, skip = [], False
    for word in sys.argv[1:]:
        if skip or word in ("--scale", "--data"):
            skip = not skip
            continue
        if not word.startswith(("--scale=", "--data=")):
            words.append(word)
    return f"pkd {shlex.join(words)} --scale tiny"
