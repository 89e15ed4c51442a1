"""What runs would have reached on other images: the spread of their metrics over random halves of the images.

Each resample counts a random half of the images twice and the others not at all ("double or nothing", a bootstrap with
exchangeable weights: Præstgaard and Wellner 1993, Owen and Eckles 2012). Its spread is that of the usual bootstrap,
which draws images with replacement, since both give an image's weight a variance of one. Every run is measured on the
same halves, so that what makes an image hard for all of them falls out of their differences.

hotcoco's own `compare` draws with replacement and then counts an image that was drawn twice once: its intervals are
too narrow by a quarter (a factor of 0.76), as tests/reporting/compare/test_resamples.py measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pkdcli import cores
from pkdcli.reporting.compare.scored import POINTS, Scored
from pkdcli.runs.record import METRICS

RESAMPLES = 1000
_HOTCOCO = dict(zip(METRICS, ("AP", "AP50", "AP75", "APs", "APm", "APl"), strict=True))


def resampled(runs: Sequence[Scored], resamples: int = RESAMPLES, seed: int = 0) -> dict[str, np.ndarray]:
    """The metrics of runs on random halves of their images, the same halves for all.

    Args:
        runs: Evaluated on the same images.
        resamples: How many halves.
        seed: Of their drawing.

    Returns:
        By metric, float64 (runs, resamples) in AP points; NaN where a half has no object of that size.
    """
    numbers = [runs[0].truth.image_number(image) for image in sorted(runs[0].found.images.tolist())]
    random = np.random.default_rng(seed)
    half = (len(numbers) + 1) // 2
    drawn = [random.permutation(numbers)[:half].tolist() for _ in range(resamples)]
    found = {name: np.full((len(runs), resamples), np.nan) for name in METRICS}

    def measure(run: int) -> None:
        measured = runs[run].evaluation.slice_by({str(number): half for number, half in enumerate(drawn)})
        for name, key in _HOTCOCO.items():
            values = np.array([measured[str(number)][key] for number in range(resamples)], dtype=np.float64)
            found[name][run] = np.where(values >= 0, POINTS * values, np.nan)

    with ThreadPoolExecutor(max(1, cores.share())) as pool:
        list(pool.map(measure, range(len(runs))))
    return found


def standard_error(differences: np.ndarray) -> float:
    """The standard error of a difference over images, from its resamples; NaN where they say nothing.

    Args:
        differences: float64 (resamples,), in AP points.
    """
    known = differences[np.isfinite(differences)]
    return float(np.std(known, ddof=1)) if len(known) > 1 else float("nan")
