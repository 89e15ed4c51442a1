"""One run in a process of its own, or its part in a group of runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import Status

if TYPE_CHECKING:
    from pkdcli.engine.train.batches import TrainingContext, TrainingCoroutine


def run(paths: RunPaths, job: dict[str, Any]) -> None:
    """Train the run's student (or teacher), or evaluate a given teacher, and write its result.

    Args:
        paths: The run directory.
        job: `cache` (folder), `teacher` (the teacher's run directory or None).
    """
    begin = time.perf_counter()
    import pkdcli.engine.register  # noqa: F401
    from pkdcli.engine.distributed import processes
    from pkdcli.engine.train.batches import TrainingContext, run_to_end

    context = TrainingContext()
    run_to_end(run_steps(paths, job, context, begin), context)
    processes.leave()


def run_steps(paths: RunPaths, job: dict[str, Any], context: TrainingContext, begin: float) -> TrainingCoroutine[None]:
    """The same, with batches that somebody hands over.

    Args:
        paths: The run directory.
        job: As for `run`.
        context: Loads the data.
        begin: When this began, as `time.perf_counter` tells it.
    """
    from pkdcli.engine.distributed import processes
    from pkdcli.engine.setup import environment
    from pkdcli.engine.train import trainer
    from pkdcli.engine.train.batches import Pause
    from pkdcli.engine.worker import result
    from pkdcli.recipe.modules.copies import copies_used, read_recipe

    recipe = read_recipe(paths.recipe)
    if copied := copies_used(recipe, paths.root):
        names = ", ".join(copied)
        print(f"modules that are not beside their recipes as they were: the run's own copies are used: {names}")
    if processes.rank() == 0:
        status = Status(paths, recipe)
        status.write()  # what identifies the run, in case the file was lost or damaged
        for text in environment.write(paths, recipe, job.get("launcher")):
            status.warn(text)
    context.pause = Pause(**job["pause"]) if job.get("pause") else None
    outcome = yield from trainer.run_steps(recipe, paths, Path(job["cache"]), _teacher_weights(job), context)
    result.write(recipe, paths, outcome, job, time.perf_counter() - begin)


def _teacher_weights(job: dict[str, Any]) -> Path | None:
    return RunPaths(Path(job["teacher"])).teacher if job.get("teacher") else None
