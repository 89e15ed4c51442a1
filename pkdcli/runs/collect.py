"""Every run below a runs folder as one flat record: what it is, how far it got, its metrics and its gain."""

from __future__ import annotations

import json
import math
import os
import re
import socket
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from pkdcli.errors import PkdError

Record = dict[str, Any]
Warn = Callable[[str], None]

METRICS = ("mAP", "AP50", "AP75", "AP_S", "AP_M", "AP_L")

COLUMNS = (
    *("run", "pair", "teacher", "student", "role", "loss", "weight", "temperature", "schedule", "data", "scale"),
    *("seed", "state", *METRICS, "gain"),
    *("split", "batch", "init", "levels", "stat_chunk", "epoch", "seconds", "images_per_second", "peak_memory_mb"),
    *("teacher_mAP", "baseline", "baseline_mAP", "smoke", "foreign", "error", "path"),
)
"""The columns of `pkd report --format csv`, in order; AP in points (0 to 100), time in seconds.

`smoke` says how little a smoke run did (`2 steps, 8 images`); it is None for a whole run.
`foreign` names the toolbox of a run that was imported, not made by pkd; else it is None."""

_TEXTS = (
    *("pair", "teacher", "student", "role", "loss", "schedule", "data", "scale", "split", "init", "levels"),
    *("stat_chunk", "teacher_title", "student_title", "comparable"),
)
_NUMBERS = ("weight", "temperature", "seed", "batch", "epoch", "epochs", "seconds", "images_per_second")
_OF_THE_LOSS = ("weight", "temperature", "levels", "stat_chunk")
_MARKS = ("status.json", "recipe.yaml", "result.json")
_SAME = ("student", "schedule", "data", "scale", "batch", "seed")


def collect(root: Path, warn: Warn | None = None, foreign: Sequence[Path] = ()) -> list[Record]:
    """The runs directly below `root` and those of other toolboxes, sorted as the tables show them.

    A run is a folder with a `status.json`, a `recipe.yaml` or a `result.json`; other folders are passed over, and a
    file that can't be read costs its run the values in it, never the report.

    Args:
        root: The runs folder; it need not exist.
        warn: Called once per unreadable file with a line naming it; writes to stderr by default.
        foreign: Work directories of mmdet or mmrazor, or folders of them.

    Returns:
        Flat records with at least the keys `COLUMNS`; a value that is not known is None. Besides: `epochs`,
        `teacher_title`, `student_title`, `comparable` and the teacher's metrics as `teacher_AP50` and so on.

    Raises:
        PkdError: `root` is not a folder, or not one that may be read; there is no log where one is to be imported.
    """
    warn = warn or _to_stderr
    try:
        with os.scandir(root) as entries:
            folders = sorted(entry.path for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except FileNotFoundError:
        folders = []
    except OSError as error:
        message = f"can't read the runs folder {root}: {error.strerror}."
        raise PkdError(message, "Give another with --runs DIR.") from error
    records = [record for folder in folders if (record := _read(folder, warn)) is not None]
    if foreign:
        from pkdcli.runs.importers.mmengine import read_work_dirs

        records += read_work_dirs(foreign, warn)
    _add_gains(records)
    return sorted(records, key=order)


def order(record: Record) -> tuple:
    """The sort key of the tables: pair, schedule, teacher and baseline first, loss, weight, temperature, seed."""
    role = {"teacher": 0, "baseline": 1}.get(record["role"], 2)
    numbers = [_rank(record[key]) for key in ("weight", "temperature", "seed")]
    rest = [str(record[key] or "") for key in ("data", "scale")]
    return (_natural(record["pair"]), _natural(record["schedule"]), role, record["loss"] or "", *numbers, *rest,
            _rank(record["batch"]), str(record.get("run")))  # fmt: skip


def smoke(result: Record) -> str | None:
    """What a run was cut down to: its training to so many steps, its evaluation to so many images."""
    counts = ((_number(result.get(key)), word) for key, word in (("max_iters", "step"), ("val_images", "image")))
    return ", ".join(f"{plain(n)} {word}{'s' if n != 1 else ''}" for n, word in counts if n is not None) or None


def plain(value: Any) -> str:
    """A number without a needless `.0`, true and false as in YAML, any other value as text, None as nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _read(folder: str, warn: Warn) -> Record | None:
    if not any(os.path.exists(os.path.join(folder, mark)) for mark in _MARKS):
        return None
    status = _json(os.path.join(folder, "status.json"), warn)
    result = _json(os.path.join(folder, "result.json"), warn)
    # A finished run's status repeats what its result says, so the result comes first; of an unfinished run the
    # status tells who it is, and where even that is missing, its recipe.
    sources = [result or {}, status or {}]
    if not any(_text(source.get("loss")) and _text(source.get("pair")) for source in sources):
        sources.append(_recipe(os.path.join(folder, "recipe.yaml"), warn))

    record: Record = dict.fromkeys(COLUMNS)
    for key in _TEXTS:
        record[key] = next((text for source in sources if (text := _text(source.get(key))) is not None), None)
    for key in (*_NUMBERS, "peak_memory_mb"):
        record[key] = next((value for source in sources if (value := _number(source.get(key))) is not None), None)
    if record["loss"] == "none":
        record["role"] = record["role"] or "baseline"
    for prefix, key in (("", "metrics"), ("teacher_", "teacher_metrics")):
        metrics = result.get(key) if result else None
        for name in METRICS:
            record[prefix + name] = _number(metrics.get(name)) if isinstance(metrics, dict) else None
    record["smoke"] = smoke(result or {})
    record["run"] = os.path.basename(folder)
    record["path"] = folder
    record["state"] = _state(status, result, folder)
    record["error"] = _error(status) if record["state"] != "done" else None
    if record["state"] == "done" and record["mAP"] is None:
        record["error"] = "its result.json is absent, unreadable or without mAP"
    return record


def _state(status: Record | None, result: Record | None, folder: str) -> str:
    begun = any(os.path.exists(os.path.join(folder, name)) for name in ("status.json", "result.json"))
    state = _text(status.get("state")) if status else None if begun else "queued"
    if state is None:
        return "done" if result is not None else "unknown"
    if state == "running" and status.get("host") == socket.gethostname() and not _alive(status.get("pid")):
        return "lost"
    return state


def _alive(pid: Any) -> bool:
    # Elsewhere than on POSIX, signal 0 is not a question but an interruption.
    if os.name != "posix" or not isinstance(pid, int) or pid <= 0:
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _error(status: Record | None) -> str | None:
    error = status.get("error") if status else None
    message = error.get("message") if isinstance(error, dict) else error
    return " ".join(message.split()) or None if isinstance(message, str) else None


def _add_gains(records: list[Record]) -> None:
    """Fill `gain`, `baseline` and `baseline_mAP` of every distilled run that has a result and a baseline with one."""
    baselines = defaultdict(list)
    for record in records:
        if record["role"] == "baseline" and record["mAP"] is not None:
            baselines[tuple(record[key] for key in _SAME)].append(record)
    for record in records:
        if record["role"] in ("baseline", "teacher"):
            continue
        alike = baselines[tuple(record[key] for key in _SAME)]
        best = baseline_among(record, chain(*baselines.values()) if record["foreign"] else alike)
        if best is None:
            continue
        record["baseline"], record["baseline_mAP"] = best["run"], best["mAP"]
        if record["mAP"] is not None:
            record["gain"] = record["mAP"] - best["mAP"]


def baseline_among(record: Record, records: Iterable[Record]) -> Record | None:
    """The finished baseline that a run is measured against; None where there is none."""
    alike = [
        one
        for one in records
        if one["role"] == "baseline" and one["mAP"] is not None
        and all(one[key] == record[key] for key in _SAME if key != "seed") and _comparable(record, one)
    ]  # fmt: skip
    matching = [one for one in alike if one["seed"] == record["seed"]]
    if record["foreign"] and not matching and len(alike) == 1:
        matching = alike  # mmengine draws a seed for each run
    # Equal in every setting known to both; then the one asked for with the same pair, then by name.
    return min(
        matching, key=lambda b: (*(b[key] != record[key] for key in ("comparable", "pair")), b["run"]), default=None
    )


def _comparable(record: Record, baseline: Record) -> bool:
    # The AP of a few images says nothing beside that of all of them.
    if record["smoke"] != baseline["smoke"] or bool(record["foreign"]) != bool(baseline["foreign"]):
        return False
    return all(None in (record[key], baseline[key]) or record[key] == baseline[key] for key in ("comparable", "split"))


def _json(path: str, warn: Warn) -> Record | None:
    try:
        with open(path, "rb") as file:
            data = json.loads(file.read())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        warn(f"can't read {path}: {error}")
        return None
    if not isinstance(data, dict):
        warn(f"can't read {path}: it holds no JSON object")
        return None
    return data


def _recipe(path: str, warn: Warn) -> Record:
    """The identifying columns that a recipe states; a nested one (`loss: {name: pkd}`) counts by its name."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        warn(f"can't read {path}: {error}")
        return {}
    import yaml

    try:
        data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        warn(f"can't read {path}: {' '.join(str(error).split())}")
        return {}
    if not isinstance(data, dict):
        warn(f"can't read {path}: it holds no recipe")
        return {}
    parts = {key: value for key, value in data.items() if isinstance(value, dict)}
    found = {key: value for key, value in parts.get("loss", {}).items() if key in _OF_THE_LOSS}
    found |= {f"{key}_title": parts[key].get("title") for key in ("teacher", "student") if key in parts}
    return found | {key: parts[key].get("name") if key in parts else value for key, value in data.items()}


def _text(value: Any) -> str | None:
    # Numbers pass for `stat_chunk: 2`; but a float is never a name: a status may carry the training loss as `loss`.
    if isinstance(value, str):
        return value
    if isinstance(value, (list, dict)) and value:
        return json.dumps(value, separators=(",", ":"))
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # No count or AP is that large, and an integer beyond a float's range would break every format.
    return value if abs(value) < 1e15 else None


def _rank(value: float | None) -> float:
    return -math.inf if value is None else value


def _natural(text: str | None) -> tuple:
    """Sort `2x` before `10x`."""
    parts = re.split(r"(\d+)", text or "")
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts)


def _to_stderr(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr)
