"""Have a process of the engine do something, so that torch stays behind a process boundary."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pkdcli import cores
from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.store import read_json, write_json


def ask(module: str, request: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Start a module of the engine with a request, and return what it answers.

    Args:
        module: It reads the JSON file it is started with, and writes its answer where `answer` in that says: an object,
            with `error` (`message`, `hint`, `code`) where something went wrong.
        request: Handed over, with `answer` added.
        what: What is being done, for the error of a process that ends without an answer: "the measurement".

    Raises:
        PkdError: What the process says went wrong, or how it ended.
    """
    with tempfile.TemporaryDirectory(prefix="pkd-") as folder:
        asked, answer = Path(folder) / "request.json", Path(folder) / "answer.json"
        write_json(asked, {**request, "answer": str(answer)})
        command = [sys.executable, "-m", module, str(asked)]
        env = {**os.environ, **cores.variables()}
        process = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=env, check=False
        )
        written = read_json(answer)
    if not isinstance(written, dict):
        last = "\n".join(process.stderr.splitlines()[-10:]) or None
        raise PkdError(f"{what} ended with exit code {process.returncode}.", last, ExitCode.RUN_FAILED)
    if "error" in written:
        raise PkdError(written["error"]["message"], written["error"]["hint"], written["error"]["code"])
    return written
