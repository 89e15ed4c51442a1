"""Tables as the template shows them: the cells of every other format, with what rows can be sorted and filtered by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pkdcli.reporting.table import Table, metric, signed
from pkdcli.runs.record import METRICS, Record, plain

FILTERS = ("pair", "loss", "schedule", "data", "state")
_ALWAYS = ("run", "state", "mAP")
_NUMBERS = (*METRICS, "gain", "seconds", "weight", "T", "seed")
# What matters most stands first: a phone shows four columns or so.
_NAMES = ("run", "state", "mAP", "gain", "pair", "loss", "weight", "T", "schedule", "data", "scale", "seed",
          *METRICS[1:], "seconds")  # fmt: skip
COLUMNS_OF_RUNS = [{"name": name, "number": name in _NUMBERS} for name in _NAMES]


def table_context(table: Table, records: Sequence[Record]) -> dict[str, Any]:
    """A table with one body a section.

    Rows whose record is known can be filtered, and lead to their run if it is among `records`. Where sections are pairs
    and no column says so, one is put in front: sorted, the rows of all sections stand together.

    Args:
        table: As every other format shows it.
        records: The runs that the page shows one by one.
    """
    shown = {record["run"] for record in records}
    pairs = _pairs(table)
    columns = [{"name": name, "number": n >= table.words} for n, name in enumerate(table.columns)]
    if pairs:
        columns.insert(0, {"name": "pair", "number": False})
    sections = []
    for s, rows in enumerate(table.sections):
        section = []
        for r, cells in enumerate(rows):
            origin = table.origin[s][r] if table.origin else None
            texts = [{"text": text, "bold": (s, r, n) in table.bold} for n, text in enumerate(cells)]
            if pairs:
                texts.insert(0, {"text": pairs[s], "bold": False})
            run = origin["run"] if origin and origin.get("run") in shown else None
            section.append({"cells": texts, "filter": _filter(origin, pairs[s] if pairs else None), "run": run})
        sections.append(section)
    link = 1 if pairs else _link_column(table)
    return {"title": table.title, "columns": columns, "sections": sections, "notes": table.notes, "link": link}


def run_rows(records: Sequence[Record]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[tuple[str, str]]]:
    """The list of all runs, finished or not.

    Returns:
        Rows; of `COLUMNS_OF_RUNS` those in which several runs differ; what all have in common, by column.
    """
    rows = []
    for record in records:
        cells = {"run": record["run"], "T": plain(record["temperature"]), "gain": signed(record["gain"])}
        cells |= {key: plain(record[key]) for key in ("state", "pair", "loss", "weight", "schedule", "data", "scale")}
        cells |= {name: metric(record, name) for name in METRICS}
        cells["seed"] = plain(record["seed"])
        cells["seconds"] = f"{record['seconds']:.0f}" if record["seconds"] is not None else ""
        marks = [f"smoke run: {record['smoke']}"] if record["smoke"] else []
        marks += [f"imported from {record['foreign']}"] if record.get("foreign") else []
        rows.append(
            {
                "run": record["run"],
                "state": record["state"] or "unknown",
                "error": record["error"] or "",
                "marks": marks,
                "cells": [cells[name] for name in _NAMES],
                "filter": {key: record[key] or "" for key in FILTERS},
            }
        )
    return (rows, *_without_constant(rows))


def _without_constant(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    if len(rows) < 2:
        return COLUMNS_OF_RUNS, []
    values = [{row["cells"][n] for row in rows} for n in range(len(COLUMNS_OF_RUNS))]
    kept = [n for n, one in enumerate(values) if len(one) > 1 or COLUMNS_OF_RUNS[n]["name"] in _ALWAYS]
    shared = [(COLUMNS_OF_RUNS[n]["name"], one.pop()) for n, one in enumerate(values) if n not in kept]
    for row in rows:
        row["cells"] = [row["cells"][n] for n in kept]
    return [COLUMNS_OF_RUNS[n] for n in kept], [(name, value) for name, value in shared if value]


def _pairs(table: Table) -> list[str]:
    """The pair of each section of a table like the paper's Table 7; nothing for other tables."""
    if not table.origin or table.columns[0] != "method":
        return []
    return [next((str(one["pair"]) for one in rows if one["pair"]), "") for rows in table.origin]


def _link_column(table: Table) -> int:
    return table.columns.index("weight") if "weight" in table.columns else 0


def _filter(origin: Record | None, pair: str | None) -> dict[str, str]:
    """What a row is filtered by; a teacher and a baseline stay beside every loss."""
    if origin is None:
        return {}
    found = {key: str(origin.get(key) or "") for key in FILTERS}
    found["pair"] = pair if pair is not None else found["pair"]
    if origin.get("role") in ("teacher", "baseline"):
        found["loss"] = ""
    return found
