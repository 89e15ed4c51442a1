"""How tests ask and are answered: what is refused, commands here and in a process of their own, stand-in answers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from pkdcli.errors import ExitCode, PkdError


def refused(call: Callable[..., Any], *args: Any) -> PkdError:
    """The error with which a call is refused as a wrong word, recipe or file."""
    with pytest.raises(PkdError) as caught:
        call(*args)
    assert caught.value.code == ExitCode.USAGE
    return caught.value


def answer(command: Callable[..., None], words: tuple[Any, ...], code: int) -> Result:
    """What a command by itself answers in this process, with this exit code; its error as it is raised."""
    app = typer.Typer()
    app.command()(command)
    found = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(found.exception, PkdError):
        raise found.exception
    assert found.exit_code == code, found.output
    return found


def card(words: str, here: Path) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command in a process of its own."""
    process = subprocess.run(
        [sys.executable, "-m", "pkdcli", *words.split()],
        cwd=here,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return process.returncode, process.stdout, process.stderr


def process(written: Any, code: int) -> str:
    """A script in the place of a module of the engine: it answers, and ends with this exit code."""
    write = f"json.dump({written!r}, open(json.load(open(sys.argv[1]))['answer'], 'w'))"
    return f"import json, sys; {write}; sys.exit({code})"


KILLED = "import os, sys; print('killed', file=sys.stderr, flush=True); os.kill(os.getpid(), 9)"
"""One that is killed before it answers."""
