"""Asking a run to stop between two iterations."""

from __future__ import annotations

from typing import Any


class StopRequested(Exception):
    """The user or the scheduler asked the run to stop."""


class StopFlag:
    """Set by a signal handler, read between two iterations."""

    requested = False

    def set(self, *_: Any) -> None:
        """Ask the run to stop after the current iteration; as a signal handler."""
        self.requested = True

    def check(self) -> None:
        """Stop here if asked to.

        Raises:
            StopRequested: Somebody asked.
        """
        if self.requested:
            raise StopRequested


STOP = StopFlag()
