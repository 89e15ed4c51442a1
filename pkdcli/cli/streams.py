"""The streams a command prints to: closed, on a full disk, or with a reader that has gone away."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any

from pkdcli.errors import ExitCode, PkdError

_NAMES = {1: "standard output", 2: "standard error"}


class _Output(io.FileIO):
    """A stream's file, whose errors name it: those of a full disk say nothing of where they happened."""

    def write(self, data: Any) -> int | None:
        """Write bytes; an `OSError` has the stream's name in the place of a file's."""
        try:
            return super().write(data)
        except OSError as error:
            error.filename = _NAMES[self.fileno()]
            raise


def prepare() -> None:
    """Open streams that are closed, and have the errors of the others name them.

    A stream that is closed (`pkd ... >&-`, some daemons) gets the null device, also in the processes of runs. Python
    has None in its place, and the next file opened would get its number: a run's file, into which a library prints.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old = getattr(sys, name)
        if old is None:
            mode = "w" if number in _NAMES else "r"
            stream = open(os.devnull, mode)  # noqa: SIM115 (lasts as long as the process); it gets the lowest free number
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)
        elif number in _NAMES and old is getattr(sys, f"__{name}__"):  # not what a test has put in its place
            file = io.BufferedWriter(_Output(number, "w", closefd=False))
            same = {key: getattr(old, key) for key in ("encoding", "errors", "line_buffering", "write_through")}
            setattr(sys, name, io.TextIOWrapper(file, **same))


def reader_gone(error: BaseException) -> bool:
    """Whether an output's reader has gone away, as in `pkd report | head -1`.

    Args:
        error: What a command was left with. rich and typer make an exit with code 1 of a broken pipe.
    """
    return isinstance(error, BrokenPipeError) or (
        isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError)
    )


def output_error(error: BaseException) -> PkdError | None:
    """What users are told where standard output or standard error can't be written; None where it is neither.

    Args:
        error: What a command was left with.
    """
    if not isinstance(error, OSError) or error.filename not in _NAMES.values():
        return None
    return PkdError(
        f"can't write to {error.filename}: {error.strerror}.",
        "Send it to another file (>FILE), where there is room.",
        ExitCode.MISSING,
    )


def discard() -> None:
    """Send what is left of an output that can't be written to the null device: at its end Python would complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError), open(os.devnull, "w") as null:
                os.dup2(null.fileno(), stream.fileno())
