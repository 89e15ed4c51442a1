"""The sections of a table like the paper's Table 7: by pair, with the rows of its teacher and its baselines."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from pkdcli.reporting.tables.names import is_distilled, teacher_name
from pkdcli.runs.record import METRICS, Record, order


def by_data_and_scale(records: Iterable[Record]) -> list[list[Record]]:
    """The runs with a result, in a list for each data set, split and scale."""
    def where(record: Record) -> tuple[str, ...]:
        return tuple(record[key] or "" for key in ("data", "split", "scale"))

    done = sorted((record for record in records if record["mAP"] is not None), key=order)
    return [list(group) for _, group in groupby(sorted(done, key=where), key=where)]


def by_pair(records: list[Record]) -> list[tuple[str | None, list[Record]]]:
    """By pair; a baseline stands with every pair of its student, unless one was run for that pair itself."""
    baselines = [record for record in records if record["role"] == "baseline"]
    others = [record for record in records if record["role"] != "baseline"]
    sections = []
    placed = set()
    for pair in sorted({r["pair"] or "" for r in others}):
        members = [record for record in others if (record["pair"] or "") == pair]
        schedules = {record["schedule"] for record in members}
        students = {record["student"] for record in members}
        own = {_run_of(baseline) for baseline in baselines if baseline["pair"] == pair}
        mine = [
            baseline
            for baseline in baselines
            if baseline["pair"] == pair
            or (baseline["student"] in students and baseline["schedule"] in schedules and _run_of(baseline) not in own)
        ]
        placed |= {id(record) for record in mine}
        sections.append((pair or None, sorted([*mine, *members], key=_in_section)))
    rest = [record for record in baselines if id(record) not in placed]
    for pair in sorted({r["pair"] or "" for r in rest}):
        sections.append((pair or None, [record for record in rest if (record["pair"] or "") == pair]))
    return sections


def _run_of(baseline: Record) -> tuple:
    return tuple(baseline.get(key) for key in ("student", "schedule", "batch", "epoch", "comparable", "seed", "seeds"))


def _in_section(record: Record) -> tuple:
    # The baselines may have been asked for with another pair.
    return order(dict(record, pair=None))


def teacher_rows(pair: str | None, members: list[Record]) -> list[Record]:
    """The rows of a pair's teacher: each distinct set of numbers once; one row where there are none.

    Args:
        pair: The pair's name.
        members: Its runs.
    """
    found: dict[tuple, Record] = {}
    for record in filter(is_distilled, members):
        row = {key: record[key] for key in ("teacher", "smoke", "foreign")}
        row |= {"label": f"{teacher_name(record)} (teacher)"}
        for name in METRICS:
            row |= {name: record.get(f"teacher_{name}"), f"{name}_std": record.get(f"teacher_{name}_std") or None}
        found.setdefault(tuple(row.values()), row)
    known = [row for row in found.values() if row["mAP"] is not None]
    if known or found:
        return known or list(found.values())[:1]
    # With baselines alone, the teacher is a name at most: that of the pair they were asked for with.
    return []
