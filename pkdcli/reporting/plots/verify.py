"""The plot of `pkd verify`: how Norm+KL goes to PKD as its temperature grows."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def plot(found: Mapping[str, Any], path: Path) -> None:
    """Draw the gaps of value and gradient against T on logarithmic axes, beside a line that falls as 1/T.

    Args:
        found: As `pkd verify --format json` prints it.
        path: The PNG file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from pkdcli.runs.store import write_bytes

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"Norm+KL goes to PKD as T grows: {found['pair']}, {found['data']}, scale {found['scale']}")
    levels = list(dict.fromkeys(row["level"] for row in found["limit"]))
    axes = figure.subplots(1, 2, sharey=True)
    for axis, key, name in zip(axes, ("value_gap", "gradient_gap"), ("value", "gradient"), strict=True):
        for level in levels:
            points = [(row["T"], row[key]) for row in found["limit"] if row["level"] == level and row[key]]
            if not points:
                continue
            whole = level == "all"
            look = {"lw": 2.5, "color": "black", "zorder": 3} if whole else {"lw": 1.2}
            label = "all levels" if whole else f"level {level}"
            axis.plot(*zip(*points, strict=True), "o-", ms=4, label=label, **look)
            if whole:
                last, gap = points[-1]
                # Above the curve, so that it can be seen to run beside it.
                guide = [(t, 3 * gap * last / t) for t, _ in points]
                axis.plot(*zip(*guide, strict=True), "--", color="gray", lw=1, label="falling as 1/T")
        axis.axhline(0.01, ls=":", color="firebrick", lw=1, label="1 %")
        axis.set(xscale="log", yscale="log", xlabel="temperature T", title=f"gap of the {name}")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("share of PKD's")
    axes[1].legend(fontsize=8)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=130)
    write_bytes(path, picture.getvalue())
