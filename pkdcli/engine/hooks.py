"""What a run tells the outside while it trains: status.json, metrics.jsonl, checkpoints."""

from __future__ import annotations

import math
import os
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from pkdcli.engine.stop import STOP
from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import Status
from pkdcli.runs.store import append_jsonl, cannot_write

STATUS_SECONDS = 0.5  # how often status.json is written while training
RECORDS = 200  # about so many records of losses a run
DIVERGED = 3  # records in a row without a finite loss: one may be an overflow that mixed precision recovers from


def status_of(runner: Runner) -> Status:
    """The one writer of a runner's status.json: a second one would not know what the first has written."""
    if not hasattr(runner, "pkd_status"):
        runner.pkd_status = Status(RunPaths(Path(runner.work_dir)))
    return runner.pkd_status


@HOOKS.register_module()
class PkdProgressHook(Hook):
    """Writes status.json twice a second and metrics.jsonl at regular steps; stops the run when asked to."""

    priority = "VERY_LOW"

    def before_train(self, runner: Runner) -> None:
        """Start counting."""
        self._status = status_of(runner)
        self._first_iter = runner.iter
        self._begin = self._written = time.perf_counter()
        self._every = max(1, min(50, runner.max_iters // RECORDS))
        self._sums: dict[str, float] = defaultdict(float)
        self._count = self._not_finite = 0
        if is_main_process():
            append_jsonl(self._status.paths.metrics, {"kind": "start", "iter": runner.iter, "epoch": runner.epoch})

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Note the losses; say how far the run is."""
        STOP.check()
        if not is_main_process():
            return
        step = runner.iter + 1
        self._count += 1
        for name, value in (outputs or {}).items():
            if name != "loss" and "loss" not in name:
                continue
            # Adding tensors does not wait for the device; reading them does, and happens once a record.
            self._sums[name] = self._sums[name] + value.detach()
        if step % self._every == 0 or step == runner.max_iters:
            self._record(runner, step)
        if time.perf_counter() - self._written >= STATUS_SECONDS or step == runner.max_iters:
            self._say(runner, step)

    def _record(self, runner: Runner, step: int) -> None:
        means = {name: float(value) / self._count for name, value in self._sums.items()}
        self._last_loss = means.get("loss")
        self._not_finite = 0 if math.isfinite(means.get("loss", 0.0)) else self._not_finite + 1
        rate = runner.optim_wrapper.get_lr()
        record = {
            "kind": "train",
            "epoch": runner.epoch + 1,
            "iter": step,
            "lr": rate.get("base_lr", rate.get("lr"))[0],
            "seconds": round(time.perf_counter() - self._begin, 3),
            "data_seconds": round(runner.message_hub.get_scalar("train/data_time").mean(self._count), 5),
            **means,
        }
        append_jsonl(self._status.paths.metrics, record)
        self._sums.clear()
        self._count = 0
        if self._not_finite == DIVERGED:
            raise PkdError(
                f"training diverged: the loss is {self._last_loss} at step {step}.",
                "Lower the learning rate (--set scale.lr_factor=X), or the weight of the distillation loss (--weight).",
                ExitCode.RUN_FAILED,
            )

    def _say(self, runner: Runner, step: int) -> None:
        self._written = time.perf_counter()
        speed = (step - self._first_iter) / max(self._written - self._begin, 1e-9)
        self._status.write(
            phase="train",
            epoch=runner.epoch + 1,
            epochs=runner.max_epochs or None,
            iter=step,
            iters=runner.max_iters,
            train_loss=getattr(self, "_last_loss", None),
            it_per_s=round(speed, 3),
            eta_s=round((runner.max_iters - step) / speed, 1),
        )

    def before_val_epoch(self, runner: Runner) -> None:
        """Say that the run is evaluating."""
        STOP.check()
        self._val_begin = time.perf_counter()
        if is_main_process():
            status_of(runner).write(phase="evaluate", iter=runner.iter)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Stop when asked to."""
        STOP.check()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Note the metrics, in AP points."""
        if is_main_process() and metrics is not None:
            seconds = time.perf_counter() - self._val_begin
            if hasattr(self, "_begin"):
                self._begin += seconds  # the speed is that of training
            record = {"kind": "val", "epoch": runner.epoch, "iter": runner.iter, "val_seconds": round(seconds, 3)}
            append_jsonl(RunPaths(Path(runner.work_dir)).metrics, {**record, **metrics})


@HOOKS.register_module()
class PkdCheckpointHook(Hook):
    """Writes the training state at the end of every epoch, whole or not at all.

    Args:
        keep: How many states to keep; the one before the last is there if the last can't be read.
    """

    priority = "VERY_LOW"

    def __init__(self, keep: int = 2) -> None:
        self.keep = keep

    def after_train_epoch(self, runner: Runner) -> None:
        """Save, then let go of the oldest."""
        folder = RunPaths(Path(runner.work_dir)).checkpoints
        name = f"epoch_{runner.epoch + 1:04d}.pth"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            runner.save_checkpoint(str(folder), f".{name}.part", save_param_scheduler=True, by_epoch=True)
            if is_main_process():
                os.replace(folder / f".{name}.part", folder / name)
                for old in sorted(folder.glob("epoch_*.pth"))[: -self.keep]:
                    old.unlink()
        except (OSError, RuntimeError) as error:
            cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__
            full = "No space left" in str(error) or "file write failed" in str(error) or "unexpected pos" in str(error)
            if isinstance(cause, OSError) or full:
                raise cannot_write(
                    folder / name, cause if isinstance(cause, OSError) else OSError(28, "No space")
                ) from error
            raise
