"""What a run, its teacher and its student are called in the tables."""

from __future__ import annotations

from pkdcli.runs.record import Record, plain


def method_name(record: Record) -> str:
    """What stands in the first column of Table 7: a detector and its role, or a loss and its knobs."""
    if record["role"] == "teacher":
        return f"{student_name(record)} (teacher)"
    if record["role"] == "baseline":
        return f"{student_name(record)} (student)"
    parts = [record["loss"] or "unknown loss"]
    parts += [f"weight {plain(record['weight'])}"] if record["weight"] is not None else []
    parts += [f"T {plain(record['temperature'])}"] if record["temperature"] is not None else []
    return ", ".join(parts)


def teacher_name(record: Record) -> str:
    """The teacher's title, or its short name."""
    return record.get("teacher_title") or record["teacher"] or "unknown"


def student_name(record: Record) -> str:
    """The student's title, or its short name; of a teacher's run the teacher's."""
    return record.get("student_title") or record["student"] or "unknown"


def is_distilled(record: Record) -> bool:
    """Whether a run is of a student with a teacher."""
    return record["role"] not in ("baseline", "teacher")
