"""How a run begins and ends: its status and its exit code, and an error in words for users."""

from __future__ import annotations

import errno
import os
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from pkdcli.engine.distributed.stop import Paused, StopRequested
from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import Status
from pkdcli.runs.store import cannot_write, read_object, write_json

WAIT = 3.0  # seconds that the first process waits for what another has to say of its end


def start(paths: RunPaths, rank: int) -> dict[str, Any]:
    """Say that a run has started; what its job.json says.

    Args:
        paths: The run directory.
        rank: This process's place among those of the run, from 0.

    Raises:
        PkdError: It is absent or damaged.
    """
    if rank == 0:
        for old in (error_file(paths), paths.cancel):
            old.unlink(missing_ok=True)
        Status(paths).start()
    job = read_object(paths.job)
    if "cache" not in job:
        raise PkdError(f"{paths.job} is absent or damaged.", "Type the command that made the run again.")
    return job


def error_file(paths: RunPaths) -> Path:
    """Where another process than the first leaves its error: all that the first sees is that the others have gone."""
    return paths.root / f".error-{os.environ.get('TORCHELASTIC_RUN_ID', '')}.json"


def explain(
    error: BaseException, status: Status | None, request: Path | None, rank: int = 0, other: Path | None = None
) -> int:
    """Write down why the worker stopped; returns its exit code, which is that of success where it was to pause.

    Args:
        error: What was raised.
        status: Of the run; None for an evaluation.
        request: The file into which the answer of an evaluation goes, or its error.
        rank: This process's.
        other: `error_file` of the run.
    """
    if isinstance(error, (StopRequested, KeyboardInterrupt)):
        if status and rank == 0:
            status.interrupt()
        return ExitCode.INTERRUPTED
    if isinstance(error, Paused):
        if status and rank == 0:
            status.pause(error.step, error.steps)
        return ExitCode.OK
    if not isinstance(error, PkdError):
        with suppress(OSError):
            traceback.print_exc()
        error = (other and rank == 0 and error_from_other_rank(other)) or as_user_error(error, log=request is None)
    print_error(error)
    try:
        if other and rank > 0:
            write_json(other, {"message": error.message, "hint": error.hint, "code": error.code})
        elif status:
            status.fail(error.message, error.hint, error.code)
        elif request:
            write_json(request, {"error": {"message": error.message, "hint": error.hint, "code": error.code}})
    except PkdError as second:  # a full disk can't take the status either
        print_error(second)
    return error.code


def print_error(error: PkdError) -> None:
    """Print an error for users to the process's error output."""
    with suppress(OSError):  # log.txt may be on the very disk that is full
        print(f"error: {error}", file=sys.stderr, flush=True)


def error_from_other_rank(other: Path, wait: float = WAIT) -> PkdError | None:
    """The error of another process, which may be a moment behind; None where none has left one.

    Args:
        other: `error_file` of the run.
        wait: Seconds to wait for it, where there are several processes.
    """
    deadline = time.monotonic() + (wait if int(os.environ.get("WORLD_SIZE", "1")) > 1 else 0)
    while not other.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    found = read_object(other)
    with suppress(OSError):
        other.unlink()
    return PkdError(found["message"], found.get("hint"), found.get("code", 1)) if "message" in found else None


def as_user_error(error: BaseException, log: bool = True) -> PkdError:
    """An unforeseen error in words for users.

    Args:
        error: What was raised.
        log: Whether there is a log.txt, in which the traceback stays.
    """
    from pkdcli.engine.data.loader_errors import cause_of, described

    text = described(error)
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower() or "can't allocate memory" in str(error):
        hint = "Give a smaller --batch-size (with --accumulate to keep the sum), or --amp on a GPU."
        return PkdError(text, f"{hint}", 1)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return cannot_write(error.filename or "the run's log", error)
    if isinstance(error, OSError) and error.errno is not None and error.filename:
        return PkdError(f"{error.filename}: {error.strerror}.", None, ExitCode.RUN_FAILED)
    where = cause_of(error).where
    hint = "The whole story is in the run's log.txt." if log else f"It was raised in {where}." if where else None
    return PkdError(text, hint, ExitCode.RUN_FAILED)
