"""The process that trains or evaluates one run: `python -m pkdcli.engine.worker RUN_DIR`.

It reads `recipe.yaml` and `job.json` from the run directory, builds the config from the recipe (config.py, which could
hold code, is for people and stock tools), and leaves behind a status, a result or an error, never only a traceback.
"""

from __future__ import annotations

import argparse
import os
from contextlib import nullcontext
from pathlib import Path

from pkdcli import cores
from pkdcli.engine.distributed.stop import STOP
from pkdcli.engine.worker import lifecycle, single
from pkdcli.engine.worker.memory import keep_freed_memory
from pkdcli.errors import ExitCode, PkdError
from pkdcli.folders import libraries_cache, libraries_environment
from pkdcli.runs.lock import RunLock
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import Status
from pkdcli.runs.store import read_json


def main(argv: list[str] | None = None) -> int:
    """Run the worker of one run directory; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m pkdcli.engine.worker", description=__doc__)
    parser.add_argument("run_dirs", type=Path, nargs="+", metavar="RUN_DIR", help="several share a teacher")
    parser.add_argument("--eval", type=Path, help="evaluate as this JSON file asks instead of training")
    args = parser.parse_args(argv)
    os.environ.update(libraries_environment())
    os.environ.update(cores.variables())  # before torch is imported, which reads them then
    # By default beside other temporary files, which go with the job.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(libraries_cache() / "torchinductor"))
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
        lifecycle.print_error(error)
        return error.code


def _train(paths: RunPaths, rank: int) -> int:
    try:
        single.run(paths, lifecycle.start(paths, rank))
        if rank == 0:
            Status(paths).done()
    except BaseException as error:
        return lifecycle.explain(error, Status(paths), None, rank, lifecycle.error_file(paths))
    return ExitCode.OK


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
        return lifecycle.explain(error, None, Path(request["answer"]))
    return ExitCode.OK
