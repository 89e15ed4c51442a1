"""The error of weights that are not there, with the commands that make them."""

from __future__ import annotations

from collections.abc import Sequence

from pkdcli.errors import ExitCode, PkdError
from pkdcli.recipe.resolve import Request

_OR = (
    "or name weights with --teacher and --student: a RUN, a CHECKPOINT file, or zoo for the COCO weights of mmdet's "
    "zoo; or draw random weights with --untrained."
)


class NotTrained(PkdError):
    """Weights that are not there.

    Args:
        what: Each of them, in a sentence.
        commands: What makes them.
        near: Options that name others.
    """

    def __init__(self, what: Sequence[str], commands: Sequence[str], near: Sequence[str] = ()) -> None:
        lines = ["Type:", *(f"  {command}" for command in dict.fromkeys(commands))]
        lines += ["or take a baseline with other settings:", *(f"  {option}" for option in near)] if near else []
        message = "\n".join(dict.fromkeys(what))
        super().__init__(message, "\n".join([*lines, _OR]), ExitCode.MISSING)
        self.what, self.commands, self.near = what, commands, near


def together(errors: Sequence[NotTrained]) -> NotTrained:
    """All that is not there, as one error."""
    parts = [[item for error in errors for item in getattr(error, name)] for name in ("what", "commands", "near")]
    return NotTrained(*parts)


def command_for(request: Request, *more: str) -> str:
    """The `pkd train` that makes what is missing.

    Args:
        request: Names pair, scale, data and seed.
        *more: Further words.
    """
    words = ["pkd train --pair", request.pair]
    words += [] if request.scale == "paper" else ["--scale", request.scale]
    words += ["--data", request.data] if request.data else []
    words += ["--seed", str(request.seed)] if request.seed else []
    return " ".join([*words, *more])
