"""Section `predictions`: what keeping the detections of the last evaluation costs a whole run."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import numpy as np

from pkdcli.data.scoring.predictions import read, write
from pkdcli.engine.bench.measure import Section, elsewhere, interleaved
from pkdcli.engine.bench.sections.experiment import of_epochs, train
from pkdcli.engine.metrics.predictions import kept
from pkdcli.recipe.schema import Recipe
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_jsonl

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
    # The runs differ by more than this from one to the next: what is held to the bound is what is done besides.
    first = made[True][0]
    collecting, writing = _besides(first.predictions, folder / "again.npz")
    evaluations = max(1, sum(line.get("kind") == "val" for line in read_jsonl(first.metrics)))
    whole = next(one["median"] for one in section.timings if one["name"] == "not kept")
    share = (evaluations * collecting + writing) / whole
    section.number("collecting, compressing and writing them, of the run's time", share, "", at_most=MOST)
    section.number("size of the file", first.predictions.stat().st_size / 1e6, "MB")
    section.notes.append(
        f"Collected at each of {evaluations} evaluations in {1000 * collecting:.2f} ms, compressed and written until "
        f"the disk has them once, at the end, in {1000 * writing:.1f} ms. That images are looked at, and that what is "
        "found is moved to the processor, is the evaluation's own: it does so in either run."
    )
    return section


def _besides(path: Path, to: Path) -> tuple[float, float]:
    """Seconds that a file's content takes to be collected, and to be written once more, each the median of five.

    Args:
        path: Detections that a run has kept.
        to: Where to write them, on the same disk.
    """
    found = read(path)
    boxes = np.column_stack([found.boxes, found.scores, found.labels]).astype(np.float32)
    ends = np.cumsum(found.counts)
    spans = np.column_stack([ends - found.counts, ends])
    facts = {"data": found.data, "split": found.split, "fingerprint": found.fingerprint}
    collecting, writing = [], []
    for _ in range(5):
        begin = time.perf_counter()
        again = kept(boxes, found.images, spans, found.classes, facts)
        collecting.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        write(to, again)
        writing.append(time.perf_counter() - begin)
    return median(collecting), median(writing)
