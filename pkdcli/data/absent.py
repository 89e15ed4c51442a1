"""The error of a data set whose files are not there."""

from __future__ import annotations

from pkdcli.errors import ExitCode, PkdError


class AbsentData(PkdError):
    """A data set whose files are not there.

    Args:
        message: Which.
        hint: How to get them.
        code: The exit code of the command.
        scales_down: Whether an experiment on it runs at scale tiny too, on data that is drawn here.
    """

    def __init__(self, message: str, hint: str, code: ExitCode, *, scales_down: bool) -> None:
        super().__init__(message, hint, code)
        self.scales_down = scales_down
