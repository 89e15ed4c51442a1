"""Progress of runs that are carried out from Python: bars in a notebook, nothing elsewhere unless it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from pkdcli.errors import ExitCode
from pkdcli.launch.job import JobSpec
from pkdcli.launch.outcome import Counted, Outcome, Watcher
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.record import number_of
from pkdcli.runs.status import paused
from pkdcli.runs.store import read_object


def default_watcher() -> Watcher:
    """Bars in a notebook; elsewhere a watcher that keeps what happens to itself."""
    return Bars() if in_notebook() else Watcher()


def in_notebook() -> bool:
    """Whether this is a kernel of Jupyter's, as far as IPython tells; IPython is not imported for it."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return type(shell).__name__ == "ZMQInteractiveShell"


class Bars(Watcher):
    """A bar of tqdm's for each run at work, with steps, loss and time left; in a notebook it is a widget.

    Give it as `watcher` anywhere: `pkdcli.train(..., watcher=Bars())`.
    """

    def __init__(self) -> None:
        self._bars: dict[str, Any] = {}
        self._data: Any = None
        self._done: frozenset[str] = frozenset()

    @contextmanager
    def counting(self, text: str) -> Iterator[Counted]:
        """Show a bar of so many things."""
        bar = self._bar(text, None)

        def show(done: int, total: int | None, name: str = "") -> None:
            bar.total = total
            self._set(bar, done)

        try:
            yield show
        finally:
            bar.close()

    def on_plan(self, runs: Mapping[str, Any], done: Sequence[str]) -> None:
        """Say what was done before."""
        self._done = frozenset(done)
        for run in done:
            self._say(f"{run}: done before")

    def on_note(self, text: str) -> None:
        """Print a word about the machine above the bars."""
        self._say(f"note: {text}.")

    def on_warning(self, text: str) -> None:
        """Print what a user should know of the data."""
        self._say(f"warning: {text}")

    def on_share(self, runs: Sequence[str], teacher: str) -> None:
        """Say which runs train together."""
        self._say(f"{', '.join(runs[:-1])} and {runs[-1]} train together, beside one {teacher}")

    def on_submit(self, run: str, job: str | None, text: str) -> None:
        """Say what a cluster has been given; of runs that were done before it is said already."""
        if run not in self._done:
            self._say(f"{run}: {text}" if run else text)

    def on_data(self, name: str, done: int | None, total: int | None) -> None:
        """Show how far a data set is."""
        if done is None:
            return
        title = f"drawing {name}"
        if self._data is not None and self._data.desc != title:  # whose drawing failed
            self._data.close()
            self._data = None
        if self._data is None:
            self._data = self._bar(title, total)
        self._set(self._data, done)
        if done == total:
            self._data.close()
            self._data = None

    def on_start(self, spec: JobSpec) -> None:
        """Open a run's bar, in place of the one that it had before it was lost."""
        self._close(spec.name)
        self._bars[spec.name] = self._bar(spec.name, None)

    def on_tick(self, spec: JobSpec) -> None:
        """Move a run's bar to where its status.json says it is."""
        bar, status = self._bars.get(spec.name), read_object(RunPaths(spec.run_dir).status)
        if bar is None:
            return
        evaluating = status.get("phase") == "evaluate"
        total = number_of(status.get("phase_total" if evaluating else "iters"))
        if total and total != bar.total:
            bar.total = total
        self._set(bar, number_of(status.get("phase_done" if evaluating else "iter")) or 0)
        loss = number_of(status.get("train_loss"))
        words = ["evaluating" if evaluating else "", "" if loss is None else f"loss {loss:.3f}"]
        bar.set_postfix_str(", ".join(word for word in words if word))

    def on_retry(self, spec: JobSpec, outcome: Outcome, left: int) -> None:
        """Say that a lost run is started again."""
        self._say(f"{spec.name}: {outcome.cause}; started again")

    def on_end(self, spec: JobSpec, outcome: Outcome) -> None:
        """Close a run's bar and say how it ended."""
        self._close(spec.name)
        self._say(f"{spec.name}: {self._ending(RunPaths(spec.run_dir), outcome)}")

    def on_look(self, seeds: int, verdicts: Sequence[Mapping[str, Any]]) -> None:
        """Print what is known after so many seeds."""
        for one in verdicts:
            self._say(f"after {seeds} seeds: {one['text']}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._bars):
            self._close(name)

    def _ending(self, paths: RunPaths, outcome: Outcome) -> str:
        """How a run ended: its mAP, its own words, or what became of its process."""
        status = read_object(paths.status)
        if outcome.code == 0 and paused(status):
            return str(status["error"]["message"])
        if outcome.code == 0:
            metrics = read_object(paths.result).get("metrics")
            reached = number_of(metrics.get("mAP")) if isinstance(metrics, dict) else None
            return "done, mAP " + ("unknown" if reached is None else f"{reached:.1f}")
        error = status.get("error")
        if outcome.died_by or outcome.lacked or not isinstance(error, dict) or not error.get("message"):
            return "stopped" if outcome.code == ExitCode.INTERRUPTED and not outcome.lacked else outcome.cause
        return f"{'stopped' if outcome.code == ExitCode.INTERRUPTED else 'failed'}: {error['message']}"

    def _close(self, name: str) -> None:
        bar = self._bars.pop(name, None)
        if bar is not None:
            bar.close()

    def _bar(self, title: str, total: int | None) -> Any:
        from tqdm.auto import tqdm

        return tqdm(total=total, desc=title, unit="step", dynamic_ncols=True)

    def _set(self, bar: Any, done: int) -> None:
        bar.update(done - bar.n)

    def _say(self, line: str) -> None:
        from tqdm.auto import tqdm

        tqdm.write(line, file=sys.stderr)
