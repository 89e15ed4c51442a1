"""Two runs on the same images: by how much one is better, and how much of that could be the choice of images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pkdcli.errors import PkdError
from pkdcli.reporting.compare.resamples import RESAMPLES, resampled, standard_error
from pkdcli.reporting.compare.scored import Scored
from pkdcli.reporting.statistics import Interval
from pkdcli.runs.record import METRICS

NORMAL = 1.959964
"""Standard errors to each side of a 95 % interval of a normal distribution."""


@dataclass(frozen=True)
class Difference:
    """B less A.

    Attributes:
        a: The run that is compared with, such as a baseline.
        b: The other.
        metrics: Each metric's difference in AP points with its interval over images; NaN where the data has no object
            of that size.
        by_class: Differences in AP points by the name of the class.
        better: The share of resamples in which B has the higher mAP, 0 to 1; None without resamples.
    """

    a: Scored
    b: Scored
    metrics: dict[str, Interval]
    by_class: dict[str, float]
    better: float | None


def difference(a: Scored, b: Scored, resamples: int = RESAMPLES, seed: int = 0) -> Difference:
    """Compare two runs by a paired bootstrap over images.

    The interval is the difference ± 1.96 standard errors, which are the spread over resamples (`resamples`).

    Args:
        a: What is compared with.
        b: The other.
        resamples: How often images are drawn; 0 for no intervals.
        seed: Of the drawing.

    Raises:
        PkdError: They were evaluated on other data, splits, images or classes.
    """
    alike(a, b)
    ours, theirs = a.metrics, b.metrics
    drawn = resampled((a, b), resamples, seed) if resamples else None
    metrics, better = {}, None
    for name in METRICS:
        mean, half = theirs[name] - ours[name], math.inf
        if drawn is not None:
            differences = drawn[name][1] - drawn[name][0]
            half = NORMAL * standard_error(differences)
            if name == "mAP":
                better = float(np.mean(differences > 0))
        metrics[name] = Interval(mean, mean - half, mean + half, len(a.found.images))
    first, second = a.by_class, b.by_class
    by_class = {name: second[name] - value for name, value in first.items()}
    return Difference(a, b, metrics, by_class, better)


def alike(a: Scored, b: Scored) -> None:
    """Make sure that two runs can be compared image by image.

    Args:
        a: One of them.
        b: The other.

    Raises:
        PkdError: They were evaluated on other data, another split, other images or other classes; with both names.
    """
    for what, one, other in (
        ("data set", a.found.data, b.found.data),
        ("split", a.found.split, b.found.split),
        ("annotations (fingerprint)", a.found.fingerprint, b.found.fingerprint),
        ("classes", sorted(a.found.classes), sorted(b.found.classes)),
    ):
        if one != other:
            raise PkdError(
                f"{a.run} and {b.run} can't be compared: their {what} differ: {_short(one)} and {_short(other)}.",
                "Compare runs that were trained and evaluated on the same data.",
            )
    ours, theirs = set(a.found.images.tolist()), set(b.found.images.tolist())
    if ours != theirs:
        only = sorted(ours ^ theirs)
        raise PkdError(
            f"{a.run} and {b.run} can't be compared: they were evaluated on {len(ours)} and {len(theirs)} images, and "
            f"{len(only)} of these are not in both, such as id {only[0]}.",
            "A smoke run evaluates a few images alone; `pkd eval RUN` evaluates all.",
        )


def recovered(
    baseline: Mapping[str, float], student: Mapping[str, float], teacher: Mapping[str, float]
) -> float | None:
    """The share of the teacher's lead over the baseline that the student has made up, in mAP; None where it has none.

    Args:
        baseline: Metrics of the student that learned alone.
        student: Metrics of the one that was taught.
        teacher: The teacher's.
    """
    lead = teacher["mAP"] - baseline["mAP"]
    return (student["mAP"] - baseline["mAP"]) / lead if lead > 0 else None


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
