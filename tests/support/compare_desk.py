"""`pkd compare` typed in this process over runs that were never trained."""

from __future__ import annotations

import pytest
from asking import answer
from compared_runs import ComparedRuns

from pkdcli.cli.look import compare as compare_command
from pkdcli.errors import PkdError


class Desk(ComparedRuns):
    """The command in this process, in a folder of its own."""

    def __call__(self, *words, code=0):
        return answer(compare_command.command, (*words, "--quiet"), code)


def desk_in(folder, monkeypatch, **made) -> Desk:
    """A folder of runs and a cache that commands look in.

    Args:
        folder: Where both are made.
        monkeypatch: pytest's.
        made: As for `ComparedRuns`.
    """
    desk = Desk(folder, **made)
    monkeypatch.setenv("PKD_RUNS", str(desk.runs))
    monkeypatch.setenv("PKD_CACHE", str(desk.cache))
    return desk


def refused(desk, *words) -> PkdError:
    """The error of a command that is refused."""
    with pytest.raises(PkdError) as caught:
        desk(*words)
    return caught.value
