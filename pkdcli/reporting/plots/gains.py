"""Each method's gain over its baseline with the interval of it: what is sure, and what may be chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pkdcli.errors import PkdError
from pkdcli.reporting.plots.figure import Figure, Panel, Series, stem
from pkdcli.reporting.plots.groups import Group, by_method
from pkdcli.reporting.statistics import Interval, t_interval, t_quantile
from pkdcli.reporting.table import signed
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.record import Record

OverImages = Callable[[Record], Interval | None]
SEEDS, IMAGES, NONE = "95 % over seeds", "95 % over images, one seed", "one seed, no interval"
RESAMPLES = 400
MANY_IMAGES, MANY_RUNS = 1000, 12
"""Intervals over images are worked out for so many images and runs at most: a report is to be there at once."""
_REACH = 3.0
"""An axis ends where an interval reaches so many times as far as the largest gain; two seeds' may go on for ever."""


@dataclass(frozen=True)
class _Row:
    """One method: its name, how many seeds, what its interval is of, and the interval, infinite where there is none."""

    name: str
    seeds: int
    kind: str
    interval: Interval


def gains_figure(group: Group, over_images: OverImages) -> Figure | None:
    """The gains of a group's methods, paired by seed; None where none has a baseline.

    Args:
        group: The runs.
        over_images: The interval of one run's gain that the choice of validation images leaves.
    """
    rows = []
    for name, members in by_method(group.runs).items():
        known = [record for record in members if record["gain"] is not None]
        if known:
            rows.append(_row(name, known, over_images))
    if not rows:
        return None
    categories = [f"{row.name} ({row.seeds} seed{'s' * (row.seeds != 1)})" for row in rows]
    series = [_series(kind, rows) for kind in (SEEDS, IMAGES, NONE) if any(row.kind == kind for row in rows)]
    panel = Panel("", "gain over the baseline (AP points)", "", series, kind="intervals", categories=categories,
                  y_range=_range([row.interval for row in rows]))  # fmt: skip
    name = stem("gains", *group.file_words)
    return Figure(name, "gains", f"Gain with its interval: {group.title}", _caption(rows), [panel], group.key)


def _row(name: str, known: Sequence[Record], over_images: OverImages) -> _Row:
    interval = t_interval([record["gain"] for record in known])
    if len(known) > 1:
        return _Row(name, len(known), SEEDS, interval)
    drawn = over_images(known[0])
    return _Row(name, 1, NONE if drawn is None else IMAGES, drawn or interval)


def _series(kind: str, rows: Sequence[_Row]) -> Series:
    means = [row.interval.mean if row.kind == kind else None for row in rows]
    ends = [(row.interval.lower, row.interval.upper) if row.kind == kind and math.isfinite(row.interval.lower) else None
            for row in rows]  # fmt: skip
    look = {SEEDS: "pkd", IMAGES: "mse", NONE: "baseline"}[kind]
    return Series(kind, [float(n) for n in range(len(rows))], means, look=look, ends=ends)


def _range(intervals: Sequence[Interval]) -> tuple[float, float]:
    """From the lowest to the highest end, zero among them, but no further than `_REACH` says."""
    reach = max(1.0, _REACH * max(abs(one.mean) for one in intervals))
    ends = [end for one in intervals for end in (one.lower, one.upper, one.mean) if math.isfinite(end)]
    low, high = max(-reach, min(0.0, *ends)), min(reach, max(0.0, *ends))
    if low == high:  # students and baselines that find nothing
        return -reach, reach
    pad = 0.05 * (high - low)
    return low - pad * (low < 0), high + pad * (high > 0)


def _caption(rows: Sequence[_Row]) -> str:
    parts = []
    for row in rows:
        text = f"{row.name}: {signed(row.interval.mean)}"
        if math.isfinite(row.interval.lower):
            of = f"{row.seeds} seeds" if row.kind == SEEDS else f"{row.interval.count} images"
            text += f", {signed(row.interval.lower)} to {signed(row.interval.upper)} over {of}"
        parts.append(text)
    return "; ".join(parts) + ". Where an interval holds 0, there may be no gain at all."


def by_images() -> OverImages:
    """Works out intervals over images from what runs have kept; says None once there were many, or where it can't."""
    left = [MANY_RUNS]

    def over_images(record: Record) -> Interval | None:
        folder = Path(str(record["path"]))
        baseline = folder.parent / str(record["baseline"])
        if not left[0] or not all(_has_kept(one, record["data"]) for one in (folder, baseline)):
            return None
        left[0] -= 1
        return _measured(str(folder), str(baseline))

    return over_images


def _has_kept(run: Path, data: str) -> bool:
    """Whether there may be detections: those of a run's end, or those of a later `pkd eval`."""
    paths = RunPaths(run)
    return any(one.is_file() for one in (paths.predictions, paths.evaluation_predictions(data, "val")))


@lru_cache(maxsize=256)  # the page and the files of one command show the same
def _measured(folder: str, baseline: str) -> Interval | None:
    import numpy as np

    from pkdcli.folders import cache_root
    from pkdcli.reporting.compare.pairs import alike
    from pkdcli.reporting.compare.resamples import resampled, standard_error
    from pkdcli.reporting.compare.scored import score

    try:
        runs = [score(RunPaths(Path(one)), cache_root()) for one in (baseline, folder)]
        alike(*runs)
    except PkdError:  # other images, data that is gone: `pkd compare` says which
        return None
    if not 1 < len(runs[0].found.images) <= MANY_IMAGES:
        return None
    drawn, images = resampled(runs, RESAMPLES).metrics["mAP"], len(runs[0].found.images)
    mean = runs[1].metrics["mAP"] - runs[0].metrics["mAP"]
    half = t_quantile(images - 1) * standard_error(np.subtract(drawn[1], drawn[0]))
    return Interval(mean, mean - half, mean + half, images) if math.isfinite(half) else None
