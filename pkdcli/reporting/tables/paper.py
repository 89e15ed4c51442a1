"""Records laid out as the paper's appendix does it: Table 7 and Table 8."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from pkdcli.reporting.published import published_teacher
from pkdcli.reporting.table import Table, best, metric, published, signed
from pkdcli.reporting.tables.headings import differing, notes_of, title_of
from pkdcli.reporting.tables.names import is_distilled, method_name, student_name, teacher_name
from pkdcli.reporting.tables.sections import by_data_and_scale, by_pair, teacher_rows
from pkdcli.runs.record import METRICS, Record, plain


def table7(records: list[Record], literature: list[Record] | None = None) -> list[Table]:
    """One table for each data set and scale: by pair the teacher, the student alone, then the methods.

    The teacher's numbers are those its distilled runs recorded; its schedule is its own and not known here.

    Args:
        records: Runs, or means over seeds; those without metrics are passed over.
        literature: Published numbers: adds the columns `paper` and `diff`.
    """
    return [_table7(group, literature) for group in by_data_and_scale(records)]


def table8(records: list[Record], paper: bool = False) -> list[Table]:
    """One table for each data set and scale: mAP against loss weight, by pair and schedule.

    Args:
        records: Runs, or means over seeds; those without metrics are passed over.
        paper: Add the columns `paper` and `diff`.
    """
    tables = (_table8([r for r in group if is_distilled(r)], paper) for group in by_data_and_scale(records))
    return [table for table in tables if table.sections]


def swept(records: list[Record]) -> list[Record]:
    """The runs that make up a sweep: their loss has two weights or more in the same pair, schedule, data and scale."""

    def family(record: Record) -> tuple:
        return tuple(record[key] for key in ("pair", "schedule", "data", "scale", "loss"))

    weights: dict[tuple, set] = {}
    done = [record for record in records if is_distilled(record) and record["mAP"] is not None]
    for record in done:
        weights.setdefault(family(record), set()).add(record["weight"])
    return [record for record in done if len(weights[family(record)] - {None}) > 1]


def _table7(records: list[Record], literature: list[Record] | None) -> Table:
    extra = differing(records)
    columns = ["method", "schedule", *extra.values(), *METRICS, "gain"]
    columns += ["paper", "diff"] if literature is not None else []
    table = Table(title_of(records, extra), columns, 2, [])
    competing: list[tuple[Any, int, int, list[str]]] = []
    for number, (pair, members) in enumerate(by_pair(records)):
        rows = []
        teachers = teacher_rows(pair, members)
        table.origin.append([*(row | {"role": "teacher", "pair": pair} for row in teachers), *members])
        for teacher in teachers:
            row = [
                teacher["label"],
                "",
                *(teacher.get(key) or "" for key in extra),
                *(metric(teacher, name) for name in METRICS),
                "",
            ]
            if literature is not None:
                cited = published_teacher(teacher["teacher"], literature)
                row += [published(cited["paper_mAP"]), ""]
                table.notes += cited["paper_notes"]
            rows.append(row)
        for record in members:
            row = [method_name(record), record["schedule"] or "", *(plain(record.get(key)) for key in extra)]
            row += [*(metric(record, name) for name in METRICS), signed(record["gain"], record.get("gain_std"))]
            if literature is not None:
                row += [published(record["paper_mAP"]), signed(record["paper_difference"])]
                table.notes += record["paper_notes"]
            if record["role"] != "teacher":
                group = (number, record["schedule"], record["batch"], record["epoch"], record["smoke"])
                competing.append((group, number, len(rows), row))
            rows.append(row)
        table.sections.append(rows)
    for name in METRICS:
        column = columns.index(name)
        table.bold |= best(((group, section, row, cells[column]) for group, section, row, cells in competing), column)
    table.notes = notes_of(table.notes, records, literature is not None)
    return table


def _table8(records: list[Record], paper: bool) -> Table:
    extra = {key: name for key, name in differing(records).items() if key != "loss"}
    losses = {record["loss"] for record in records}
    if any(record["temperature"] is not None for record in records):
        extra = {"temperature": "T"} | extra
    columns = ["teacher", "student", "schedule", *(["loss"] if len(losses) > 1 else [])]
    words = len(columns)
    columns += [*extra.values(), "baseline", "weight", "mAP", "gain", *(["paper", "diff"] if paper else [])]
    title = title_of(records, extra) if records else ""
    if len(losses) == 1:
        title = f"{losses.copy().pop()}: mAP by loss weight, {title}"
    elif losses:
        title = f"mAP by loss weight, {title}"
    table = Table(title, columns, words, [])
    cells: list[tuple[Any, int, int, str]] = []
    column = columns.index("mAP")
    for _, group in groupby(records, key=lambda record: (record["pair"], record["schedule"])):
        rows: list[list[str]] = []
        table.origin.append(members := list(group))
        for record in members:
            row = [teacher_name(record), student_name(record), record["schedule"] or ""]
            row += [record["loss"] or ""] if len(losses) > 1 else []
            row += [*(plain(record.get(key)) for key in extra), metric(record, "baseline_mAP"), plain(record["weight"])]
            row += [metric(record, "mAP"), signed(record["gain"], record.get("gain_std"))]
            row += [published(record["paper_mAP"]), signed(record["paper_difference"])] if paper else []
            table.notes += record["paper_notes"] if paper else []
            section = len(table.sections)
            cells.append(
                ((section, record["batch"], record["epoch"], record["smoke"]), section, len(rows), row[column])
            )
            rows.append(row)
        table.sections.append(rows)
    table.bold = best(cells, column)
    table.notes = notes_of(table.notes, records, paper)
    return table
