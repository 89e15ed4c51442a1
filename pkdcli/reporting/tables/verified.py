"""What `pkd verify` found, as tables, rows and a plot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pkdcli.reporting.table import Table
from pkdcli.runs.record import Record

LIMIT_COLUMNS = ("level", "T", "pkd", "norm_kl", "value_gap", "gradient_gap", "cosine")
"""The columns of verify's CSV; gaps are shares of pkd's value and of its gradient's norm."""


def verified_tables(found: Mapping[str, Any]) -> list[Table]:
    """Norm+KL against PKD by level and temperature, invariance, and the verdicts."""
    shapes = {row["level"]: "x".join(map(str, row["shape"])) for row in found["levels"]}
    sections: dict[str, list[list[str]]] = {}
    for row in found["limit"]:
        level = row["level"]
        cells = [level, shapes.get(level, ""), f"{row['T']:g}", _number(row["pkd"]), _number(row["norm_kl"])]
        cells += [_percent(row["value_gap"]), _percent(row["gradient_gap"]), _number(row["cosine"])]
        sections.setdefault(level, []).append(cells)
    title = f"Norm+KL against PKD in float64: {found['pair']}, data {found['data']}, scale {found['scale']}"
    columns = ["level", "shape", "T", "pkd", "norm-kl", "value gap", "gradient gap", "cosine"]
    limit = Table(title, columns, 2, list(sections.values()), notes=list(found["notes"]))
    ratios = {row["level"]: row["norm_mse_by_pkd"] for row in found["ratio"]}
    sides = [key for key in found["invariance"][0] if key not in ("level", "loss")]
    rows = []
    for row in found["invariance"]:
        ratio = _ratio(ratios[row["level"]]) if row["loss"] == "pkd" else ""
        rows.append([row["level"], row["loss"], *(_percent(row[side]) for side in sides), ratio])
    note = "Every channel was scaled by another factor from 0.5 to 20, or shifted by another number from -5 to 5."
    columns = ["level", "loss", *sides, "norm-mse / pkd"]
    changed = Table("By how much a loss changes", columns, 2, [rows], notes=[note])
    checks = [
        [check["check"], _percent(check["measured"]), f"{'at least' if check['at_least'] else 'at most'} "
         f"{_percent(check['bound'])}", "yes" if check["ok"] else "NO"]
        for check in found["checks"]
    ]  # fmt: skip
    verdict = Table("Verdicts", ["claim", "measured", "bound", "holds"], 1, [checks])
    return [limit, changed, verdict]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.12f}"


def _percent(value: float | None) -> str:
    if value is None:
        return ""
    return f"{100 * value:.0f} %" if value >= 10 else f"{100 * value:.3g} %"


def rows_of(found: Mapping[str, Any]) -> list[Record]:
    """The rows of the CSV, with the columns `LIMIT_COLUMNS`."""
    return [{key: row[key] for key in LIMIT_COLUMNS} for row in found["limit"]]


def plot(found: Mapping[str, Any], path: Path) -> None:
    """Draw the gaps of value and gradient against T on logarithmic axes, beside a line that falls as 1/T.

    Args:
        found: As `pkd verify --format json` prints it.
        path: The PNG file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from pkdcli.runs.store import write_with

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
    write_with(path, lambda file: figure.savefig(file, format="png", dpi=130))
