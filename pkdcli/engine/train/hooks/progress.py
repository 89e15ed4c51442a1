"""What a run tells the outside while it trains: status.json and metrics.jsonl."""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from pkdcli.engine.checkpoint import training_state
from pkdcli.engine.distributed import processes
from pkdcli.engine.metrics import kept, samples
from pkdcli.engine.train import export
from pkdcli.engine.train.hooks.run_status import status_of
from pkdcli.engine.train.loss_log import LossLog
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import append_jsonl

STATUS_SECONDS = 5.0  # how often status.json is written while training
RECORDS = 200  # about so many records of losses a run


@HOOKS.register_module()
class PkdProgressHook(Hook):
    """Writes status.json every few seconds and metrics.jsonl at regular steps.

    What a record in the making has gathered, and the seconds so far, go into the training state, so that the records of
    a run that was resumed are those of one that was not.
    """

    priority = "VERY_LOW"

    def __init__(self) -> None:
        self.losses = LossLog()
        self._seconds = 0.0  # of training, before this start
        self._away = 0.0

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put into the state what a start from it needs.

        Args:
            runner: The run's.
            checkpoint: The training state as it is saved and loaded.
        """
        carried = {"seconds": self._spent(), "count": self.losses.count, "sums": self.losses.sums()}
        checkpoint["pkd"] = {**carried, "threads": torch.get_num_threads()}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Go on with what the state has gathered.

        Args:
            runner: The run's.
            checkpoint: The training state as it is saved and loaded.
        """
        carried = checkpoint.get("pkd", {})
        self._seconds = carried.get("seconds", 0.0)
        self.losses = LossLog(carried.get("sums"), carried.get("count", 0))
        before, now = carried.get("threads"), torch.get_num_threads()
        if before not in (None, now) and not torch.cuda.is_available():
            text = (
                f"it goes on with {now} compute {'thread' if now == 1 else 'threads'} after {before} before: sums are "
                "rounded otherwise, so it does not end bit for bit as it would have. "
                f"OMP_NUM_THREADS={before} keeps their number."
            )
            print_log(text, "current", logging.WARNING)
            if is_main_process():
                status_of(runner).warn(text)

    def before_train(self, runner: Runner) -> None:
        """Start counting."""
        self._status = status_of(runner)
        self._first_iter = runner.iter
        self._begin, self._written = time.perf_counter(), -math.inf
        self._every = max(1, min(50, runner.max_iters // RECORDS))
        if is_main_process():
            training_state.rewind(self._status.paths.metrics, runner.iter)
            append_jsonl(self._status.paths.metrics, {"kind": "start", "iter": runner.iter, "epoch": runner.epoch})
            length = {"epochs": runner.max_epochs or None, "iters": runner.max_iters}
            self._status.write(phase="train", epoch=runner.epoch + 1, iter=runner.iter, **length)

    def _spent(self) -> float:
        """Seconds of training, over all starts."""
        return self._seconds + time.perf_counter() - self._begin - self._away

    def exclude_time(self, seconds: float) -> None:
        """So much time went by in which others were at work in this process: it is no time of this training's."""
        self._away += seconds

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Note the losses, their mean over the processes; say how far the run is.

        Args:
            runner: The run's.
            batch_idx: The batch's place in its epoch, from 0.
            data_batch: As the loader gave it.
            outputs: What the step returned: losses by name, or detections.
        """
        self.losses.add({name: value for name, value in (outputs or {}).items() if "loss" in name})
        step = runner.iter + 1
        if step % self._every == 0 or step == runner.max_iters:
            count, means = self.losses.count, self.losses.means()
            if is_main_process():
                self._record(runner, step, count, means)
        if not is_main_process():
            return
        if time.perf_counter() - self._written >= STATUS_SECONDS or step == runner.max_iters:
            self._say(runner, step)

    def _record(self, runner: Runner, step: int, count: int, means: dict[str, float]) -> None:
        self._last_loss = means.get("loss")
        rate = runner.optim_wrapper.get_lr()
        record = {
            "kind": "train",
            "epoch": runner.epoch + 1,
            "iter": step,
            "lr": rate.get("base_lr", rate.get("lr"))[0],
            "seconds": round(self._spent(), 3),
            "data_seconds": round(runner.message_hub.get_scalar("train/data_time").mean(count), 5),
            **means,
        }
        append_jsonl(self._status.paths.metrics, record)

    def _say(self, runner: Runner, step: int) -> None:
        self._written = time.perf_counter()
        speed = (step - self._first_iter) / max(self._written - self._begin, 1e-9)
        self._status.write(
            durable=False,
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
        self._val_begin = self._val_written = time.perf_counter()
        # Each process has statistics of its own in its batch norms; the first one's are exported.
        processes.share(runner.model.buffers())
        if is_main_process():
            images = len(runner.val_dataloader.dataset)
            status_of(runner).write(phase="evaluate", phase_done=0, phase_total=images, iter=runner.iter)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Say how many images are evaluated, taking the other processes to be as far.

        Args:
            runner: The run's.
            batch_idx: The batch's place in its epoch, from 0.
            data_batch: As the loader gave it.
            outputs: What the step returned: losses by name, or detections.
        """
        if is_main_process() and time.perf_counter() - self._val_written >= STATUS_SECONDS:
            self._val_written = time.perf_counter()
            loader = runner.val_dataloader
            images, total = (batch_idx + 1) * loader.batch_size * processes.world_size(), len(loader.dataset)
            status_of(runner).write(phase="evaluate", phase_done=min(images, total), phase_total=total)

    def before_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Note down the weights that are measured, as all hooks have left them.

        Args:
            runner: The run's.
            batch_idx: The batch's place in its epoch, from 0.
            data_batch: As the loader gave it.
        """
        if batch_idx == 0:
            export.remember(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Note the metrics, in AP points.

        Args:
            runner: The run's.
            metrics: AP points by name, 0 to 100.
        """
        if is_main_process() and metrics is not None:
            seconds = time.perf_counter() - self._val_begin
            if hasattr(self, "_begin"):
                self._begin += seconds  # the speed is that of training
            # Before the metrics: where they are on record, nothing is evaluated again.
            samples.write(runner, RunPaths(Path(runner.work_dir)).samples, epoch=runner.epoch, iter=runner.iter)
            if export.is_last(runner):
                kept.write(runner, RunPaths(Path(runner.work_dir)).predictions)
            record = {"kind": runner.measures, "epoch": runner.epoch, "iter": runner.iter}
            record["val_seconds"] = round(seconds, 3)
            if export.is_last(runner) and (classes := kept.by_class(runner)) is not None:
                metrics = {**metrics, "classes": classes}
            append_jsonl(RunPaths(Path(runner.work_dir)).metrics, {**record, **metrics})
