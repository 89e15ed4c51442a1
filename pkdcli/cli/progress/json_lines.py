"""One JSON object a line, for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from pkdcli.cli.progress.base import Watch, why
from pkdcli.cli.progress.plain import LINE_SECONDS
from pkdcli.launch.job import JobSpec
from pkdcli.launch.outcome import Outcome


class JsonLines(Watch):
    """One JSON object a line on stdout, whenever the status changes."""

    def __init__(self) -> None:
        super().__init__()
        self._drawn = time.monotonic()
        self._last: dict[str, dict[str, Any]] = {}

    def _event(self, name: str, spec: JobSpec, **fields: Any) -> None:
        print(json.dumps({"event": name, "run": spec.name, **fields}), flush=True)

    def on_start(self, spec: JobSpec) -> None:
        """A job has started."""
        self._event("began", spec, dir=str(spec.run_dir))

    def warn(self, spec: JobSpec, text: str) -> None:
        """A run has a warning."""
        self._event("warning", spec, text=text)

    def on_tick(self, spec: JobSpec) -> None:
        """A job's status may have changed."""
        self.forward_warnings(spec)
        keys = ("phase", "phase_done", "phase_total", "epoch", "epochs", "iter", "iters")
        keys += ("train_loss", "it_per_s", "eta_s")
        status = self.status(spec)
        fields = {key: status.get(key) for key in keys}
        if fields != self._last.get(spec.name):
            self._last[spec.name] = fields
            self._event("status", spec, **fields)

    def on_retry(self, spec: JobSpec, outcome: Outcome, left: int) -> None:
        """A lost job is started again."""
        self._event("again", spec, error=outcome.cause, left=left)

    def on_end(self, spec: JobSpec, outcome: Outcome) -> None:
        """A job has ended."""
        self.forward_warnings(spec)
        error = None
        if outcome.lacked:
            error = outcome.cause
        elif outcome.code not in (0, 130):
            error = why(spec, outcome)
        self._event("ended", spec, code=int(outcome.code), error=error)

    def on_rung(self, rung: Mapping[str, Any]) -> None:
        """How the trials of a search compare."""
        print(json.dumps({"event": "rung", **rung}), flush=True)

    def on_note(self, text: str) -> None:
        """A word about the machine."""
        print(json.dumps({"event": "note", "text": text}), flush=True)

    def on_data(self, name: str, done: int | None, total: int | None) -> None:
        """How far a data set is, now and then."""
        if done is None or time.monotonic() - self._drawn >= LINE_SECONDS:
            self._drawn = time.monotonic()
            print(json.dumps({"event": "data", "data": name, "done": done, "total": total}), flush=True)

    def on_share(self, runs: Sequence[str], teacher: str) -> None:
        """The runs that train together."""
        print(json.dumps({"event": "sharing", "runs": list(runs)}), flush=True)

    def on_submit(self, run: str, job: str | None, text: str) -> None:
        """What a cluster has been given."""
        if run:
            print(json.dumps({"event": "submitted" if job else "known", "run": run, "job": job}), flush=True)

    def on_look(self, seeds: int, verdicts: Sequence[Mapping[str, Any]]) -> None:
        """What is known after so many seeds."""
        print(json.dumps({"event": "look", "seeds": seeds, "verdicts": list(verdicts)}), flush=True)
