"""How far a command is that goes through many files: a bar in a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from pkdcli.cli.progress.plain import LINE_SECONDS


class Counting:
    """Shows how many are done; entered before the first.

    Args:
        what: Is counted: "files".
        quiet: Show nothing.
    """

    def __init__(self, what: str, quiet: bool) -> None:
        self._what, self._quiet = what, quiet
        self._bar: Any = None
        self._task: Any = None
        self._next = time.monotonic() + LINE_SECONDS

    def __enter__(self) -> Counting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, done: int, total: int | None, name: str) -> None:
        """So many are done.

        Args:
            done: Files so far.
            total: In all; None where nobody knows.
            name: Of the last one.
        """
        if self._quiet:
            return
        if sys.stderr.isatty():
            self._draw(done, total, name)
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_SECONDS
            print(f"{done}/{total} {self._what}: {name}", file=sys.stderr, flush=True)

    def _draw(self, done: int, total: int | None, name: str) -> None:
        if self._bar is None:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            from pkdcli.cli.console import err

            columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[name]}"))
            self._bar = Progress(*columns, console=err(), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("", total=total, name="")
        self._bar.update(self._task, completed=done, total=total, name=name)
