"""The numbers behind each figure: rows of its CSV files, and what stands beside its panels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pkdcli.reporting.paper_figures.catalog import Look
from pkdcli.reporting.table import Table
from pkdcli.runs.features import Features
from pkdcli.runs.record import Record

COLUMNS = {
    "statistics": (
        *("detector", "title", "level", "stride", "channels", "values", "mean", "std", "min", "max", "skew"),
        *("mean_square", "share_of_mean_square"),
    ),
    "patterns": ("detector", "level", "image", "row", "column", "value"),
    "noise": ("detector", "level", "image", "share", "area"),
    "distribution": ("detector", "level", "from", "to", "count", "density"),
    "channels": ("detector", "level", "image", "channel", "before", "after"),
}
"""The columns of each kind of CSV; `image` counts from 0, `before` and `after` are of the normalisation."""


def mean_square_shares(features: Features, detector: str, levels: Sequence[str]) -> list[float]:
    """What part each stage has in the sum of the mean squares of some stages, 0 to 1.

    Args:
        features: What was measured of the detectors.
        detector: The key of a detector, one of `features.detectors`.
        levels: The names of stages.
    """
    powers = [features.statistics(detector, level)["mean_square"] for level in levels]
    total = sum(powers)
    return [power / total if total else 0.0 for power in powers]


def channel_numbers(features: Features, detector: str, level: str, normalised: bool) -> np.ndarray:
    """(C,): in how many positions of all images each channel dominates.

    Args:
        features: What was measured of the detectors.
        detector: The key of a detector, one of `features.detectors`.
        level: The name of a stage, such as `P3`.
        normalised: Of the feature maps after the normalisation that PKD applies, not before it.
    """
    return sum(features.numbers(detector, level, image, normalised) for image in range(len(features.images)))


def top_channel(features: Features, detector: str, level: str, normalised: bool = False) -> tuple[int, float]:
    """The most dominant channel, and in which share of the positions it dominates.

    Args:
        features: What was measured of the detectors.
        detector: The key of a detector, one of `features.detectors`.
        level: The name of a stage, such as `P3`.
        normalised: Of the feature maps after the normalisation that PKD applies, not before it.
    """
    counts = channel_numbers(features, detector, level, normalised)
    return int(counts.argmax()), float(counts.max() / counts.sum())


def outside(features: Features, detector: str, level: str) -> tuple[float, float] | None:
    """The shares of activation and of area outside the boxes, means over the images that have boxes; None without.

    Args:
        features: What was measured of the detectors.
        detector: The key of a detector, one of `features.detectors`.
        level: The name of a stage, such as `P3`.
    """
    rows = [features.noise(detector, level, image) for image in range(len(features.images))]
    known = [row for row in rows if row is not None and row["share"] is not None]
    if not known:
        return None
    return float(np.mean([row["share"] for row in known])), float(np.mean([row["area"] for row in known]))


def rebinned(
    counts: np.ndarray, edges: np.ndarray, low: float, high: float, bins: int
) -> tuple[np.ndarray, np.ndarray]:
    """Merge fine bins over a range into about so many.

    Args:
        counts: (n,).
        edges: (n + 1,), of equal width.
        low: Where the range begins; it is widened to whole bins.
        high: Where it ends.
        bins: At most so many wide bins, of which each holds the same number of fine ones.

    Returns:
        Counts (k,) and edges (k + 1,).
    """
    first = max(0, int(np.searchsorted(edges, low, side="right")) - 1)
    last = min(len(counts), max(first + 1, int(np.searchsorted(edges, high, side="left"))))
    each = -(-(last - first) // bins)
    last = min(len(counts), first + -(-(last - first) // each) * each)
    starts = np.arange(first, last, each)
    ends = [*starts[1:], last]
    return np.add.reduceat(counts[:last], starts), edges[[*starts, ends[-1]]]


def central_range(features: Features, level: str, share: float = 0.999) -> tuple[float, float]:
    """Where all but the outermost values of every detector lie: half of the rest below, half above.

    Args:
        features: What was measured of the detectors.
        level: The name of a stage, such as `P3`.
        share: Of the values, 0 to 1, that lie within.
    """
    lows, highs = [], []
    for one in features.detectors:
        counts, edges = features.histogram(one["key"], level)
        part = counts.cumsum() / counts.sum()
        lows.append(edges[int(np.searchsorted(part, (1 - share) / 2))])
        highs.append(edges[int(np.searchsorted(part, (1 + share) / 2)) + 1])
    return float(min(lows)), float(max(highs))


def rows(features: Features, look: Look) -> dict[str, list[Record]]:
    """The numbers behind a figure, by kind; a kind that it has none of is left out.

    Args:
        features: What was measured of the detectors.
        look: How the figure is drawn.
    """
    keys = [one["key"] for one in features.detectors]
    titles = {one["key"]: one["title"] for one in features.detectors}
    levels = [name for name in features.levels_of_all() if name in (*look.levels, *look.channel_levels)]
    found: dict[str, list[Record]] = {kind: [] for kind in COLUMNS}
    for key in keys:
        for level, share in zip(levels, mean_square_shares(features, key, levels), strict=True):
            row = {**features.statistics(key, level), "title": titles[key], "share_of_mean_square": share}
            found["statistics"].append(row)
        for level in look.levels:
            counts, edges = features.histogram(key, level)
            found["distribution"] += _distribution(key, level, counts, edges)
            for image in range(len(features.images)):
                about = {"detector": key, "level": level, "image": image}
                pattern = features.pattern(key, level, image, look.reduce)
                found["patterns"] += [
                    {**about, "row": y, "column": x, "value": f"{value:.6g}"}
                    for (y, x), value in np.ndenumerate(pattern)
                ]
                noise = features.noise(key, level, image)
                found["noise"] += [] if noise is None else [noise]
        for level in look.channel_levels:
            for image in range(len(features.images)):
                before, after = (features.numbers(key, level, image, normalised) for normalised in (False, True))
                found["channels"] += [
                    {"detector": key, "level": level, "image": image, "channel": n, "before": int(b), "after": int(a)}
                    for n, (b, a) in enumerate(zip(before, after, strict=True))
                ]
    return {kind: of for kind, of in found.items() if of}


def _distribution(key: str, level: str, counts: np.ndarray, edges: np.ndarray) -> list[Record]:
    densities = counts / counts.sum() / np.diff(edges)
    every = zip(counts, densities, edges[:-1], edges[1:], strict=True)
    return [
        {"detector": key, "level": level, "from": f"{a:.6g}", "to": f"{b:.6g}", "count": int(n), "density": f"{d:.6g}"}
        for n, d, a, b in every
        if n
    ]


def overview(features: Features) -> Table:
    """The summary of every stage, for the terminal."""
    levels = features.levels_of_all()
    sections = []
    for one in features.detectors:
        lines = []
        for level, share in zip(levels, mean_square_shares(features, one["key"], levels), strict=True):
            row = features.statistics(one["key"], level)
            off = outside(features, one["key"], level)
            cells = [one["title"], stage(features, level)]
            cells += [f"{row[key]:.3g}" for key in ("mean", "std", "max", "skew")]
            cells += [percent(share), f"{percent(off[0])} of {percent(off[1])}" if off else ""]
            for normalised in (False, True):
                channel, part = top_channel(features, one["key"], level, normalised)
                cells.append(f"{channel}: {percent(part)}")
            lines.append(cells)
        sections.append(lines)
    meta = features.meta
    count = f"{len(features.images)} image{'s' if len(features.images) > 1 else ''}"
    title = f"Features of {meta['pair']}, {meta['data']}, scale {meta['scale']}, {count}"
    columns = ["detector", "stage", "mean", "std", "max", "skew", "of mean square", "outside boxes", "top channel"]
    notes = [
        "outside boxes: the share of the activation there, of the area there.",
        "top channel: in which share of the positions it is the largest, before and after normalisation.",
    ]
    return Table(title, [*columns, "normalised"], 2, sections, notes=notes)


def stage(features: Features, level: str) -> str:
    """`P3 (stride 8)`.

    Args:
        features: What was measured of the detectors.
        level: The name of a stage, such as `P3`.
    """
    return f"{level} (stride {features.stride(level)})"


def percent(share: float) -> str:
    """`41 %`; below one percent with a decimal."""
    return f"{100 * share:.0f} %" if share >= 0.01 or share == 0 else f"{100 * share:.1f} %"
