"""The command line in this process."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def type_(here, monkeypatch, capsys):
    """Type a command as a user does: the real entry point, in this process."""
    from pkdcli.cli import main

    def type_(*words: str | Path) -> Said:
        monkeypatch.setattr(sys, "argv", ["pkd", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        return Said(left.value.code or 0, *capsys.readouterr())

    return type_


@pytest.fixture
def shown(type_):
    """State and reason of every run, as `pkd status --json` tells."""

    def shown(*words: str) -> dict[str, tuple[str, str | None]]:
        records = map(json.loads, type_("status", "--json", *words).out.splitlines())
        return {record["run"]: (record["state"], record["reason"]) for record in records}

    return shown
