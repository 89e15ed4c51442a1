"""Which finalist of a search is better: by its own seed, or by the mean over further ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from pkdcli.api.tune.result import Confirmation
from pkdcli.errors import PkdError
from pkdcli.launch.outcome import Watcher

if TYPE_CHECKING:
    from pkdcli.experiment.tuning.confirm import Confirmed
    from pkdcli.experiment.tuning.trials import RunTrial

Lead = tuple[float, float | None, float | None]
"""Of one finalist in AP points, and the ends of the 95 % interval over images, None where they are not known."""


def lead_of(best: Sequence[RunTrial], other: Sequence[RunTrial], watcher: Watcher) -> Lead:
    """How far one is ahead of another, and the interval over images; without ends where detections are missing.

    Args:
        best: Its finished runs, a seed each.
        other: The other's, of the same seeds.
        watcher: Told of what is missing.
    """
    from pkdcli.api.compare import held_against

    lead = fmean(_differences(best, other))
    try:
        found = held_against([one.planned.paths for one in other], [one.planned.paths for one in best], watcher)
    except PkdError as error:
        watcher.on_note(f"no interval over images: {error.message.rstrip('.')}")
        return lead, None, None
    by_images = found.metrics["mAP"].by_images
    return lead, by_images.lower, by_images.upper


def judge(
    finalists: Sequence[RunTrial], confirmed: Confirmed, watcher: Watcher
) -> tuple[list[RunTrial], Lead | None, Confirmation]:
    """The finalists by their mean over further seeds, and how sure that is.

    Args:
        finalists: By the search.
        confirmed: Their runs on these seeds.
        watcher: Told of what is missing.

    Returns:
        The finalists, the best first; of equal ones the search's. The lead of the best, None of a single one.
    """
    from pkdcli.reporting.statistics import t_interval

    total = finalists[0].total
    values = {
        trial.run: tuple(one.curve[total] for one in runs)
        for trial, runs in zip(finalists, confirmed.runs, strict=True)
    }
    runs = {trial.run: found for trial, found in zip(finalists, confirmed.runs, strict=True)}
    order = sorted(finalists, key=lambda one: -fmean(values[one.run]))
    lead, by_seeds = None, None
    if len(order) > 1:
        best, other = (runs[one.run] for one in order[:2])
        lead = lead_of(best, other, watcher)
        over_seeds = t_interval(_differences(best, other))
        if math.isfinite(over_seeds.half_width):
            by_seeds = over_seeds.lower, over_seeds.upper
    confirmation = Confirmation(
        seeds=confirmed.seeds,
        runs={one.run: tuple(each.run for each in runs[one.run]) for one in order},
        mAP={one.run: values[one.run] for one in order},
        by_seeds=by_seeds,
        steps=confirmed.steps,
        seconds=round(confirmed.seconds, 1),
    )
    return order, lead, confirmation


def _differences(best: Sequence[RunTrial], other: Sequence[RunTrial]) -> list[float]:
    """One's mAP less the other's, seed by seed."""
    return [one.curve[one.total] - two.curve[two.total] for one, two in zip(best, other, strict=True)]
