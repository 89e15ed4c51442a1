"""Panels of distributions, dominant channels and dominant stages."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter

from pkdcli.reporting.paper_figures.numbers import (
    central_range,
    channel_numbers,
    mean_square_shares,
    percent,
    rebinned,
    stage,
    top_channel,
)
from pkdcli.reporting.plots import style
from pkdcli.runs.features import Features

BINS = 80


def distribution_panel(axes: Axes, features: Features, level: str, *, whole: bool) -> None:
    """How the values of all channels are distributed in each detector, on a logarithmic axis.

    Args:
        axes: Where to draw.
        features: Measured.
        level: The stage.
        whole: Name the detectors, with all of their numbers; otherwise some numbers alone, for a narrow panel.
    """
    low, high = central_range(features, level)
    for one in features.detectors:
        key, row = one["key"], features.statistics(one["key"], level)
        counts, edges = rebinned(*features.histogram(key, level), low, high, BINS)
        density = counts / row["values"] / (edges[1:] - edges[:-1])
        numbers = {name: style.short(row[name], row["std"]) for name in ("mean", "std", "max")}
        numbers["skew"] = style.short(row["skew"])
        label = "std {std}, max {max}, skew {skew}".format(**numbers)
        if whole:
            label = "{title}\nmean {mean}, std {std},\nmax {max}, skew {skew}".format(title=one["title"], **numbers)
        axes.stairs(density, edges, fill=True, color=style.COLORS[key], alpha=0.18)
        axes.stairs(density, edges, color=style.COLORS[key], ls=style.LINES[key], lw=1.2, label=label)
    axes.set(yscale="log", xlabel="feature value")
    axes.yaxis.set_minor_formatter(NullFormatter())
    above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "frameon": False, "borderpad": 0.1}
    size = {"title_fontsize": 8, "handlelength": 1.8} if whole else {"title_fontsize": 7.5, "handlelength": 1.4}
    title = f"values at {stage(features, level)}" if whole else stage(features, level)
    axes.legend(title=title, fontsize=7 if whole else 5.5, labelspacing=0.4 if whole else 0.1, **size, **above)


def channels_panel(axes: Axes, features: Features, detector: str, level: str, title: str) -> tuple[Artist, Artist]:
    """In how many positions of all images each channel is the largest, before and after normalisation.

    Args:
        axes: Where it is drawn.
        features: What was measured of the detectors.
        detector: The key of a detector, one of `features.detectors`.
        level: The name of a stage, such as `P3`.
        title: Stands above the panel.

    Returns:
        What stands for before and after in a legend.
    """
    before, after = (channel_numbers(features, detector, level, normalised) for normalised in (False, True))
    edges = [n - 0.5 for n in range(len(before) + 1)]
    up = axes.stairs(before, edges, fill=True, color=style.COLORS[detector])
    down = axes.stairs(-after, edges, fill=True, color=style.GREY)
    axes.axhline(0, color="black", lw=0.6)
    tops = [top_channel(features, detector, level, normalised) for normalised in (False, True)]
    first, second = (f"{channel} ({percent(share)})" for channel, share in tops)
    axes.set_title(f"{title}\n{stage(features, level)}", pad=10)
    axes.annotate(f"most: {first}; after: {second}", (0.5, 1.02), xycoords="axes fraction", ha="center", fontsize=6)
    room = 1.08
    axes.set(xlim=(-0.5, len(before) - 0.5), ylim=(-after.max() * room, before.max() * room), xlabel="channel")
    axes.set_ylabel(f"positions (of {int(before.sum())})", fontsize=7)
    axes.xaxis.labelpad = 1
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.0f}")
    return up, down


def stages_panel(axes: Axes, features: Features, levels: Sequence[str]) -> None:
    """Each stage's share of the sum of the stages' mean squares, with its mean square beside.

    Args:
        axes: Where it is drawn.
        features: What was measured of the detectors.
        levels: The names of stages.
    """
    detectors = features.detectors
    height = 0.8 / len(detectors)
    for number, one in enumerate(detectors):
        key = one["key"]
        shares = [100 * share for share in mean_square_shares(features, key, levels)]
        places = [n + (number - (len(detectors) - 1) / 2) * height for n in range(len(levels))]
        axes.barh(places, shares, height * 0.92, color=style.COLORS[key], label=one["title"])
        for place, share, level in zip(places, shares, levels, strict=True):
            beside = {"xytext": (2, 0), "textcoords": "offset points", "va": "center"}
            power = features.statistics(key, level)["mean_square"]
            text = f"{power:.3g}" if power < 1000 else f"{power:.0f}"
            axes.annotate(text, (share, place), fontsize=6, **beside)
    axes.set_yticks(range(len(levels)), levels)
    axes.invert_yaxis()
    axes.margins(x=0.3)
    axes.set_xlabel("% of the sum of mean squares\n(beside: the mean square)", fontsize=7)
    axes.set_ylabel("stage")
    axes.legend(frameon=False, fontsize=6.5, loc="lower center", bbox_to_anchor=(0.4, 1.0), handlelength=1.2)
