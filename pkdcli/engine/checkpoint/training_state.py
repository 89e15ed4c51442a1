"""Training states on disk: written whole or not at all, and the newest good one found again.

A state is named by the epochs completed and, in the middle of an epoch, the steps taken: `epoch_0003.pth`,
`epoch_0003_iter_00000123.pth`. Names sort by age.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmengine.runner import Runner

from pkdcli.engine.checkpoint import read_checkpoint
from pkdcli.errors import PkdError
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import cannot_write, read_jsonl, write_text

_SECONDS = 5.0  # a younger half may be one that a command at the same run is writing just now
_PARTS = ("meta", "state_dict", "message_hub", "optimizer", "param_schedulers")


def state_name(step: int, per_epoch: int) -> str:
    """The file name of the state after so many steps.

    Args:
        step: Steps taken, over all epochs.
        per_epoch: Steps in an epoch.
    """
    epochs, rest = divmod(step, per_epoch)
    return f"epoch_{epochs:04d}_iter_{step:08d}.pth" if rest else f"epoch_{epochs:04d}.pth"


def states(folder: Path) -> list[Path]:
    """The states in a run's folder of checkpoints, oldest first."""
    return sorted(folder.glob("epoch_*.pth"))


def save(runner: Runner, step: int, keep: int) -> None:
    """Write the state after `step` steps, then let go of the oldest.

    Args:
        runner: The run's.
        step: Steps taken, over all epochs.
        keep: How many states stay, the new one among them.

    Raises:
        PkdError: There is no space left, or the folder can't be written; the states before are as they were.
    """
    folder = RunPaths(Path(runner.work_dir)).checkpoints
    per_epoch = len(runner.train_dataloader)
    path = folder / state_name(step, per_epoch)
    beside = folder / f".{path.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        added = getattr(runner.optim_wrapper, "_accumulative_counts", 1)
        meta = {"epoch": step // per_epoch, "iter": step, "accumulate": added}
        runner.save_checkpoint(str(folder), beside.name, save_param_scheduler=True, meta=meta)
        with open(beside, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
        for old in states(folder)[:-keep]:
            old.unlink()
    except BaseException as error:
        with suppress(OSError):
            beside.unlink()
        cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__
        if isinstance(cause, OSError):
            raise cannot_write(path, cause) from error
        raise


def newest(paths: RunPaths) -> tuple[Path | None, list[str]]:
    """The newest training state that is whole, and what is to be said of those that are not.

    A damaged one is renamed to `….damaged`, so that it does not count among those that are kept.

    Raises:
        PkdError: A state can't be read for want of permission, say: nothing is known of it, so nothing goes on.
    """
    said: list[str] = []
    for path in reversed(states(paths.checkpoints)):
        try:
            open(path, "rb").close()
        except OSError as error:
            raise PkdError(f"can't read {path}: {error.strerror}.", "Check the folder's permissions.") from error
        fault = _fault(path)
        if fault is None:
            return path, said
        said.append(f"{path.name} was passed over, and is now {path.name}.damaged: {fault}")
        with suppress(OSError):
            path.rename(f"{path}.damaged")
    if said:
        said.append("No training state is whole: the run starts from its beginning.")
    return None, said


def _fault(path: Path) -> str | None:
    try:
        content: Any = read_checkpoint(path)
    except PkdError as error:
        return error.message
    lacking = [part for part in _PARTS if not isinstance(content, dict) or part not in content]
    return f"it has no {', '.join(lacking)}." if lacking else None


def clear_away(paths: RunPaths) -> None:
    """Remove halves of files that a killed process has left."""
    for path in (*paths.checkpoints.glob(".*.part"), *paths.root.glob(".*.part")):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _SECONDS:
                path.unlink()


def rewind(metrics: Path, step: int) -> None:
    """Drop the records of steps after `step`, which will be taken again.

    Args:
        metrics: The run's metrics.jsonl.
        step: Steps that the state to go on from has taken.

    Raises:
        PkdError: The file can't be written.
    """
    if not metrics.exists():
        return
    lines = list(read_jsonl(metrics))
    kept = [record for record in lines if isinstance(record.get("iter"), int) and record["iter"] <= step]
    if step == 0:
        kept = []
    if len(kept) != len(lines) or not _ends_well(metrics):
        write_text(metrics, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in kept))


def _ends_well(path: Path) -> bool:
    content = path.read_bytes()
    return not content or content.endswith(b"\n")
