"""Have a process of the engine do something, so that torch stays behind a process boundary. Nobody else starts one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from pkdcli import cores
from pkdcli.errors import ExitCode, PkdError
from pkdcli.folders import libraries_environment
from pkdcli.launch.local.starter import start
from pkdcli.runs.store import read_json, write_json

LAST = 10  # lines of a process that ended without a word


def ask(module: str, request: Mapping[str, Any], what: str, words: Sequence[str] = ()) -> dict[str, Any]:
    """Start a module of the engine with a request, and return what it answers.

    Ctrl-C, or whatever else ends the wait, ends the process too, with all that it has started.

    Args:
        module: It reads the JSON file it is started with, and writes its answer where `answer` in that says: an object,
            with `error` (`message`, `hint`, `code`) where something went wrong.
        request: Handed over, with `answer` added.
        what: What is being done, for the error of a process that ends without an answer: "the measurement".
        words: Other words of its command line, before the file.

    Raises:
        PkdError: What the process says went wrong, or how it ended.
    """
    with tempfile.TemporaryDirectory(prefix="pkd-") as folder:
        answer, log = Path(folder) / "answer.json", Path(folder) / "log.txt"
        asked = [*words, _written({**request, "answer": str(answer)}, folder)]
        with _started(module, asked, log, subprocess.DEVNULL, cores.variables()) as process:
            code = process.wait()
        written = read_json(answer)
        if not isinstance(written, dict):
            raise _ended(what, code, log)
    _refuse(written, what)
    return written


def ask_lines(
    module: str, request: Mapping[str, Any], what: str, env: Mapping[str, str] | None = None
) -> Iterator[dict[str, Any]]:
    """Start a module of the engine with a request, and yield each object that it prints as a line of JSON.

    The process ends when the iterator is left, whatever the reason, with all that it has started.

    Args:
        module: It reads the JSON file it is started with; `error` in a line says what went wrong.
        request: Handed over.
        what: What is being done, for the error of a process that ends with another exit code than 0.
        env: Added to the environment; by default the threads that fit the cores.

    Raises:
        PkdError: What the process says went wrong, or how it ended.
    """
    with tempfile.TemporaryDirectory(prefix="pkd-") as folder:
        log = Path(folder) / "log.txt"
        env = cores.variables() if env is None else env
        with _started(module, [_written(request, folder)], log, subprocess.PIPE, env) as process:
            for text in process.stdout:
                line = _answered(text)
                if line is not None:
                    _refuse(line, what)
                    yield line
            if code := process.wait():
                raise _ended(what, code, log)


def _answered(text: str) -> dict[str, Any] | None:
    """The object in a line; None for whatever else libraries print."""
    with suppress(ValueError):
        line = json.loads(text) if text.startswith("{") else None
        return line if isinstance(line, dict) else None
    return None


def _written(request: Mapping[str, Any], folder: str) -> str:
    path = Path(folder) / "request.json"
    write_json(path, request)
    return str(path)


@contextmanager
def _started(
    module: str, words: Sequence[str], log: Path, stdout: int, env: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with this context at the latest, or with us; what it says on stderr goes to `log`."""
    with open(log, "wb") as errors:
        process = start(
            [sys.executable, "-m", module, *words],
            stdout=stdout,
            stderr=errors,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **libraries_environment(), **env},
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """End a process and those that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    out: IO[str] | None = process.stdout
    if out is not None:
        out.close()


def _ended(what: str, code: int, log: Path) -> PkdError:
    """The error of a process that ended without saying why."""
    last = "\n".join(log.read_text(errors="replace").splitlines()[-LAST:])
    return PkdError(f"{what} ended with exit code {code}.", last or None, ExitCode.RUN_FAILED)


def _refuse(written: Mapping[str, Any], what: str) -> None:
    """Raise the error that an answer holds, if it does."""
    error = written.get("error")
    if error is None:
        return
    if not isinstance(error, dict) or not error.get("message"):
        raise PkdError(f"{what} failed: {error}", None, ExitCode.RUN_FAILED)
    code = error.get("code")
    raise PkdError(error["message"], error.get("hint"), code if code in iter(ExitCode) else ExitCode.RUN_FAILED)
