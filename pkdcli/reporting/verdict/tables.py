"""Verdicts as a table, and as plain data."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from pkdcli.reporting.table import Table, signed
from pkdcli.reporting.verdict.judge import GO, Verdict
from pkdcli.runs.record import Record, plain

VERDICT_COLUMNS = ("verdict", "pair", "student", "loss", "weight", "temperature", "schedule", "data", "scale", "seeds",
                   "gains", "gain", "gain_lower", "gain_upper", "p_value", "permutation", "more_seeds", "why",
                   "command")  # fmt: skip


def verdict_table(verdicts: Sequence[Verdict], *, seed_by_seed: bool = False) -> Table:
    """One line a method: verdict, gain with its interval, seeds, p-value; what to do stands below.

    Args:
        verdicts: As `judge` gives them.
        seed_by_seed: They are of a sweep that looked after each seed, and allow for it.
    """
    rows, bold = [], set()
    for number, one in enumerate(verdicts):
        name = method_name(one.method)
        p_value = "" if one.p_value is None else f"{one.p_value:.3f}" if one.p_value >= 0.001 else "<0.001"
        gain = signed(one.interval and one.interval.mean)
        rows.append([name, one.word, str(len(one.gains)), gain, _ends(one), p_value])
        if one.word == GO:
            bold.add((0, number, 1))
    interval = "95 %, all looks" if seed_by_seed else "95 % over seeds"
    columns = ["method", "verdict", "seeds", "gain", interval, "p (Holm)"]
    table = Table("Is the gain real?", columns, 2, [rows], bold)
    judged = sum(one.corrected for one in verdicts)
    if not verdicts:
        table.notes.append("There is no distilled run among these, so there is nothing to judge.")
        return table
    table.notes += _notes(verdicts)
    if not judged:  # no p-value is there to be explained
        return table
    table.notes.append(
        f"Gains are paired by seed. GO and NO-GO: p below 0.05, corrected for {judged} method{'s' * (judged != 1)}. "
        "All on the same validation images: `pkd compare` has the interval over images."
    )
    table.notes.append(LOOKS if seed_by_seed else ONE_LOOK)
    return table


ONE_LOOK = (
    "For a number of seeds that was chosen beforehand: adding seeds until it says GO is wrong more often than one time "
    "in twenty; `pkd sweep --until-decided` is not."
)
LOOKS = "Interval and p allow for a look after every seed."


def verdict_line(verdict: Verdict) -> str:
    """A verdict in a line: method, gain and its interval, word, what would decide it."""
    name, gain = method_name(verdict.method), verdict.interval
    if gain is None:
        return f"{name}: {verdict.word}; {verdict.why}"
    ends = f" ({_ends(verdict)})" if _ends(verdict) else ""
    why = f"; {verdict.why.rstrip('.')}" if verdict.why else ""
    return f"{name}: {signed(gain.mean)}{ends}, {verdict.word}{why}"


def _notes(verdicts: Sequence[Verdict]) -> list[str]:
    """What keeps methods from a verdict and what to do; methods that differ in their weights alone share a line."""
    shared: dict[tuple[str, ...], list[Verdict]] = {}
    for one in verdicts:
        if one.why or one.command:
            first, _, last = _parts(one.method)
            shared.setdefault((first, last, one.why, _of_weight(one.command, "")), []).append(one)
    notes = []
    for (first, last, why, _), members in shared.items():
        losses = list(dict.fromkeys(_parts(one.method)[1] for one in members))
        name = " ".join(part for part in (first, ", ".join(losses), last) if part)
        weights = ",".join(dict.fromkeys(plain(one.method["weight"]) for one in members))
        between = "; or all that it takes: " if "pkd train" in why else " "
        notes.append(f"{name}: {between.join(filter(None, (why, _of_weight(members[0].command, weights))))}")
    return notes


def _of_weight(command: str | None, weights: str) -> str:
    """The same command for such weights."""
    return re.sub(r"(?<= --weights )\S+", lambda _: weights, command or "")


def _ends(verdict: Verdict) -> str:
    gain = verdict.interval
    if gain is None or not math.isfinite(gain.lower):
        return ""
    return f"{signed(gain.lower)} to {signed(gain.upper)}"


def method_name(record: Record) -> str:
    """A method in words: pair, loss, weight, temperature, schedule, data, scale."""
    return " ".join(part for part in _parts(record) if part)


def _parts(record: Record) -> tuple[str, str, str]:
    """Of a method's name: what is before the loss, the loss with its knobs, and what is behind it."""
    loss = str(record["loss"]) + (f"-w{plain(record['weight'])}" if record["weight"] is not None else "")
    loss += f"-t{plain(record['temperature'])}" if record["temperature"] is not None else ""
    where = f"{record['data']}-{record['scale']}"
    return str(record["pair"] or ""), loss, " ".join(str(one) for one in (record["schedule"], where) if one)


def verdict_rows(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """The same as rows with the columns `VERDICT_COLUMNS`; what is not known is None."""
    rows = []
    for one in verdicts:
        row = {key: one.method.get(key) for key in VERDICT_COLUMNS}
        row |= {"verdict": one.word, "seeds": " ".join(map(str, one.gains)), "p_value": one.p_value}
        row["gains"] = " ".join(f"{gain:.2f}" for gain in one.gains.values())
        row |= {"permutation": one.permutation, "more_seeds": one.more_seeds, "why": one.why or None}
        row["command"] = one.command
        row["gain"] = None if one.interval is None else one.interval.mean
        for end in ("lower", "upper"):
            bound = None if one.interval is None else getattr(one.interval, end)
            row[f"gain_{end}"] = bound if bound is not None and math.isfinite(bound) else None
        rows.append(row)
    return rows
