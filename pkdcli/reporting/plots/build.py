"""All pictures of some runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from pkdcli.reporting.curves import Curves, read_curves
from pkdcli.reporting.plots import KINDS
from pkdcli.reporting.plots.figure import Figure
from pkdcli.reporting.plots.gains import by_images, gains_figure
from pkdcli.reporting.plots.groups import groups_of
from pkdcli.reporting.plots.levels import levels_figure
from pkdcli.reporting.plots.search import search_figures
from pkdcli.reporting.plots.sizes import sizes_figure
from pkdcli.reporting.plots.tradeoff import tradeoff_figures
from pkdcli.reporting.plots.training import Read, levels_of_run, training_figure
from pkdcli.reporting.plots.weights import weights_figure
from pkdcli.runs.record import Record

KEPT = 256  # runs whose curves are in memory at a time; baselines are asked for again and again
SINGLE = 12  # pictures of single runs at most


def reader() -> Read:
    """Reads a run's curves, and keeps those that were asked for last."""
    return lru_cache(maxsize=KEPT)(lambda folder: read_curves(folder) if folder else Curves())


def figures(
    records: Sequence[Record],
    everything: Sequence[Record],
    read: Read | None = None,
    single: bool = False,
    kinds: Sequence[str] = KINDS,
) -> list[Figure]:
    """What there is to see in some runs, in order: tradeoff by data set; searches; by group weights, gains, sizes,
    levels, training.

    Args:
        records: The runs.
        everything: All runs, for the baselines.
        read: Gives the curves of a run's folder.
        single: The levels of single runs too, of the first few.
        kinds: Of `KINDS`.
    """
    read = read or reader()
    found: list[Figure | None] = [*tradeoff_figures(records, everything)] if "tradeoff" in kinds else []
    found += search_figures(records, everything, read) if "search" in kinds else []
    groups, over_images = groups_of(records, everything), by_images()
    makers = {
        "weights": weights_figure,
        "gains": lambda group: gains_figure(group, over_images),
        "sizes": sizes_figure,
        "levels": lambda group: levels_figure(group, read),
        "training": lambda group: training_figure(group, read),
    }
    for group in groups:
        found += [make(group) for kind, make in makers.items() if kind in kinds]
    if single and "levels" in kinds:
        found += [levels_of_run(record, read) for group in groups for record in group.runs][:SINGLE]
    return [figure for figure in found if figure is not None]
