"""Progress of runs that are carried out from Python: bars in a notebook, nothing elsewhere unless it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from pkdcli.launch.job import JobSpec
from pkdcli.launch.outcome import Outcome, Watcher
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_json


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

    def on_plan(self, runs: Mapping[str, Any], done: Sequence[str]) -> None:
        """Say what was done before."""
        for run in done:
            self._say(f"{run}: done before")

    def on_note(self, text: str) -> None:
        """Print a word about the machine above the bars."""
        self._say(f"note: {text}.")

    def on_data(self, name: str, done: int | None, total: int | None) -> None:
        """Show how far a data set is."""
        if done is None:
            return
        if self._data is None:
            self._data = self._bar(f"drawing {name}", total)
        self._set(self._data, done)
        if done == total:
            self._data.close()
            self._data = None

    def on_start(self, spec: JobSpec) -> None:
        """Open a run's bar."""
        self._bars[spec.name] = self._bar(spec.name, None)

    def on_tick(self, spec: JobSpec) -> None:
        """Move a run's bar to where its status.json says it is."""
        bar, status = self._bars.get(spec.name), read_json(RunPaths(spec.run_dir).status) or {}
        if bar is None:
            return
        evaluating = status.get("phase") == "evaluate"
        total = status.get("phase_total" if evaluating else "iters")
        if total and total != bar.total:
            bar.total = total
        self._set(bar, status.get("phase_done" if evaluating else "iter") or 0)
        loss = status.get("train_loss")
        words = ["evaluating" if evaluating else "", "" if loss is None else f"loss {loss:.3f}"]
        bar.set_postfix_str(", ".join(word for word in words if word))

    def on_retry(self, spec: JobSpec, outcome: Outcome, left: int) -> None:
        """Say that a lost run is started again."""
        self._say(f"{spec.name}: {outcome.cause}; started again")

    def on_end(self, spec: JobSpec, outcome: Outcome) -> None:
        """Close a run's bar and say how it ended."""
        bar = self._bars.pop(spec.name, None)
        if bar is not None:
            bar.close()
        metrics = (read_json(RunPaths(spec.run_dir).result) or {}).get("metrics", {})
        reached = metrics.get("mAP")
        self._say(f"{spec.name}: " + (f"done, mAP {reached:.1f}" if reached is not None else outcome.cause))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for bar in self._bars.values():
            bar.close()
        self._bars.clear()

    def _bar(self, title: str, total: int | None) -> Any:
        from tqdm.auto import tqdm

        return tqdm(total=total, desc=title, unit="step", dynamic_ncols=True)

    def _set(self, bar: Any, done: int) -> None:
        bar.update(done - bar.n)

    def _say(self, line: str) -> None:
        from tqdm.auto import tqdm

        tqdm.write(line, file=sys.stderr)
