"""Plain lines, for a log or a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from pkdcli.cli.progress.base import Watch, describe
from pkdcli.launch.job import JobSpec
from pkdcli.launch.outcome import Counted

LINE_SECONDS = 10.0  # between two plain lines of one run


class Spoken(Watch):
    """Tells of what is done before the runs begin too: of data, machines and shared teachers."""

    def on_note(self, text: str) -> None:
        """Print a word about the machine."""
        print(f"note: {text}.", file=sys.stderr, flush=True)

    def on_share(self, runs: Sequence[str], teacher: str) -> None:
        """Name the runs that train together."""
        print(sharing(runs, teacher), file=sys.stderr, flush=True)

    def on_submit(self, run: str, job: str | None, text: str) -> None:
        """Say what a cluster has been given."""
        print(f"{run}: {text}" if run else text, file=sys.stderr)

    def on_look(self, seeds: int, verdicts: Sequence[Mapping[str, Any]]) -> None:
        """Say what is known after so many seeds."""
        for one in verdicts:
            print(f"after {seeds} seeds: {one['text']}", file=sys.stderr, flush=True)

    def doing(self, text: str) -> AbstractContextManager[Any]:
        """Show it, where there is a terminal."""
        from pkdcli.cli.console import err

        return err().status(text)

    @contextmanager
    def counting(self, text: str) -> Iterator[Counted]:
        """Draw a bar on a terminal from the first thing on; elsewhere print a line now and then."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from pkdcli.cli.console import err

        console = err()
        if not console.is_terminal:
            yield _said_now_and_then(text)
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                   TextColumn("{task.fields[name]}"))  # fmt: skip
        bar = Progress(*columns, console=console, transient=True)
        task = bar.add_task(text, total=None, name="")

        def show(done: int, total: int | None, name: str = "") -> None:
            bar.start()
            bar.update(task, completed=done, total=total, name=name)

        try:
            yield show
        finally:
            bar.stop()


def _said_now_and_then(text: str) -> Counted:
    last = time.monotonic()

    def say(done: int, total: int | None, name: str = "") -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_SECONDS:
            last = time.monotonic()
            print(f"{text}: {done}/{total}{', ' if name else ''}{name}", file=sys.stderr, flush=True)

    return say


def sharing(runs: Sequence[str], teacher: str) -> str:
    """Which runs train together, in words.

    Args:
        runs: Their ids.
        teacher: Its title.
    """
    lines = [f"{len(runs)} runs train together, so that {teacher} sees each image once:"]
    return "\n".join([*lines, *(f"  {run}" for run in runs)])


class Lines(Spoken):
    """Plain lines, one every ten seconds and run."""

    def __init__(self) -> None:
        super().__init__()
        self._drawn = time.monotonic()
        self._next: dict[str, float] = {}

    def say(self, line: str) -> None:
        """Print a line of news."""
        print(line, file=sys.stderr, flush=True)

    def on_start(self, spec: JobSpec) -> None:
        """Name the run."""
        self._next[spec.name] = time.monotonic() + LINE_SECONDS
        self.say(f"{spec.name}: started")

    def on_tick(self, spec: JobSpec) -> None:
        """Say how far it is, now and then."""
        self.forward_warnings(spec)
        if time.monotonic() >= self._next[spec.name]:
            self._next[spec.name] += LINE_SECONDS
            self.say(f"{spec.name}: {describe(self.status(spec))}")

    def on_data(self, name: str, done: int | None, total: int | None) -> None:
        """Say how far a data set is, now and then."""
        if done is None:
            print(f"checking the data set {name} ...", file=sys.stderr, flush=True)
        elif time.monotonic() - self._drawn >= LINE_SECONDS:
            self._drawn = time.monotonic()
            print(f"drawing the data set {name}: {done}/{total} pictures", file=sys.stderr, flush=True)
