"""What `pkd verify` found, as tables and rows."""

from __future__ import annotations

from collections.abc import Mapping
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
