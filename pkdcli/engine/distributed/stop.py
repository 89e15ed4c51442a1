"""Asking a run to stop between two steps, with its state saved."""

from __future__ import annotations

import signal
import time
from typing import Any

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
)
_SAME_PRESS = 1.0  # seconds within which a launcher and the terminal may both hand on one Ctrl-C


class StopRequested(Exception):
    """The user or the scheduler asked the run to stop."""


class Paused(Exception):
    """The run has taken the steps that its job asks for now, is evaluated there, and its state is saved.

    Args:
        step: Steps taken.
        steps: Of the whole run.
    """

    def __init__(self, step: int, steps: int) -> None:
        super().__init__(step, steps)
        self.step = step
        self.steps = steps


class StopFlag:
    """Set by a signal handler, read between two steps."""

    requested = False
    _since = 0.0

    def set(self, number: int | None = None, *_: Any) -> None:
        """Ask the run to save and stop after the current step; as a signal handler.

        Args:
            number: The signal's, or None.
            _: The frame that the signal came in.

        Raises:
            KeyboardInterrupt: Ctrl-C for the second time: at once.
        """
        if self.requested and number == signal.SIGINT and time.monotonic() - self._since > _SAME_PRESS:
            raise KeyboardInterrupt
        self._ask()

    def _ask(self) -> None:
        if not self.requested:
            self._since = time.monotonic()
        self.requested = True

    def agreed(self) -> bool:
        """Whether any process of the run was asked; every process must ask at the same point."""
        from pkdcli.engine.distributed.processes import any_rank

        if any_rank(self.requested):
            self._ask()
        return self.requested

    def check(self) -> None:
        """Stop here if asked to.

        Raises:
            StopRequested: Somebody asked.
        """
        if self.agreed():
            raise StopRequested

    def catch(self) -> None:
        """Have the signals ask: Ctrl-C, and what schedulers send before they take a machine away."""
        for number in SIGNALS:
            signal.signal(number, self.set)


STOP = StopFlag()
