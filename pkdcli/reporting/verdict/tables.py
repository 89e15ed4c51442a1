"""Verdicts as a table, and as plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pkdcli.reporting.table import Table, signed
from pkdcli.reporting.verdict.judge import GO, Verdict
from pkdcli.runs.record import Record, plain

VERDICT_COLUMNS = ("verdict", "pair", "student", "loss", "weight", "temperature", "schedule", "data", "scale", "seeds",
                   "gain", "gain_lower", "gain_upper", "p_value", "permutation", "more_seeds", "why", "command")  # fmt: skip


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """One line a method: verdict, gain with its interval, seeds, p-value; what to do stands below."""
    rows, bold, notes = [], set(), []
    for number, one in enumerate(verdicts):
        gain, interval = one.interval, ""
        if gain is not None and math.isfinite(gain.lower):
            interval = f"{signed(gain.lower)} to {signed(gain.upper)}"
        name = method_name(one.method)
        p_value = "" if one.p_value is None else f"{one.p_value:.3f}" if one.p_value >= 0.001 else "<0.001"
        rows.append([name, one.word, str(len(one.gains)), signed(gain and gain.mean), interval, p_value])
        if one.word == GO:
            bold.add((0, number, 1))
        if one.why:
            notes.append(f"{name}: {one.why}")
    columns = ["method", "verdict", "seeds", "gain", "95 % over seeds", "p (Holm)"]
    table = Table("Is the gain real?", columns, 2, [rows], bold)
    judged = sum(one.corrected for one in verdicts)
    table.notes += notes
    table.notes.append(
        f"Gains are paired by seed. GO and NO-GO: p below 0.05, corrected for {judged} method{'s' * (judged != 1)}. "
        "All on the same validation images: `pkd compare` has the interval over images."
    )
    return table


def method_name(record: Record) -> str:
    """A method in words: pair, loss, weight, temperature, schedule, data, scale."""
    loss = str(record["loss"]) + (f"-w{plain(record['weight'])}" if record["weight"] is not None else "")
    loss += f"-t{plain(record['temperature'])}" if record["temperature"] is not None else ""
    where = f"{record['data']}-{record['scale']}"
    return " ".join(str(one) for one in (record["pair"], loss, record["schedule"], where) if one)


def verdict_rows(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """The same as rows with the columns `VERDICT_COLUMNS`; what is not known is None."""
    rows = []
    for one in verdicts:
        row = {key: one.method.get(key) for key in VERDICT_COLUMNS}
        row |= {"verdict": one.word, "seeds": " ".join(map(str, one.gains)), "p_value": one.p_value}
        row |= {"permutation": one.permutation, "more_seeds": one.more_seeds, "why": one.why or None}
        row["command"] = one.command
        row["gain"] = None if one.interval is None else one.interval.mean
        for end in ("lower", "upper"):
            bound = None if one.interval is None else getattr(one.interval, end)
            row[f"gain_{end}"] = bound if bound is not None and math.isfinite(bound) else None
        rows.append(row)
    return rows
