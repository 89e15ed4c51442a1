"""Two runs side by side: what they reached, and in what their recipes differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pkdcli.reporting.table import Table, points, signed
from pkdcli.runs.find import one_named
from pkdcli.runs.record import METRICS, Record, plain

_IDENTITY = (
    *("role", "pair", "teacher", "student", "loss", "weight", "temperature", "schedule", "data", "split", "scale"),
    *("seed", "batch", "init", "levels", "stat_chunk", "training", "distill_until", "epoch", "smoke", "foreign"),
)

COMPARED = ("kind", "key", "a", "b", "difference")


def compare_runs(records: list[Record], first: str, second: str) -> list[Record]:
    """What two runs reached and in what they differ, as records with the keys `COMPARED`.

    Args:
        records: All runs.
        first: The id of run A, or its beginning.
        second: That of run B.

    Returns:
        Rows whose `kind` is `run` (the ids, first), `metric` (with `difference`, b - a) or `recipe` (a key that
        differs).

    Raises:
        PkdError: A word means no run, with the nearest, or several.
    """
    by_name = {record["run"]: record for record in records}
    a, b = (by_name[one_named(word, by_name, "--compare")] for word in (first, second))
    rows: list[Record] = [{"kind": "run", "key": "run", "a": a["run"], "b": b["run"], "difference": None}]
    for key in (*METRICS, "gain"):
        known = None not in (a[key], b[key]) and a["smoke"] == b["smoke"]
        difference = b[key] - a[key] if known else None
        rows.append({"kind": "metric", "key": key, "a": a[key], "b": b[key], "difference": difference})
    left, right = (_settings(record) for record in (a, b))
    for key in dict.fromkeys([*left, *right]):
        if left.get(key) != right.get(key):
            rows.append({"kind": "recipe", "key": key, "a": left.get(key), "b": right.get(key), "difference": None})
    return rows


def compare_tables(rows: list[Record]) -> list[Table]:
    """The metrics as one table, the differing recipe keys as another."""
    runs = rows[0]
    metrics = []
    for row in rows:
        if row["kind"] == "metric":
            show = signed if row["key"] == "gain" else points
            metrics.append([row["key"], show(row["a"]), show(row["b"]), signed(row["difference"])])
    first = Table(f"A: {runs['a']}, B: {runs['b']}", ["metric", "A", "B", "B - A"], 1, [metrics])
    differing = [[row["key"], plain(row["a"]), plain(row["b"])] for row in rows if row["kind"] == "recipe"]
    second = Table("Where the recipes differ", ["key", "A", "B"], 3, [differing])
    if not differing:
        first.notes.append("The recipes do not differ.")
        return [first]
    return [first, second]


def _settings(record: Record) -> dict[str, Any]:
    """The recipe's keys with dots; the record's own columns where there is no readable recipe."""
    import yaml

    try:
        text = (Path(record["path"]) / "recipe.yaml").read_text(encoding="utf-8")
        recipe = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, ValueError, yaml.YAMLError):
        recipe = None
    if not isinstance(recipe, dict):
        return {key: record[key] for key in _IDENTITY}
    return _flat(recipe)


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict) and value:
        return {k: v for key, item in value.items() for k, v in _flat(item, f"{prefix}{key}.").items()}
    return {prefix.rstrip("."): value if isinstance(value, (str, int, float, type(None))) else str(value)}
