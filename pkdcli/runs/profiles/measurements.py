"""profile.json: what `pkd profile` has measured of a run's detectors, kept in its folder for reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pkdcli.runs.paths import RunPaths
from pkdcli.runs.record import number_of
from pkdcli.runs.store import read_object, write_json

Row = Mapping[str, Any]
RUNTIMES = {"pytorch": "PyTorch", "onnxruntime": "onnxruntime"}
_CONDITIONS = ("device_name", "device", "runtime", "batch", "threads", "image")


def keep(paths: RunPaths, rows: Sequence[Row]) -> None:
    """Put measurements into a run's profile.json, in the place of earlier ones under the same conditions.

    Args:
        paths: The run.
        rows: Of its student and its teacher: `model` says whose.

    Raises:
        PkdError: The file can't be written.
    """
    new = {_key(row) for row in rows}
    kept = [row for row in measurements(paths.root) if _key(row) not in new]
    write_json(paths.profile, {"schema": 1, "run": paths.run, "measurements": [*kept, *map(dict, rows)]})


def measurements(folder: Path | str) -> list[dict[str, Any]]:
    """What profile.json in a run's folder holds, the latest last; nothing where there is none that can be read."""
    found = read_object(RunPaths(Path(folder)).profile).get("measurements")
    rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
    return [row for row in rows if number_of(row.get("latency_ms")) is not None]


def conditions(row: Row) -> tuple[Any, ...]:
    """On what and how something was timed: latencies compare where it is the same."""
    return tuple(str(row.get(name)) for name in _CONDITIONS)


def described(row: Row) -> str:
    """The same in words: `PyTorch, AMD EPYC 7763, 2 threads, batch 1, 192x192`."""
    image = row.get("image") or ["?", "?"]
    on_gpu = str(row.get("device")).startswith("cuda")
    threads = row.get("threads")
    words = [RUNTIMES.get(str(row.get("runtime")), str(row.get("runtime"))), str(row.get("device_name"))]
    words += [] if on_gpu else [f"{threads} thread{'' if threads == 1 else 's'}"]
    return ", ".join([*words, f"batch {row.get('batch')}", f"{image[0]}x{image[1]}"])


def _key(row: Row) -> tuple[Any, ...]:
    return (row.get("model"), *conditions(row))
