"""A run as one flat record: its columns, their order in the tables, and how a value of it becomes text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

Record = dict[str, Any]
Warn = Callable[[str], None]

METRICS = ("mAP", "AP50", "AP75", "AP_S", "AP_M", "AP_L")

COLUMNS = (
    *("run", "pair", "teacher", "student", "role", "loss", "weight", "temperature", "schedule", "data", "scale"),
    *("seed", "state", *METRICS, "gain"),
    *("split", "batch", "init", "levels", "stat_chunk", "training", "distill_until", "epoch", "seconds"),
    *("images_per_second", "peak_memory_mb"),
    *("teacher_mAP", "baseline", "baseline_mAP", "smoke", "foreign", "error", "path"),
)
"""The columns of `pkd report --format csv`, in order; AP in points (0 to 100), time in seconds.

`smoke` says how little a smoke run did (`2 steps, 8 images`); it is None for a whole run.
`foreign` names the toolbox of a run that was imported, not made by pkd; else it is None."""

SIZES = ("parameters", "gflops")
"""What a result says of its detector's size: parameters, and 10^9 operations of a forward pass on a test image, a
multiply-add as two."""

MORE_COLUMNS = (
    *SIZES, *(f"teacher_{name}" for name in SIZES), "latency_ms", "teacher_latency_ms", "latency_on",
)  # fmt: skip
"""Columns that `pkd report --columns` adds. Latencies are those that `pkd profile RUN` has left in the run's folder,
milliseconds of a batch; `latency_on` says of what: device, runtime, batch, threads, size."""


def order(record: Record) -> tuple:
    """The sort key of the tables: pair, schedule, teacher and baseline first, loss, weight, temperature, seed."""
    role = {"teacher": 0, "baseline": 1}.get(record["role"], 2)
    numbers = [_rank(record[key]) for key in ("weight", "temperature", "seed")]
    rest = [str(record[key] or "") for key in ("data", "scale")]
    return (_natural(record["pair"]), _natural(record["schedule"]), role, record["loss"] or "", *numbers, *rest,
            _rank(record["batch"]), str(record.get("run")))  # fmt: skip


def smoke(result: Record) -> str | None:
    """What a run was cut down to: its training to so many steps, its evaluation to so many images."""
    counts = ((number_of(result.get(key)), word) for key, word in (("max_iters", "step"), ("val_images", "image")))
    return ", ".join(f"{plain(n)} {word}{'s' if n != 1 else ''}" for n, word in counts if n is not None) or None


def plain(value: Any) -> str:
    """A number without a needless `.0`, true and false as in YAML, any other value as text, None as nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def text_of(value: Any) -> str | None:
    """A value of a status or a result as text; None where it is no text.

    Whole numbers pass, for `stat_chunk: 2`. A float is never a name: a status may carry the training loss as `loss`.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (list, dict)) and value:
        return json.dumps(value, separators=(",", ":"))
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def number_of(value: Any) -> float | int | None:
    """A value of a status or a result as a number; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # No count or AP is that large, and an integer beyond a float's range would break every format.
    return value if abs(value) < 1e15 else None


def classes_of(result: Record) -> dict[str, float | int | None] | None:
    """AP points by the name of the class, None for one without objects; None where a result does not tell them."""
    found = result.get("classes")
    return {name: number_of(value) for name, value in found.items()} if isinstance(found, dict) else None


def _rank(value: float | None) -> float:
    return -math.inf if value is None else value


def _natural(text: str | None) -> tuple:
    """Sort `2x` before `10x`."""
    parts = re.split(r"(\d+)", text or "")
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts)
