"""Section `predictions`: what keeping the detections of the last evaluation costs a whole run."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

from pkdcli.data.scoring.predictions import read, write
from pkdcli.engine.bench.measure import Section, elsewhere, interleaved
from pkdcli.engine.bench.sections.experiment import of_epochs, train
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.paths import RunPaths

MOST = 0.02
"""The share of a run's time that keeping its detections may take."""


def keeping(recipe: Recipe, teacher: Path | None, repeat: int, folder: Path, epochs: int) -> Section:
    """Time whole runs that keep their detections and whole runs that do not, by turns, from launch to result.

    Args:
        recipe: A distilled run's, its data on disk.
        teacher: The teacher's run directory, finished; None for random weights.
        repeat: Rounds.
        folder: For run directories.
        epochs: Length of each run.
    """
    recipe = of_epochs(recipe, epochs)
    section = Section("predictions", f"Keeping the detections of {epochs} epochs of {recipe.pair}, launch to result")
    made: dict[bool, list[RunPaths]] = {True: [], False: []}

    def run(keep: bool) -> None:
        paths = RunPaths(folder / f"{'kept' if keep else 'not-kept'}{len(made[keep])}")
        train(recipe.model_copy(update={"keep_predictions": keep}), teacher, paths, folder)
        made[keep].append(paths)

    pieces = {"kept": lambda: run(True), "not kept": lambda: run(False)}
    section.time(interleaved(pieces, repeat, warmup=0, read=elsewhere()))
    section.ratio("longer with detections kept", ["kept"], ["not kept"], less=1.0)
    # The runs differ by more than this from one to the next: what is held to the bound is the writing itself.
    seconds = _writing(made[True][0].predictions, folder / "again.npz")
    whole = next(one["median"] for one in section.timings if one["name"] == "not kept")
    section.number("compressing and writing them, of the run's time", seconds / whole, "", at_most=MOST)
    section.number("size of the file", made[True][0].predictions.stat().st_size / 1e6, "MB")
    return section


def _writing(path: Path, to: Path) -> float:
    """Seconds that the file's content takes to be written once more, the median of five."""
    found, seconds = read(path), []
    for _ in range(5):
        begin = time.perf_counter()
        write(to, found)
        seconds.append(time.perf_counter() - begin)
    return median(seconds)
