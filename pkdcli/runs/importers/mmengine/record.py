"""A work directory as a record beside those of pkd's own runs, marked with the toolbox it is from."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pkdcli.runs.importers.mmengine.identity import identity
from pkdcli.runs.importers.mmengine.workdir import Start, Warn, config_of, read_starts, work_dirs
from pkdcli.runs.record import COLUMNS, METRICS, Record, plain

_KEYS = dict(zip(METRICS, ("mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l"), strict=True))


def read_work_dirs(folders: Sequence[Path], warn: Warn) -> list[Record]:
    """The trainings in work directories of mmdet and mmrazor, each as `collect` describes a run.

    A training counts as `done` when its last epoch was evaluated: its metrics are that epoch's, in AP points. Any other
    is `unfinished`, or `failed` where its loss is not finite; its `error` says how far it got.

    Args:
        folders: Work directories, or folders of them.
        warn: Called with a line for each file or line of a file that can't be read.

    Returns:
        Records whose `foreign` is `mmdet`, `mmrazor`, or mmengine's scope of whatever else it was.

    Raises:
        PkdError: A path leads to no work directory.
    """
    found = list(dict.fromkeys(sub for folder in folders for sub in work_dirs(Path(os.path.abspath(folder)))))
    names = [folder.name for folder in found]
    records = []
    for folder in found:
        name = folder.name if names.count(folder.name) == 1 else f"{folder.parent.name}/{folder.name}"
        records.append(_record(folder, name, warn))
    return records


def _record(folder: Path, name: str, warn: Warn) -> Record:
    starts = read_starts(folder, warn)
    config, config_name = config_of(folder, starts, warn)
    more = ("epochs", "teacher_title", "student_title", "comparable", "experiment")
    keys = (*COLUMNS, *more, *(f"teacher_{metric}" for metric in METRICS))
    record: Record = dict.fromkeys(keys)
    record |= identity(config, config_name, starts[-1].environment)
    record |= {"run": name, "path": str(folder)}
    seconds = [start.seconds for start in starts if start.seconds is not None]
    record["seconds"] = sum(seconds) if seconds else None
    memory = [value for start in starts for r in start.train if isinstance(value := r.get("memory"), (int, float))]
    record["peak_memory_mb"] = max(memory, default=None)
    return record | _end(config, starts)


def _end(config: dict[str, Any], starts: list[Start]) -> Record:
    """State, epoch, metrics and error: how the training ended."""
    train = [record for start in starts for record in start.train]
    val = [record for start in starts for record in start.val]
    loop = config.get("train_cfg") if isinstance(config.get("train_cfg"), dict) else {}
    epochs, iters = _count(loop.get("max_epochs")), _count(loop.get("max_iters"))
    reached = _count(train[-1].get("epoch" if epochs else "step")) if train else None
    evaluated = _count(val[-1].get("step")) if val else None
    fields: Record = {"epoch": reached if epochs else None, "epochs": epochs}
    word, length = ("epoch", epochs) if epochs else ("step", iters)
    metrics = _metrics(val[-1]) if val else {}
    loss = train[-1].get("loss") if train else None
    if isinstance(loss, float) and not math.isfinite(loss):
        return fields | {"state": "failed", "error": f"the loss is {plain(loss)} at {word} {reached}"}
    if not length:
        whole = bool(val)  # nothing tells how long it was to be
    elif epochs:
        whole = evaluated == epochs
    else:
        # Losses are logged at regular steps only, so the last one is rarely on record.
        whole = bool(val) and reached is not None and reached + _interval(train) > length
    if whole and metrics.get("mAP") is not None:
        if epochs or not length:
            fields["epoch"] = evaluated
        return fields | metrics | {"state": "done"}
    if whole:
        known = ", ".join(key for key in val[-1] if key not in ("step", "time", "data_time")) or "nothing"
        return fields | {"state": "done", "error": f"its last evaluation has no bbox_mAP, but {known}"}
    error = f"its log ends at {word} {reached} of {length}" if reached else "its log has no training step"
    if metrics.get("mAP") is not None:
        error += f"; evaluated last at {word if epochs else 'epoch'} {evaluated}: mAP {metrics['mAP']:.1f}"
    return fields | {"state": "unfinished", "error": error}


def _interval(train: list[dict[str, Any]]) -> int:
    steps = [step for record in train[-2:] if (step := _count(record.get("step")))]
    return steps[1] - steps[0] if len(steps) == 2 else 1


def _metrics(record: dict[str, Any]) -> Record:
    """The six metrics of the student, and the teacher's where the loop evaluated it too, in AP points."""
    found: Record = {}
    for key, value in record.items():
        # `coco/bbox_mAP_50`, `teacher.coco/bbox_mAP_50`, `student.coco/...` of mmrazor's loops.
        whose = "teacher_" if key.startswith("teacher.") else ""
        for name, theirs in _KEYS.items():
            if key.rpartition("/")[2].rpartition(".")[2] == f"bbox_{theirs}":
                found[whose + name] = _points(value)
    return found


def _points(value: Any) -> float | None:
    """A share of 0 to 1 as points; mmdet writes -1 where the data has no object of that size."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        return None
    return round(100 * value, 10)  # 0.29 * 100 is 28.999999999999996


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
