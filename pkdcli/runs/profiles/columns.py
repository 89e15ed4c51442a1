"""Sizes and latencies of a run as columns of its record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pkdcli.runs.profiles.measurements import described, measurements
from pkdcli.runs.record import MORE_COLUMNS, SIZES, Record, number_of

_LIKE = ("device_name", "device", "runtime", "batch", "threads")


def size_columns(folder: str, result: Mapping[str, Any]) -> Record:
    """The columns `MORE_COLUMNS`, and `profile`: all measurements.

    Sizes are those of result.json; of a run from before they stood there, those that `pkd profile` has counted. The
    latency is the latest in PyTorch, and the teacher's the one that was measured on the same device in the same way.

    Args:
        folder: The run's.
        result: What its result.json says.
    """
    rows = measurements(folder)
    found: Record = dict.fromkeys(MORE_COLUMNS)
    of = {who: [row for row in rows if row.get("model") == who] for who in ("student", "teacher")}
    for who, prefix in (("student", ""), ("teacher", "teacher_")):
        for name in SIZES:
            values = (result.get(prefix + name), *(row.get(name) for row in reversed(of[who])))
            found[prefix + name] = next((value for one in values if (value := number_of(one)) is not None), None)
    latest = next((row for row in reversed(of["student"]) if row.get("runtime") == "pytorch"), None)
    if latest is not None:
        found["latency_ms"], found["latency_on"] = number_of(latest["latency_ms"]), described(latest)
        like = [row for row in of["teacher"] if all(row.get(key) == latest.get(key) for key in _LIKE)]
        found["teacher_latency_ms"] = number_of(like[-1]["latency_ms"]) if like else None
    return found | {"profile": rows}
