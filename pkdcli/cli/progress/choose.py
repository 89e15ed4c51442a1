"""Live progress: a screen in a terminal, plain lines when piped, JSON lines with --json, nothing with --quiet."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console

from pkdcli.experiment.plan import Planned
from pkdcli.launch.job import JobSpec
from pkdcli.launch.local.queue import Outcome
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import DONE, FAILED, INTERRUPTED
from pkdcli.runs.store import read_json

LINE_SECONDS = 10.0  # between two plain lines of one run
LOG_LINES = 40


def watcher(planned: Mapping[str, Planned], done: Sequence[str], *, json: bool, quiet: bool) -> Watch:
    """The watcher that fits: JSON, quiet, a live screen or plain lines."""
    if json:
        return JsonLines(planned, done)
    if quiet:
        return Watch(planned, done)
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal or console.is_dumb_terminal:
        return Lines(planned, done)
    from pkdcli.cli.progress.live import Screen

    return Screen(planned, done, console)


class Watch:
    """Says nothing while runs go well, and why they failed when they do."""

    def __init__(self, planned: Mapping[str, Planned], done: Sequence[str]) -> None:
        self.planned = planned
        self.done = list(done)
        self._heeded: set[tuple[str, str]] = set()

    def __enter__(self) -> Watch:
        for run in self.done:
            self.say(f"{run}: done before")
        for one in self.planned.values():
            if one.recipe.role == "teacher" and one.run not in self.done:
                source = "is evaluated once" if one.recipe.weights else "is trained first, once"
                self.say(f"{one.recipe.student.title}, the teacher, {source}: {one.paths.root}")
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def say(self, line: str) -> None:
        """Print a line of news."""

    def complain(self, line: str) -> None:
        """Print a line about a failure."""
        print(line, file=sys.stderr, flush=True)

    def began(self, spec: JobSpec) -> None:
        """A job has started."""

    def ticked(self, spec: JobSpec) -> None:
        """A job is still running: pass on the warnings it has written down."""
        self.heed(spec)

    def heed(self, spec: JobSpec) -> None:
        """Pass on those of a run's warnings that are new."""
        for text in self.status(spec).get("warnings", []):
            if (spec.name, text) not in self._heeded:
                self._heeded.add((spec.name, text))
                self.warn(spec, text)

    def warn(self, spec: JobSpec, text: str) -> None:
        """Print a warning of a run."""
        self.complain(f"{spec.name}: warning: {text}")

    def again(self, spec: JobSpec, outcome: Outcome, left: int) -> None:
        """A lost job is started again."""
        times = f"; {left} more {'time' if left == 1 else 'times'} if need be" if left else ", for the last time"
        self.complain(f"{spec.name}: {outcome.cause}; started again{times}")

    def ended(self, spec: JobSpec, outcome: Outcome) -> None:
        """A job has ended: say how, and where it failed why."""
        self.heed(spec)
        if outcome.code == 0:
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
    """Why a job failed: its own words, or the end of its log where it died without any."""
    paths = RunPaths(spec.run_dir)
    error = (read_json(paths.status) or {}).get("error")
    if error and not outcome.died_by:
        return "\n".join(text for text in (error["message"], error.get("hint"), f"log: {paths.log}") if text)
    lines = paths.log.read_text(errors="replace").splitlines()[-LOG_LINES:] if paths.log.is_file() else []
    return "\n".join([outcome.cause, *(f"  | {line}" for line in lines), f"log: {paths.log}"])


def _points(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


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


class Lines(Watch):
    """Plain lines, one every ten seconds and run."""

    def __init__(self, planned: Mapping[str, Planned], done: Sequence[str]) -> None:
        super().__init__(planned, done)
        self._next: dict[str, float] = {}

    def say(self, line: str) -> None:
        """Print a line of news."""
        print(line, file=sys.stderr, flush=True)

    def began(self, spec: JobSpec) -> None:
        """Name the run."""
        self._next[spec.name] = time.monotonic() + LINE_SECONDS
        self.say(f"{spec.name}: started")

    def ticked(self, spec: JobSpec) -> None:
        """Say how far it is, now and then."""
        self.heed(spec)
        if time.monotonic() >= self._next[spec.name]:
            self._next[spec.name] += LINE_SECONDS
            self.say(f"{spec.name}: {describe(self.status(spec))}")


class JsonLines(Watch):
    """One JSON object a line on stdout, whenever the status changes."""

    def __init__(self, planned: Mapping[str, Planned], done: Sequence[str]) -> None:
        super().__init__(planned, done)
        self._last: dict[str, dict[str, Any]] = {}

    def _event(self, name: str, spec: JobSpec, **fields: Any) -> None:
        print(json.dumps({"event": name, "run": spec.name, **fields}), flush=True)

    def began(self, spec: JobSpec) -> None:
        """A job has started."""
        self._event("began", spec, dir=str(spec.run_dir))

    def warn(self, spec: JobSpec, text: str) -> None:
        """A run has a warning."""
        self._event("warning", spec, text=text)

    def ticked(self, spec: JobSpec) -> None:
        """A job's status may have changed."""
        self.heed(spec)
        keys = ("phase", "phase_done", "phase_total", "epoch", "epochs", "iter", "iters")
        keys += ("train_loss", "it_per_s", "eta_s")
        status = self.status(spec)
        fields = {key: status.get(key) for key in keys}
        if fields != self._last.get(spec.name):
            self._last[spec.name] = fields
            self._event("status", spec, **fields)

    def again(self, spec: JobSpec, outcome: Outcome, left: int) -> None:
        """A lost job is started again."""
        self._event("again", spec, error=outcome.cause, left=left)

    def ended(self, spec: JobSpec, outcome: Outcome) -> None:
        """A job has ended."""
        self.heed(spec)
        error = None
        if outcome.lacked:
            error = outcome.cause
        elif outcome.code not in (0, 130):
            error = why(spec, outcome)
        self._event("ended", spec, code=int(outcome.code), error=error)
