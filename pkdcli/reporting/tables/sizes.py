"""Columns of size and speed, at the end of any table of runs."""

from __future__ import annotations

from collections.abc import Sequence

from pkdcli.reporting.table import Table
from pkdcli.runs.record import Record, plain

_HEADINGS = {"parameters": "params (M)", "gflops": "GFLOPs", "latency_ms": "latency (ms)", "latency_on": "latency on"}


def add_columns(tables: Sequence[Table], columns: Sequence[str]) -> None:
    """Add columns to tables whose rows are known; of a teacher's row, what its students say of it.

    Args:
        tables: Changed in place.
        columns: Of `pkdcli.runs.record.MORE_COLUMNS`.
    """
    for table in tables:
        if not table.origin:
            continue
        table.columns += [_heading(name) for name in columns]
        for rows, records in zip(table.sections, table.origin, strict=True):
            for row, record in zip(rows, records, strict=True):
                row += [_cell(name, _value(name, record, records)) for name in columns]


def _heading(name: str) -> str:
    plain_name = name.removeprefix("teacher_")
    return f"teacher's {_HEADINGS[plain_name]}" if plain_name != name else _HEADINGS[name]


def _value(name: str, record: Record, beside: Sequence[Record]) -> object:
    if record.get("role") != "teacher" or "run" in record:
        return record.get(name)
    theirs = (one.get(f"teacher_{name}") for one in beside if one.get("teacher") == record.get("teacher"))
    return next((value for value in theirs if value is not None), None)


def _cell(name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return plain(value)
    if name.endswith("parameters"):
        return f"{value / 1e6:.2f}"
    return f"{value:.1f}" if name.endswith("latency_ms") or value >= 100 else f"{value:.3g}"
