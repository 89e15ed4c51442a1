"""Groups of runs that differ in their seeds alone, one group held against another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import fmean, stdev

import numpy as np

from pkdcli.reporting.compare.members import LeftOut, one_recipe, several
from pkdcli.reporting.compare.pairs import alike, paired, without_partner
from pkdcli.reporting.compare.resamples import RESAMPLES, resampled, standard_error
from pkdcli.reporting.compare.scored import Scored
from pkdcli.reporting.statistics import SAME, Interval, permutation_test, t_interval, t_quantile
from pkdcli.runs.record import METRICS

MANY = 12
"""Images that are named where two groups differ most."""


@dataclass(frozen=True)
class Group:
    """Runs of one recipe, a seed each.

    Attributes:
        word: What somebody called them by: an id, or the beginning of several.
        runs: In the order of their seeds.
        left_out: Others that it means, which can't be measured.
    """

    word: str
    runs: tuple[Scored, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def seeds(self) -> list[int]:
        """Their seeds."""
        return [run.recipe.seed for run in self.runs]

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The mean of each metric over the runs, in AP points."""
        return _mean([run.metrics for run in self.runs])

    @cached_property
    def by_class(self) -> dict[str, float]:
        """The mean AP of each class over the runs."""
        return _mean([run.by_class for run in self.runs])

    @cached_property
    def errors(self) -> dict[str, float]:
        """TIDE's kinds of errors, the mean over the runs of the AP points that each costs."""
        return _mean([run.errors()["points"] for run in self.runs])

    @cached_property
    def errors_spread(self) -> dict[str, float]:
        """The sample standard deviation of the same over the runs; there are two at least."""
        rows = [run.errors()["points"] for run in self.runs]
        return {kind: _spread([row[kind] for row in rows]) for kind in rows[0]}

    @cached_property
    def calibration_error(self) -> float:
        """The mean expected calibration error, 0 to 1."""
        return fmean(run.calibration()["ece"] for run in self.runs)

    @cached_property
    def calibration(self) -> list[tuple[float, float]]:
        """(mean score, share that is right), both in %, of the detections of each tenth of scores that has any."""
        parts: dict[float, list[tuple[int, float, float]]] = {}
        for run in self.runs:
            for one in run.calibration()["bins"]:
                if one["count"]:
                    counted = (one["count"], one["avg_confidence"], one["avg_accuracy"])
                    parts.setdefault(one["bin_lower"], []).append(counted)
        found = []
        for _, rows in sorted(parts.items()):
            count = sum(row[0] for row in rows)
            score, right = (100 * sum(row[0] * row[place] for row in rows) / count for place in (1, 2))
            found.append((score, right))
        return found

    @cached_property
    def confusion(self) -> np.ndarray:
        """How often objects of one class (rows) were found as another (columns), the mean over the runs."""
        return np.mean([run.confusion() for run in self.runs], axis=0)


@dataclass(frozen=True)
class MetricDifference:
    """B less A in one metric.

    Attributes:
        a: The mean over A's runs, in AP points.
        b: That over B's.
        by_images: The interval that the choice of validation images leaves, with these seeds.
        by_seeds: The interval that the choice of seeds leaves, on these images; infinite for one pair.
    """

    a: float
    b: float
    by_images: Interval
    by_seeds: Interval


@dataclass(frozen=True)
class Against:
    """Group B held against group A.

    Attributes:
        a: What is compared with: its runs that have a partner.
        b: The other, likewise.
        pairs: The runs that were held against each other, A's first: of equal seeds, or the only two.
        metrics: By metric.
        differences: By metric, one a pair, in AP points.
        p_value: Of the permutation test over the pairs' mAP; None below five pairs.
        better: The share of resamples of images in which B's mAP is higher; None without resamples.
        classes: By class, B's AP less A's, the mean over the pairs, with its interval over images; NaN without objects.
        by_image: (image id, A's AP at IoU 0.5, B's) of the images where the first pair differs most, 0 to 1.
        left_out: Runs of both that are in no number: those that can't be measured, and those without a partner.
    """

    a: Group
    b: Group
    pairs: list[tuple[Scored, Scored]]
    metrics: dict[str, MetricDifference]
    differences: dict[str, list[float]]
    p_value: float | None
    better: float | None
    classes: dict[str, Interval] = field(default_factory=dict)
    by_image: list[tuple[int, float, float]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def alone(self) -> list[str]:
        """Ids of runs that were measured and have no partner of equal seed."""
        return [one.run for one in self.left_out if one.alone]

    @cached_property
    def errors(self) -> dict[str, Interval]:
        """By TIDE's kinds of errors how many AP50 points B's cost more than A's, with the interval over seeds."""
        rows = [[run.errors()["points"] for run in pair] for pair in self.pairs]
        return {kind: t_interval([b[kind] - a[kind] for a, b in rows]) for kind in rows[0][0]}


def grouped(word: str, runs: Sequence[Scored], left_out: Sequence[LeftOut] = ()) -> Group:
    """Runs that a word means as one group.

    Args:
        word: What somebody has called them by.
        runs: Those that it means and that were measured.
        left_out: The others.

    Raises:
        PkdError: They differ in more than their seeds.
    """
    one_recipe(word, [(run.run, run.recipe) for run in runs])
    by_seed: dict[int, Scored] = {}
    for run in sorted(runs, key=lambda one: (one.recipe.seed, one.run)):
        if (first := by_seed.setdefault(run.recipe.seed, run)) is not run:
            raise several(word, first.run, run.run)
    return Group(word, tuple(by_seed.values()), tuple(left_out))


def labels(groups: Sequence[Group]) -> list[str]:
    """A short name for each group that tells it from the others: its loss where that does, else more of its id."""
    parts = [group.runs[0].run.split("__") for group in groups]
    for told in (
        [one[1] if len(one) > 2 else one[0] for one in parts],
        [" ".join(one[:2]) for one in parts],
        [group.word for group in groups],
    ):
        if len(set(told)) == len(told):
            return told
    return [group.runs[0].run for group in groups]


def against(a: Group, b: Group, resamples: int = RESAMPLES, seed: int = 0) -> Against:
    """Hold one group against another, seed by seed.

    Args:
        a: What is compared with, such as a baseline's runs.
        b: The other.
        resamples: How often images are drawn; 0 for no intervals over images.
        seed: Of the drawing.

    Raises:
        PkdError: The groups have several runs and no seed in common, or were evaluated on other images.
    """
    pairs = paired(a, b)
    for one, other in pairs:
        alike(pairs[0][0], one)
        alike(one, other)
    count, images = len(pairs), len(pairs[0][0].found.images)
    left_out = without_partner(a, b)
    # Those without a partner are in no number: else the classes' differences were of other runs than mAP's.
    a, b = (replace(group, runs=tuple(pair[place] for pair in pairs)) for place, group in enumerate((a, b)))
    runs = [*a.runs, *b.runs]
    drawn = resampled(runs, resamples, seed) if resamples else None
    measured = [run.metrics for run in runs]
    metrics, differences = {}, {}
    for name in METRICS:
        values = [one[name] for one in measured]
        differences[name] = _differences(values).tolist()
        metrics[name] = MetricDifference(
            fmean(values[:count]),
            fmean(values[count:]),
            _over_images(values, None if drawn is None else drawn.metrics[name], images),
            t_interval(differences[name]),
        )
    by_class = [run.by_class for run in runs]
    classes = {
        name: _over_images([one[name] for one in by_class], None if drawn is None else drawn.classes[name], images)
        for name in by_class[0]
    }
    better = None if drawn is None else _share_above_zero(_differences(drawn.metrics["mAP"]).mean(axis=0))
    p_value = permutation_test(differences["mAP"])
    return Against(a, b, pairs, metrics, differences, p_value, better, classes, _apart(*pairs[0]), left_out)


def _differences(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """B's values less A's: B's runs stand after A's, pair by pair."""
    values = np.asarray(values)
    count = len(values) // 2
    return values[count:] - values[:count]


def _share_above_zero(drawn: np.ndarray) -> float | None:
    """Of the resamples that say something; None where none has an object."""
    known = drawn[np.isfinite(drawn)]
    return float(np.mean(known > 0)) if len(known) else None


def _over_images(values: Sequence[float], drawn: np.ndarray | None, images: int) -> Interval:
    """The mean difference and its interval over images.

    Args:
        values: Of A's runs, then of B's, on all images.
        drawn: (runs, resamples), the same on resamples of the images; None where there are none.
        images: How many there are.
    """
    mean, half = float(_differences(values).mean()), math.inf
    if drawn is not None and images > 1:
        spread = standard_error(_differences(drawn).mean(axis=0))
        # All its objects are in one image: each resample that has them is the same, and none says how sure that is.
        half = math.inf if spread < SAME < abs(mean) else t_quantile(images - 1) * spread
    return Interval(mean, mean - half, mean + half, images)


def _apart(a: Scored, b: Scored) -> list[tuple[int, float, float]]:
    """The images where two runs differ most, by AP at IoU 0.5 of the image alone."""
    first, second = a.by_image(), b.by_image()
    both = [(image, first[image], second[image]) for image in first if image in second]
    apart = [one for one in both if one[1] != one[2]]
    return sorted(apart, key=lambda one: (-abs(one[2] - one[1]), one[0]))[:MANY]


def _spread(values: Sequence[float]) -> float:
    return stdev(values) if all(map(math.isfinite, values)) else math.nan


def _mean(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: fmean(row[name] for row in rows) for name in rows[0]}

