"""The errors users see, and the exit codes. The only module everybody may import."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """What a `pkd` command returns to the shell."""

    OK = 0
    RUN_FAILED = 1  # a run failed
    USAGE = 2  # a wrong word, recipe or file
    MISSING = 3  # the machine lacks something: data, weights, space, a package
    INTERRUPTED = 130  # Ctrl-C


class PkdError(Exception):
    """An error that a user can act on; shown without a traceback.

    Args:
        message: What is wrong and where (file and key path).
        hint: What to do about it: the allowed values, the nearest match, the command to type.
        code: The exit code of the command.
    """

    def __init__(self, message: str, hint: str | None = None, code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = ExitCode(code)

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n{self.hint}"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or the interrupt of a notebook's kernel, when all that was at work has saved and stopped.

    Args:
        message: What goes on, and how to go on with the rest.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """The allowed word that looks most like `word`, or None where none does.

    Args:
        word: What the user wrote.
        allowed: Every word that would have done.
    """
    found = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.5)
    return found[0] if found else None


def unknown(kind: str, word: str, allowed: Iterable[str], where: str | None = None) -> PkdError:
    """The error for a word that is not among the allowed ones.

    Args:
        kind: What the word should name, for example ``"loss"``.
        word: What the user wrote.
        allowed: Every word that would have done.
        where: The file and key path, if the word stands in one.
    """
    allowed = sorted(allowed)
    guess = nearest(word, allowed)
    hint = f"Did you mean {guess!r}? " if guess else ""
    hint += f"Allowed: {', '.join(allowed)}." if allowed else f"There is no {kind} at all."
    return PkdError(f"{where + ': ' if where else ''}unknown {kind} {word!r}.", hint)
