"""Every run below a runs folder as one flat record: what it is, how far it got, its metrics and its gain."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pkdcli.errors import PkdError
from pkdcli.runs.baselines import add_experiments, add_gains
from pkdcli.runs.paths import MARKS, RunPaths
from pkdcli.runs.profiles import size_columns
from pkdcli.runs.record import COLUMNS, METRICS, Record, Warn, classes_of, number_of, order, smoke, text_of

_TEXTS = (
    *("pair", "teacher", "student", "role", "loss", "schedule", "data", "scale", "split", "init", "levels"),
    *("stat_chunk", "training", "teacher_title", "student_title", "comparable", "experiment"),
)
_NUMBERS = ("weight", "temperature", "distill_until", "seed", "batch", "epoch", "epochs", "seconds",
            "images_per_second")  # fmt: skip
_OF_THE_LOSS = ("weight", "temperature", "levels", "stat_chunk")

GONE = "its process is gone"


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
        `teacher_title`, `student_title`, `comparable`, `experiment` (one for all seeds), the teacher's metrics as
        `teacher_AP50` and so on, and `classes`: AP by the name of the class, or None; of pkd's own runs `MORE_COLUMNS`
        and `profile`, all measurements.

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
    add_experiments(records)
    add_gains(records)
    return sorted(records, key=order)


def _read(folder: str, warn: Warn) -> Record | None:
    if not any(os.path.exists(os.path.join(folder, mark)) for mark in MARKS):
        return None
    status = _json(os.path.join(folder, "status.json"), warn)
    result = _json(os.path.join(folder, "result.json"), warn)
    # A finished run's status repeats what its result says, so the result comes first; of an unfinished run the
    # status tells who it is, and where even that is missing, its recipe.
    sources = [result or {}, status or {}]
    if not any(text_of(source.get("loss")) and text_of(source.get("pair")) for source in sources):
        sources.append(_recipe(os.path.join(folder, "recipe.yaml"), warn))

    record: Record = dict.fromkeys(COLUMNS)
    for key in _TEXTS:
        record[key] = next((text for source in sources if (text := text_of(source.get(key))) is not None), None)
    for key in (*_NUMBERS, "peak_memory_mb"):
        record[key] = next((value for source in sources if (value := number_of(source.get(key))) is not None), None)
    record["training"] = record["training"] or "paper"  # of runs from before there was another
    if record["loss"] == "none":
        record["role"] = record["role"] or "baseline"
    for prefix, key in (("", "metrics"), ("teacher_", "teacher_metrics")):
        metrics = result.get(key) if result else None
        for name in METRICS:
            record[prefix + name] = number_of(metrics.get(name)) if isinstance(metrics, dict) else None
    record["classes"] = classes_of(result or {})
    record |= size_columns(folder, result or {})
    record["smoke"] = smoke(result or {})
    record["run"] = os.path.basename(folder)
    record["path"] = folder
    record["state"] = _state(status, result, folder)
    record["error"] = _error(status) if record["state"] != "done" else None
    if record["state"] == "failed" and (status or {}).get("state") == "running":
        record["error"] = GONE
    if record["state"] == "done" and record["mAP"] is None:
        record["error"] = "its result.json is absent, unreadable or without mAP"
    return record


def _state(status: Record | None, result: Record | None, folder: str) -> str:
    begun = any(os.path.exists(os.path.join(folder, name)) for name in ("status.json", "result.json"))
    state = text_of(status.get("state")) if status else None if begun else "queued"
    if state is None:
        return "done" if result is not None else "unknown"
    return "failed" if state == "running" and _is_gone(folder) else state


def _is_gone(folder: str) -> bool:
    from pkdcli.runs.liveness import held_by  # whose imports a report of finished runs does without

    return held_by(RunPaths(Path(folder))) is None


def _error(status: Record | None) -> str | None:
    error = status.get("error") if status else None
    message = error.get("message") if isinstance(error, dict) else error
    return " ".join(message.split()) or None if isinstance(message, str) else None


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


def _to_stderr(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr)
