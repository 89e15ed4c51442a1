"""The files of a work directory: which starts there were, what they logged, when."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pkdcli.errors import PkdError
from pkdcli.runs.importers.mmengine.literal import read_config

Warn = Callable[[str], None]

_START = re.compile(r"\d{8}_\d{6}")  # mmengine names a start's folder so
_STAMP = re.compile(r"^(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) - ", re.MULTILINE)
_HEAD, _TAIL = 65_536, 8_192  # bytes of a log that are looked at


@dataclass
class Start:
    """One start of a training: a folder named by its time.

    Attributes:
        folder: `WORK_DIR/<timestamp>`.
        train: Records of training steps, in order.
        val: Records of validations, in order.
        environment: `seed` and `GPU number` of the log's head, where they are told.
        seconds: From the log's first line to its last.
    """

    folder: Path
    train: list[dict[str, Any]] = field(default_factory=list)
    val: list[dict[str, Any]] = field(default_factory=list)
    environment: dict[str, int] = field(default_factory=dict)
    seconds: float | None = None


def work_dirs(folder: Path) -> list[Path]:
    """The work directories that a path names: itself, or those directly in it.

    Raises:
        PkdError: There is no such folder, or none in it is a work directory of mmengine.
    """
    if not folder.is_dir():
        raise PkdError(f"--import: there is no folder {folder}.", "Give a work_dir of mmdet or mmrazor.")
    try:
        below = [] if _starts(folder) else sorted(sub for sub in folder.iterdir() if sub.is_dir() and _starts(sub))
    except OSError as error:
        raise PkdError(f"--import: can't read {folder}: {error.strerror}.") from error
    if below or _starts(folder):
        return below or [folder]
    if any(folder.glob("*.log.json")):
        raise PkdError(
            f"--import: {folder} is a work directory of mmcv 1 (*.log.json), which is not read.",
            "mmdet 3 and mmrazor 1, on mmengine, write WORK_DIR/<timestamp>/vis_data/<timestamp>.json.",
        )
    if any((folder / name).is_file() for name in ("status.json", "result.json")):
        raise PkdError(f"--import: {folder} is one of pkd's own runs.", f"Give its folder: --runs {folder.parent}")
    raise PkdError(
        f"--import: {folder} holds no training log.",
        "A work_dir of mmdet 3 or mmrazor 1 has <timestamp>/vis_data/<timestamp>.json, or a folder of work_dirs does.",
    )


def _starts(folder: Path) -> list[Path]:
    """The folders of the starts that trained or validated, oldest first."""
    folders = sorted(sub for sub in folder.iterdir() if _START.fullmatch(sub.name) and sub.is_dir())
    return [sub for sub in folders if _scalars(sub) is not None]


def _scalars(start: Path) -> Path | None:
    data = start / "vis_data"
    return next((path for path in (data / f"{start.name}.json", data / "scalars.json") if path.is_file()), None)


def read_starts(folder: Path, warn: Warn) -> list[Start]:
    """The starts that make up the newest training: it, and those it was resumed from, oldest first.

    Args:
        folder: The work directory.
        warn: Called with a line for each line of a file that can't be read.
    """
    chain: list[Start] = []
    for sub in reversed(_starts(folder)):
        start = _read(sub, warn)
        if chain and not start.train:
            continue  # an evaluation between two trainings
        chain.insert(0, start)
        if start.train and _begins(start.train):
            break
    return chain


def _begins(records: list[dict[str, Any]]) -> bool:
    """Whether these are the records of a start from nothing: epochs and steps count over all starts."""
    first = records[0]
    if isinstance(first.get("epoch"), int):
        return first["epoch"] <= 1
    steps = [record["step"] for record in records[:2] if isinstance(record.get("step"), int)]
    return not steps or steps[0] <= (steps[1] - steps[0] if len(steps) > 1 else 1000)


def _read(folder: Path, warn: Warn) -> Start:
    start = Start(folder)
    path = _scalars(folder)
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines() if path else [], 1):
        try:
            record = json.loads(line) if line.strip() else {}
        except (ValueError, RecursionError):
            warn(f"can't read line {number} of {path}")
            continue
        if isinstance(record, dict) and record:
            (start.train if _of_training(record) else start.val).append(record)
    log = folder / f"{folder.name}.log"
    if log.is_file():
        head, tail = _ends(log)
        start.environment = {
            key: int(found[1])
            for key in ("seed", "GPU number")
            if (found := re.search(rf"^\s*{key}: (\d+)\s*$", head, re.MULTILINE))
        }
        start.seconds = _seconds(_STAMP.findall(head), _STAMP.findall(tail))
    return start


def _of_training(record: dict[str, Any]) -> bool:
    # Validations carry neither a rate nor losses of their own.
    return "lr" in record or "base_lr" in record or "loss" in record


def _ends(path: Path) -> tuple[str, str]:
    with open(path, "rb") as file:
        head = file.read(_HEAD)
        file.seek(max(0, path.stat().st_size - _TAIL))
        tail = file.read()
    return head.decode(errors="replace"), tail.decode(errors="replace")


def _seconds(first: list[str], last: list[str]) -> float | None:
    try:
        begin, end = (datetime.strptime(stamp, "%Y/%m/%d %H:%M:%S") for stamp in (first[0], last[-1]))
    except (IndexError, ValueError):
        return None
    return (end - begin).total_seconds()


def config_of(folder: Path, starts: list[Start], warn: Warn) -> tuple[dict[str, Any], str | None]:
    """The config of the newest start, and the name of the config file it came from, if it is known.

    Args:
        folder: The work directory.
        starts: Its starts, as `read_starts` gives them.
        warn: Called with a line for each file that can't be read.
    """
    named = sorted((path for path in folder.glob("*.py") if path.is_file()), key=lambda path: path.stat().st_mtime)
    name = named[-1].stem if named else None
    for path in (starts[-1].folder / "vis_data" / "config.py", *reversed(named)):
        try:
            return read_config(path), name
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            warn(f"can't read {path}: {error}")
    return {}, name
