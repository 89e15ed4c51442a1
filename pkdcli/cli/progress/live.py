"""The live screen of a terminal: a line for each run at work, one for the whole, and news that scroll by above."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pkdcli.cli.progress.base import describe, duration
from pkdcli.cli.progress.plain import Spoken
from pkdcli.launch.job import JobSpec
from pkdcli.launch.outcome import Outcome

if TYPE_CHECKING:
    from pkdcli.experiment.plan import PlannedRun

_WIDE, _MIDDLE, _NARROW = 100, 70, 44  # columns of a terminal
REFRESH = 4  # times a second


class Screen(Spoken):
    """Every run's bar, loss, speed and time left, below the lines that say how runs ended.

    Each run is read from its own status.json whenever the screen is drawn, so that it does not matter in which process
    it is, nor whether anybody still ticks: after Ctrl-C the runs are seen to save and stop.
    """

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self._names: dict[str, str] = {}
        self._running: dict[str, JobSpec] = {}
        self._ended: dict[str, int] = {}
        self._rate: float | None = None  # the last known
        self._live = Live(
            get_renderable=self.render,
            console=console,
            refresh_per_second=REFRESH,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def on_plan(self, runs: Mapping[str, PlannedRun], done: Sequence[str]) -> None:
        """Find short names for the runs."""
        super().on_plan(runs, done)
        self._names = labels(runs)

    def __enter__(self) -> Screen:
        self._live.start()
        super().__enter__()
        return self

    def __exit__(self, *args: Any) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        """Print a line above the bars; where it is longer than the terminal is wide, the terminal breaks it."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def complain(self, line: str) -> None:
        """Print a line above the bars."""
        self.say(line)

    def on_data(self, name: str, done: int | None, total: int | None) -> None:
        """Draw how far a data set is, in one line."""
        if done is None:
            print(f"checking the data set {name} ...", file=sys.stderr, flush=True)
            return
        end = "\n" if done == total else ""
        print(f"\rdrawing the data set {name}: {done}/{total} pictures", end=end, file=sys.stderr, flush=True)

    def on_start(self, spec: JobSpec) -> None:
        """Draw a bar."""
        self._running[spec.name] = spec

    def on_end(self, spec: JobSpec, outcome: Outcome) -> None:
        """Take the bar away, and say how the run ended."""
        self._running.pop(spec.name, None)
        self._ended[spec.name] = int(outcome.code)
        super().on_end(spec, outcome)

    def render(self) -> Group:
        """The lines as they are now, fit for the console's width and height."""
        width = self.console.width
        known = [(spec.name, self.status(spec)) for spec in list(self._running.values())]
        room = max(1, self.console.height - 4)
        lines: list[Any] = [_row(self._names[name], status, width) for name, status in known[:room]]
        if len(known) > room:
            lines.append(Text(f"… and {len(known) - room} more", "dim"))
        return Group(*lines, self._whole(dict(known), width))

    def _whole(self, known: Mapping[str, Mapping[str, Any]], width: int) -> Table:
        done = len(self.done) + sum(code == 0 for code in self._ended.values())
        failed = sum(code not in (0, 130) for code in self._ended.values())
        waiting = len(self.planned) - len(self.done) - len(self._ended) - len(known)
        words = [f"{done} of {len(self.planned)} done"]
        words += [f"{failed} failed"] if failed else []
        words += [f"{waiting} waiting"] if waiting > 0 else []
        left = self._left(known)
        words += [f"about {duration(left)} left"] if left is not None else []
        share = self._share(known)
        table = Table.grid(padding=(0, 1), expand=False)
        cells: list[Any] = [ProgressBar(1.0, share, width=24 if width >= _WIDE else 12)] if width >= _NARROW else []
        said = Text(", ".join(words), "bold", overflow="ellipsis", no_wrap=True)
        cells += [Text(f"{100 * share:3.0f}%", "bold"), said]
        table.add_row(*cells)
        return table

    def _share(self, known: Mapping[str, Mapping[str, Any]]) -> float:
        """How much of all runs is done, every run counting the same."""
        ended = len(self.done) + len(self._ended)
        return (ended + sum(map(_done, known.values()))) / max(1, len(self.planned))

    def _left(self, known: Mapping[str, Mapping[str, Any]]) -> float | None:
        """Seconds until all is done at the speed of those that run now; None as long as that is not known."""
        rates = [status["it_per_s"] for status in known.values() if status.get("it_per_s")]
        self._rate = sum(rates) or self._rate
        if not self._rate:
            return None
        steps = sum((s.get("iters") or 0) - (s.get("iter") or 0) for s in known.values())
        steps += sum(
            _steps(one)
            for run, one in self.planned.items()
            if run not in known and run not in self._ended and run not in self.done
        )
        longest = max((status.get("eta_s") or 0.0 for status in known.values()), default=0.0)
        return max(steps / self._rate, longest)


def labels(planned: Mapping[str, PlannedRun]) -> dict[str, str]:
    """Short names of runs: what all of them share is left out, as long as something remains."""
    parts = {run: _parts(one) for run, one in planned.items()}
    students = [part for part in parts.values() if part.get("what")]
    shared = {key for key in ("student", "pair", "schedule", "seed") if len({part[key] for part in students}) == 1}
    shared -= {"student"} if len(students) == 1 else set()
    return {run: " ".join(text for key, text in part.items() if text and key not in shared)
            for run, part in parts.items()}  # fmt: skip


def _parts(planned: PlannedRun) -> dict[str, str]:
    recipe = planned.recipe
    if recipe.role == "teacher":
        return {"who": f"{recipe.student.title} teacher"}
    what = recipe.role
    if recipe.role == "distill":
        what = f"{recipe.loss.name} w={recipe.loss.weight:g}"
        what += f" T={recipe.loss.temperature:g}" if recipe.loss.temperature is not None else ""
    return {
        "student": recipe.student.title,
        "what": what,
        "schedule": recipe.schedule.name,
        "seed": f"seed {recipe.seed}",
        "pair": recipe.pair or "",
    }


def _steps(planned: PlannedRun) -> int:
    from pkdcli.config.schedule import total_iters

    recipe = planned.recipe
    return 0 if recipe.weights or recipe.data.train_images is None else total_iters(recipe)


def _done(status: Mapping[str, Any]) -> float:
    """The share of a run's steps that are done."""
    return min(1.0, (status.get("iter") or 0) / status["iters"]) if status.get("iters") else 0.0


def _row(name: str, status: Mapping[str, Any], width: int) -> Table:
    """A run's line. Where the terminal is narrow, the bar goes first, then speed and epoch, then the loss."""
    training = bool(status.get("iters")) and status.get("phase") in ("train", "evaluate")
    loss = f"loss {status['train_loss']:.3f}" if training and status.get("train_loss") is not None else ""
    speed = f"{status['it_per_s']:.2f} it/s" if training and status.get("it_per_s") else ""
    epoch = f"epoch {status['epoch']}/{status['epochs']}" if training and status.get("epochs") else ""
    left = f"{duration(status['eta_s'])} left" if training and status.get("eta_s") is not None else ""
    if status.get("state") == "interrupted":
        left = "stopped"
    elif status.get("phase") == "evaluate":
        total = status.get("phase_total")
        left = f"evaluate {100 * (status.get('phase_done') or 0) // total}%" if total else "evaluating"
    elif not training:
        left = describe(status)
    share = _done(status)
    table = Table.grid(padding=(0, 1), expand=False)
    columns: list[tuple[Any, int, str]] = [(Text(f"{100 * share:3.0f}%"), 4, "right")]
    if width >= _MIDDLE:
        bar = 24 if width >= _WIDE else 12
        columns.insert(0, (ProgressBar(1.0, share, width=bar), bar, "left"))
    if width >= _WIDE:
        columns += [(Text(epoch), 11, "left")]
    if width >= _NARROW:
        columns += [(Text(loss), 11, "left")]
    if width >= _WIDE:
        columns += [(Text(speed), 12, "left")]
    columns += [(Text(left, "cyan"), 13, "left")]
    rest = width - sum(size + 1 for _, size, _ in columns)
    table.add_column(width=max(1, min(rest, 34)), no_wrap=True, overflow="ellipsis")
    for _, size, justify in columns:
        table.add_column(width=size, no_wrap=True, overflow="ellipsis", justify=justify)
    table.add_row(Text(name), *(cell for cell, _, _ in columns))
    return table
