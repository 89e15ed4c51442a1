"""What runs would have reached on other images: the spread of their metrics over random halves of the images.

Each resample counts a random half of the images twice and the others not at all ("double or nothing", a bootstrap with
exchangeable weights: Præstgaard and Wellner 1993, Owen and Eckles 2012). Its spread is that of the usual bootstrap,
which draws images with replacement, since both give an image's weight a variance of one. Every run is measured on the
same halves, so that what makes an image hard for all of them falls out of their differences.

hotcoco's own `compare` draws with replacement and then counts an image that was drawn twice once: its intervals are
too narrow by a quarter (a factor of 0.76), as tests/reporting/compare/test_pairs.py measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from pkdcli import cores
from pkdcli.data.scoring.weighted import six
from pkdcli.reporting.compare.scored import POINTS, Scored
from pkdcli.runs.record import METRICS

RESAMPLES = 1000
_AT_A_TIME = 50  # resamples that a thread takes


@dataclass(frozen=True)
class Resampled:
    """Metrics of runs on resamples of their images, in AP points; NaN where a resample has no such object.

    Attributes:
        metrics: By metric, float64 (runs, resamples).
        classes: By the name of the class, its AP likewise.
    """

    metrics: dict[str, np.ndarray]
    classes: dict[str, np.ndarray]


def resampled(runs: Sequence[Scored], resamples: int = RESAMPLES, seed: int = 0) -> Resampled:
    """The metrics of runs on random halves of their images, the same halves for all.

    Args:
        runs: Evaluated on the same images.
        resamples: How many halves.
        seed: Of their drawing.
    """
    count, labels = len(runs[0].found.images), len(runs[0].classes)
    random = np.random.default_rng(seed)
    weights = np.zeros((resamples, count), dtype=np.uint8)
    for row in weights:
        row[random.permutation(count)[: (count + 1) // 2]] = 2
    found = np.empty((len(METRICS), len(runs), resamples))
    classes = np.empty((labels, len(runs), resamples))

    def measure(part: tuple[int, int]) -> None:
        run, begin = part
        precisions = runs[run].weighted.precisions(weights[begin : begin + _AT_A_TIME])
        for place, precision in enumerate(precisions, begin):
            found[:, run, place] = six(precision)
            classes[:, run, place] = POINTS * precision[0].mean(axis=0)

    for run in runs:
        _ = run.weighted  # matched before threads ask for it
    parts = [(run, begin) for run in range(len(runs)) for begin in range(0, resamples, _AT_A_TIME)]
    with ThreadPoolExecutor(max(1, cores.share())) as pool:
        list(pool.map(measure, parts))
    return Resampled(dict(zip(METRICS, found, strict=True)), dict(zip(runs[0].classes, classes, strict=True)))


def standard_error(differences: np.ndarray) -> float:
    """The standard error of a difference over images, from its resamples; NaN where they say nothing.

    Args:
        differences: float64 (resamples,), in AP points.
    """
    known = differences[np.isfinite(differences)]
    return float(np.std(known, ddof=1)) if len(known) > 1 else float("nan")
