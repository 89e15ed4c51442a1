"""How fast finished runs were, and so how long others will take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from pkdcli.runs.store import read_json

Result = Mapping[str, Any]


def measured(roots: Iterable[Path]) -> list[Result]:
    """The results of all finished runs directly below some folders that measured their training steps."""
    results = [read_json(path) for root in roots for path in sorted(root.glob("*/result.json"))]
    return [one for one in results if isinstance(one, dict) and _positive(one.get("images_per_second"))]


def seconds_for(results: Iterable[Result], wanted: Result, images: int) -> float | None:
    """An estimate of the time of a run, in seconds; None where no finished run says anything about it.

    Rates come from whole runs of the same student and scale on the same data where there are such, of the same
    role, and for a distilled one of the same teacher; else from the next best. The median counts.

    Args:
        results: As `measured` gives them.
        wanted: `student`, `scale`, `data`, `role` and `teacher` of the run.
        images: Images that go through its training steps.
    """
    alike = [one for one in results if all(one.get(key) == wanted[key] for key in ("student", "scale"))]
    if not alike:
        return None
    closeness = [(_closeness(one, wanted), one) for one in alike]
    closest = max(rank for rank, _ in closeness)
    chosen = [one for rank, one in closeness if rank == closest]
    rate = median(one["images_per_second"] for one in chosen)
    return images / rate + median(_overhead(one) for one in chosen)


def _closeness(one: Result, wanted: Result) -> tuple[bool, ...]:
    # A smoke run's few steps are slower than the average step of a whole one, but still of the same model.
    same = [one.get(key) == wanted[key] for key in ("role", "teacher", "data")]
    return same[0], same[1], one.get("max_iters") is None, same[2]


def _overhead(one: Result) -> float:
    """Seconds of start and evaluation, beside the training steps."""
    spent = one.get("seconds"), one.get("train_seconds")
    return max(0.0, spent[0] - spent[1]) if all(_positive(value) for value in spent) else 0.0


def _positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
