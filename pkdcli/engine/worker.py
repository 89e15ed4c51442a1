"""The process that trains or evaluates one run: `python -m pkdcli.engine.worker RUN_DIR`.

It reads `recipe.yaml` and `job.json` from the run directory, builds the config from the recipe (config.py, which could
hold code, is for people and stock tools), and leaves behind a status, a result or an error, never only a traceback.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from pkdcli.errors import ExitCode, PkdError
from pkdcli.places import cache_root
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import Status
from pkdcli.runs.store import read_json


def main(argv: list[str] | None = None) -> int:
    """Run the worker of one run directory; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m pkdcli.engine.worker", description=__doc__)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--eval", type=Path, help="evaluate as this JSON file asks instead of training")
    args = parser.parse_args(argv)
    paths = RunPaths(args.run_dir.absolute())
    # mmengine imports matplotlib, which would otherwise write its font list into the user's home.
    os.environ.setdefault("MPLCONFIGDIR", str(cache_root() / "matplotlib"))
    status = None if args.eval else Status(paths)
    rank_zero = int(os.environ.get("RANK", "0")) == 0
    try:
        if status and rank_zero:
            status.start()
        _catch_signals()
        if args.eval:
            from pkdcli.engine.evaluate import evaluate_request

            evaluate_request(read_json(args.eval))
        else:
            run(paths, read_json(paths.job) or {})
    except BaseException as error:
        return _explain(error, Status(paths) if status else None, args.eval, rank_zero)
    if status and rank_zero:
        Status(paths).done()
    return ExitCode.OK


def _catch_signals() -> None:
    from pkdcli.engine.stop import STOP

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, STOP.set)


def _explain(error: BaseException, status: Status | None, request: Path | None, rank_zero: bool) -> int:
    """Write down why the worker stopped; returns its exit code."""
    from pkdcli.engine.stop import StopRequested

    if isinstance(error, (StopRequested, KeyboardInterrupt)):
        if status and rank_zero:
            status.interrupt()
        return ExitCode.INTERRUPTED
    if not isinstance(error, PkdError):
        traceback.print_exc()
        error = as_user_error(error)
    print(f"error: {error}", file=sys.stderr, flush=True)
    try:
        if status and rank_zero:
            status.fail(error.message, error.hint, error.code)
        elif request:
            from pkdcli.runs.store import write_json

            write_json(request, {"error": {"message": error.message, "hint": error.hint, "code": error.code}})
    except PkdError as second:  # a full disk can't take the status either
        print(f"error: {second}", file=sys.stderr, flush=True)
    return error.code


def as_user_error(error: BaseException) -> PkdError:
    """An unforeseen error in words for users; the traceback stays in log.txt."""
    text = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}"
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower() or "can't allocate memory" in str(error):
        return PkdError(text, "Give a smaller --batch-size (with --accumulate to keep the sum), or --amp on a GPU.", 1)
    if isinstance(error, OSError) and error.errno is not None and error.filename:
        return PkdError(f"{error.filename}: {error.strerror}.", None, ExitCode.RUN_FAILED)
    return PkdError(text, "The whole story is in the run's log.txt.", ExitCode.RUN_FAILED)


def run(paths: RunPaths, job: dict[str, Any]) -> None:
    """Train the run's student (or teacher), or evaluate a given teacher, and write its result.

    Args:
        paths: The run directory.
        job: `cache` (folder), `teacher` (the teacher's run directory or None), `devices` (processes).
    """
    begin = time.perf_counter()
    import pkdcli.engine.register  # noqa: F401
    from pkdcli.engine import environment, result, train
    from pkdcli.recipe.library import parse, read_yaml
    from pkdcli.recipe.schema import Recipe

    recipe = parse(Recipe, read_yaml(paths.recipe), str(paths.recipe))
    environment.write(paths.env)
    outcome = train.train(recipe, paths, Path(job["cache"]), _teacher_weights(job), job.get("devices", 1))
    result.write(recipe, paths, outcome, job, time.perf_counter() - begin)


def _teacher_weights(job: dict[str, Any]) -> Path | None:
    return RunPaths(Path(job["teacher"])).teacher if job.get("teacher") else None


if __name__ == "__main__":
    sys.exit(main())
