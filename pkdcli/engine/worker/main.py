"""The process that trains or evaluates one run: `python -m pkdcli.engine.worker RUN_DIR`.

It reads `recipe.yaml` and `job.json` from the run directory, builds the config from the recipe (config.py, which could
hold code, is for people and stock tools), and leaves behind a status, a result or an error, never only a traceback.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
import time
import traceback
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli import cores
from pkdcli.engine.distributed.stop import STOP, StopRequested
from pkdcli.engine.worker.memory import keep_freed_memory
from pkdcli.errors import ExitCode, PkdError
from pkdcli.folders import cache_root
from pkdcli.runs.lock import RunLock
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import Status
from pkdcli.runs.store import cannot_write, read_json, read_object, write_json

if TYPE_CHECKING:
    from pkdcli.engine.train.batches import Alone, Steps

WAIT = 3.0  # seconds that the first process waits for what another has to say of its end


def main(argv: list[str] | None = None) -> int:
    """Run the worker of one run directory; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m pkdcli.engine.worker", description=__doc__)
    parser.add_argument("run_dirs", type=Path, nargs="+", metavar="RUN_DIR", help="several share a teacher")
    parser.add_argument("--eval", type=Path, help="evaluate as this JSON file asks instead of training")
    args = parser.parse_args(argv)
    # mmengine imports matplotlib and yapf, which would otherwise write their caches into the user's home.
    os.environ["PKD_CACHE"] = os.environ["XDG_CACHE_HOME"] = str(cache_root())
    os.environ.setdefault("MPLCONFIGDIR", str(cache_root() / "matplotlib"))
    os.environ.update(cores.variables())  # before torch is imported, which reads them then
    # By default beside other temporary files, which go with the job.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_root() / "torchinductor"))
    keep_freed_memory()
    STOP.catch()
    if args.eval:
        return _evaluate(args.eval)
    if len(args.run_dirs) > 1:
        return _train_together(args.run_dirs)
    paths, rank = RunPaths(args.run_dirs[0].absolute()), int(os.environ.get("RANK", "0"))
    try:
        with RunLock(paths) if rank == 0 else nullcontext():
            return _train(paths, rank)
    except PkdError as error:  # the lock: the status is that of whoever holds it
        _say(error)
        return error.code


def _train(paths: RunPaths, rank: int) -> int:
    try:
        run(paths, start(paths, rank))
        if rank == 0:
            Status(paths).done()
    except BaseException as error:
        return explain(error, Status(paths), None, rank, told_file(paths))
    return ExitCode.OK


def start(paths: RunPaths, rank: int) -> dict[str, Any]:
    """Say that a run has started; what its job.json says.

    Raises:
        PkdError: It is absent or damaged.
    """
    if rank == 0:
        for old in (told_file(paths), paths.cancel):
            old.unlink(missing_ok=True)
        Status(paths).start()
    job = read_object(paths.job)
    if "cache" not in job:
        raise PkdError(f"{paths.job} is absent or damaged.", "Type the command that made the run again.")
    return job


def told_file(paths: RunPaths) -> Path:
    """Where another process than the first leaves its error: all that the first sees is that the others have gone."""
    return paths.root / f".error-{os.environ.get('TORCHELASTIC_RUN_ID', '')}.json"


def _train_together(run_dirs: list[Path]) -> int:
    from pkdcli.engine.worker.group import train_group

    codes = set(train_group(run_dirs).values())
    return ExitCode.INTERRUPTED if ExitCode.INTERRUPTED in codes else max(codes)


def _evaluate(path: Path) -> int:
    request = read_json(path)
    try:
        from pkdcli.engine.worker.evaluate import evaluate_request

        evaluate_request(request)
    except BaseException as error:
        return explain(error, None, Path(request["answer"]))
    return ExitCode.OK


def explain(
    error: BaseException, status: Status | None, request: Path | None, rank: int = 0, told: Path | None = None
) -> int:
    """Write down why the worker stopped; returns its exit code.

    Args:
        error: What was raised.
        status: Of the run; None for an evaluation.
        request: The file into which the answer of an evaluation goes, or its error.
        rank: This process's.
        told: `told_file` of the run.
    """
    if isinstance(error, (StopRequested, KeyboardInterrupt)):
        if status and rank == 0:
            status.interrupt()
        return ExitCode.INTERRUPTED
    if not isinstance(error, PkdError):
        with suppress(OSError):
            traceback.print_exc()
        error = (told and rank == 0 and from_another(told)) or as_user_error(error, log=request is None)
    _say(error)
    try:
        if told and rank > 0:
            write_json(told, {"message": error.message, "hint": error.hint, "code": error.code})
        elif status:
            status.fail(error.message, error.hint, error.code)
        elif request:
            write_json(request, {"error": {"message": error.message, "hint": error.hint, "code": error.code}})
    except PkdError as second:  # a full disk can't take the status either
        _say(second)
    return error.code


def _say(error: PkdError) -> None:
    with suppress(OSError):  # log.txt may be on the very disk that is full
        print(f"error: {error}", file=sys.stderr, flush=True)


def from_another(told: Path, wait: float = WAIT) -> PkdError | None:
    """The error of another process, which may be a moment behind; None where none has left one."""
    deadline = time.monotonic() + (wait if int(os.environ.get("WORLD_SIZE", "1")) > 1 else 0)
    while not told.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    found = read_object(told)
    with suppress(OSError):
        told.unlink()
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


def run(paths: RunPaths, job: dict[str, Any]) -> None:
    """Train the run's student (or teacher), or evaluate a given teacher, and write its result.

    Args:
        paths: The run directory.
        job: `cache` (folder), `teacher` (the teacher's run directory or None).
    """
    begin = time.perf_counter()
    import pkdcli.engine.register  # noqa: F401
    from pkdcli.engine.distributed import processes
    from pkdcli.engine.train.batches import Alone, drive

    own = Alone()
    drive(steps(paths, job, own, begin), own)
    processes.leave()


def steps(paths: RunPaths, job: dict[str, Any], own: Alone, begin: float) -> Steps[None]:
    """The same, with batches that somebody hands over.

    Args:
        paths: The run directory.
        job: As for `run`.
        own: Loads the data.
        begin: When this began, as `time.perf_counter` tells it.
    """
    from pkdcli.engine.distributed import processes
    from pkdcli.engine.train import trainer
    from pkdcli.engine.worker import environment, result
    from pkdcli.recipe.library import parse, read_yaml
    from pkdcli.recipe.schema import Recipe

    recipe = parse(Recipe, read_yaml(paths.recipe), str(paths.recipe))
    if processes.rank() == 0:
        status = Status(paths, recipe)
        status.write()  # what identifies the run, in case the file was lost or damaged
        for text in environment.write(paths, recipe, job.get("launcher")):
            status.warn(text)
    outcome = yield from trainer.steps(recipe, paths, Path(job["cache"]), _teacher_weights(job), own)
    result.write(recipe, paths, outcome, job, time.perf_counter() - begin)


def _teacher_weights(job: dict[str, Any]) -> Path | None:
    return RunPaths(Path(job["teacher"])).teacher if job.get("teacher") else None
