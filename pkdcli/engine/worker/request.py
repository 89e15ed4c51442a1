"""How a process of the engine answers the command line that asked it (`pkdcli.launch.request`)."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pkdcli.errors import PkdError
from pkdcli.runs.store import read_json, write_json


def answer(argv: Sequence[str], work: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """Carry out the request in a JSON file, and write what came of it, or what went wrong, to its `answer`.

    Args:
        argv: The request's path.
        work: From the request to the answer.

    Returns:
        The exit code.
    """
    from pkdcli.engine.worker.lifecycle import as_user_error

    request = read_json(Path(argv[0]))
    try:
        found = work(request)
    except Exception as error:
        if not isinstance(error, PkdError):
            where = traceback.extract_tb(error.__traceback__)[-1]
            error = as_user_error(error)
            error.hint = f"This is a defect of pkd; it stopped in {where.filename}, line {where.lineno}."
        found = {"error": {"message": error.message, "hint": error.hint, "code": int(error.code)}}
    write_json(Path(request["answer"]), found)
    return found.get("error", {}).get("code", 0)


def answer_lines(argv: Sequence[str], work: Callable[[dict[str, Any], Callable[..., None]], None]) -> int:
    """Carry out the request in a JSON file, and print what comes of it as it comes, an object a line.

    Args:
        argv: The request's path.
        work: Takes the request, and what prints an object of its keywords.

    Returns:
        The exit code.
    """
    from pkdcli.engine.worker.lifecycle import as_user_error

    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer

    def say(**what: Any) -> None:
        print(json.dumps(what), file=answers, flush=True)

    try:
        work(read_json(Path(argv[0])), say)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if not isinstance(error, PkdError):
            traceback.print_exc()
            where = traceback.extract_tb(error.__traceback__)[-1]
            error = as_user_error(error, log=False)
            error.hint = error.hint or f"It was raised in {where.filename}, line {where.lineno}."
        say(error={"message": error.message, "hint": error.hint, "code": int(error.code)})
        return int(error.code)
    return 0
