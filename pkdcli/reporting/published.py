"""Numbers from the literature (recipes/published.csv), each joined to the runs that repeat its experiment."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from pkdcli.errors import ExitCode, PkdError
from pkdcli.folders import recipes_root
from pkdcli.runs.record import METRICS, Record

_TEMPERATURE = re.compile(r"\bT\s*=\s*(\d+(?:\.\d+)?)")
_NEEDED = {"source", "table", "teacher", "student", "pair", "schedule", "method", "weight", "note", *METRICS}
PAPER_COLUMNS = (*(f"paper_{name}" for name in METRICS), "paper_difference", "paper_source")


def read_published(path: Path | None = None) -> list[Record]:
    """The rows of published.csv with numbers as numbers and the detectors' short names filled in.

    Rows of Table 7 name one detector by its title only; which short name that is, the rows with a pair tell.
    A temperature stands in the note as `T=50`.

    Raises:
        PkdError: The file is absent or holds something other than numbers where numbers belong.
    """
    path = path or recipes_root() / "published.csv"
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = _NEEDED - set(reader.fieldnames or ())
            if missing:
                raise ValueError(f"no column {', '.join(sorted(missing))}")
            rows = [_parse(row) for row in reader]
    except OSError as error:
        raise PkdError(f"can't read {path}: {error.strerror}.", "Install pkdcli again.", ExitCode.MISSING) from error
    except ValueError as error:
        raise PkdError(f"{path}: not a table of published numbers: {error}.", "Restore the file as shipped.") from error
    short = {}
    for row in rows:
        teacher, _, student = row["pair"].partition("-")
        named = ((row["teacher"], teacher), (row["student"], student))
        short |= {title: name for title, name in named if title and name}
    for row in rows:
        row["teacher_name"], row["student_name"] = short.get(row["teacher"]), short.get(row["student"])
    return rows


def add_published(records: list[Record], published: list[Record]) -> None:
    """Add `PAPER_COLUMNS` and `paper_notes` to every record.

    A value is None where nothing is published, a number where the sources agree, else a list of the differing
    numbers in the file's order; they are never averaged. The difference is filled only where it means something:
    one published mAP, scale `paper`, data `coco`, its whole val split.

    Args:
        records: Runs, or means over seeds.
        published: As `read_published` gives them.
    """
    by_method: dict[Any, list[Record]] = defaultdict(list)
    for row in published:
        by_method[_key(row["method"], row["pair"], row["student_name"], row["schedule"])].append(row)
    for record in records:
        method = "baseline" if record["role"] == "baseline" else record["loss"]
        rows = by_method.get(_key(method, record["pair"], record["student"], record["schedule"]), [])
        rows = [row for row in rows if _agrees(row["weight"], record["weight"]) or method == "baseline"]
        rows = [row for row in rows if _agrees(row["temperature"], record["temperature"])]
        join(record, rows if record["role"] != "teacher" else [])


def published_teacher(teacher: str | None, published: list[Record]) -> Record:
    """The `PAPER_COLUMNS` and `paper_notes` of a teacher's row; a teacher keeps its own schedule in every table.

    Args:
        teacher: Its short name.
        published: As `read_published` gives them.
    """
    found: Record = {"mAP": None, "scale": None, "data": None, "split": None, "smoke": None}
    rows = [row for row in published if row["method"] == "teacher"]
    join(found, [row for row in rows if teacher and row["teacher_name"] == teacher])
    return found


def _key(method: str | None, pair: str | None, student: str | None, schedule: str | None) -> tuple:
    # A baseline serves every pair with its student.
    return (method, student if method == "baseline" else pair, schedule)


def _agrees(published: float | None, ours: float | None) -> bool:
    return published is None or published == ours


def rows_of_line(literature: list[Record], table: str, line: Record) -> list[Record]:
    """The published rows of one line of a table.

    Args:
        literature: As `read_published` gives it.
        table: The `table` column.
        line: `role`, `pair` (under which the numbers were published), `teacher`, `student`, `schedule`, `loss`,
            `weight`, `temperature`. A teacher's row is found by its name, whatever its schedule; a baseline's by its
            pair, or where the table names none by its student.
    """
    method = line["role"] if line["role"] in ("teacher", "baseline") else line["loss"]
    found = []
    for row in literature:
        if row["table"] != table or row["method"] != method:
            continue
        if method == "teacher":
            same = row["teacher_name"] == line["teacher"]
        else:
            same = row["schedule"] == line["schedule"]
            same &= row["pair"] == line["pair"] if row["pair"] else row["student_name"] == line["student"]
        if method not in ("teacher", "baseline"):
            same &= _agrees(row["weight"], line["weight"]) and _agrees(row["temperature"], line["temperature"])
        if same:
            found.append(row)
    return found


def join(record: Record, rows: list[Record]) -> None:
    """Add `PAPER_COLUMNS` and `paper_notes` to a record, from the published rows that are its own.

    Args:
        record: A run, or a mean over seeds.
        rows: The published rows that are its own.
    """
    for name in METRICS:
        values = list(dict.fromkeys(row[name] for row in rows if row[name] is not None))
        record[f"paper_{name}"] = values[0] if len(values) == 1 else values or None
    record["paper_source"] = "; ".join(dict.fromkeys(row["source"] for row in rows)) or None
    paper = record["paper_mAP"]
    same = record["scale"] == "paper" and record["data"] == "coco" and record["split"] in (None, "val")
    same = same and not record["smoke"]
    known = same and record["mAP"] is not None and isinstance(paper, float)
    record["paper_difference"] = record["mAP"] - paper if known else None
    record["paper_notes"] = [_cite(row) for row in rows if not _TEMPERATURE.fullmatch(row["note"] or "T=0")]


def _cite(row: Record) -> str:
    what = row["teacher"] if row["method"] == "teacher" else f"{row['pair'] or row['student']} {row['method']}"
    return f"{row['source']}, {what} {row['schedule']}: {row['note']}."


def _parse(row: dict[str, str]) -> Record:
    parsed: Record = {key: (row[key] or "").strip() for key in _NEEDED}
    for key in ("weight", *METRICS):
        parsed[key] = float(parsed[key]) if parsed[key] else None
    temperature = _TEMPERATURE.search(parsed["note"])
    parsed["temperature"] = float(temperature[1]) if temperature else None
    return parsed
