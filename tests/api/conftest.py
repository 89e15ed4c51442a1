"""The same thing typed as a command and called as a function."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner


@dataclass(frozen=True)
class Typed:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


class Unread(list):
    """A command line that nobody may read."""

    def __getitem__(self, index):
        raise AssertionError("sys.argv was read")

    __iter__ = __getitem__


@pytest.fixture
def places(tmp_path, monkeypatch) -> Path:
    """An empty folder to work in, with runs and a cache of its own."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    for name in ("PKD_COCO", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    folders = {"PKD_RUNS": str(tmp_path / "runs"), "PKD_CACHE": str(tmp_path / "cache")}
    for name, value in {**folders, "COLUMNS": "200", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture
def typed(places):
    """Type a command, in this process."""
    from pkdcli.cli import app

    def typed(*words: str | Path) -> Typed:
        answer = CliRunner().invoke(app, [str(word) for word in words])
        if answer.exception is not None and not isinstance(answer.exception, SystemExit):
            raise answer.exception
        return Typed(answer.exit_code, answer.stdout, answer.stderr)

    return typed


@pytest.fixture
def called(places, capfd, monkeypatch):
    """Call a function, which must not print, leave or read the command line."""

    def called(function, *given, **keywords):
        capfd.readouterr()
        with monkeypatch.context() as inside:
            inside.setattr(sys, "argv", Unread())
            found = function(*given, **keywords)
        assert capfd.readouterr() == ("", "")
        return found

    return called
