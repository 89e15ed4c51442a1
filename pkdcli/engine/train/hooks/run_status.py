"""What a run tells the outside while it trains: status.json, metrics.jsonl, checkpoints."""

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
from pkdcli.engine.distributed.stop import STOP, StopRequested
from pkdcli.engine.metrics import samples
from pkdcli.engine.train.divergence import check_weights
from pkdcli.engine.train.loss_log import LossLog
from pkdcli.engine.worker import export
from pkdcli.errors import PkdError
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import Status
from pkdcli.runs.store import append_jsonl

STATUS_SECONDS = 5.0  # how often status.json is written while training
RECORDS = 200  # about so many records of losses a run


def status_of(runner: Runner) -> Status:
    """The one writer of a runner's status.json: a second one would not know what the first has written."""
    if not hasattr(runner, "pkd_status"):
        runner.pkd_status = Status(RunPaths(Path(runner.work_dir)))
    return runner.pkd_status


def say_phase(runner: Runner, phase: str) -> None:
    """Write down what a run is at: `data`, `weights`, `train`, `evaluate` or `finish`."""
    if is_main_process():
        status_of(runner).write(phase=phase)


def checkpoints_of(runner: Runner) -> PkdCheckpointHook:
    """The hook that writes a runner's training states."""
    return next(hook for hook in runner.hooks if isinstance(hook, PkdCheckpointHook))


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
        """Put into the state what a start from it needs."""
        carried = {"seconds": self._spent(), "count": self.losses.count, "sums": self.losses.sums()}
        checkpoint["pkd"] = {**carried, "threads": torch.get_num_threads()}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Go on with what the state has gathered."""
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

    def was_away(self, seconds: float) -> None:
        """So much time went by in which others were at work in this process: it is no time of this training's."""
        self._away += seconds

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Note the losses, their mean over the processes; say how far the run is."""
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
        """Say how many images are evaluated, taking the other processes to be as far."""
        if is_main_process() and time.perf_counter() - self._val_written >= STATUS_SECONDS:
            self._val_written = time.perf_counter()
            loader = runner.val_dataloader
            images, total = (batch_idx + 1) * loader.batch_size * processes.count(), len(loader.dataset)
            status_of(runner).write(phase="evaluate", phase_done=min(images, total), phase_total=total)

    def before_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Note down the weights that are measured, as all hooks have left them."""
        if batch_idx == 0:
            export.remember(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Note the metrics, in AP points."""
        if is_main_process() and metrics is not None:
            seconds = time.perf_counter() - self._val_begin
            if hasattr(self, "_begin"):
                self._begin += seconds  # the speed is that of training
            # Before the metrics: where they are on record, nothing is evaluated again.
            samples.write(runner, RunPaths(Path(runner.work_dir)).samples, epoch=runner.epoch, iter=runner.iter)
            record = {"kind": "val", "epoch": runner.epoch, "iter": runner.iter, "val_seconds": round(seconds, 3)}
            append_jsonl(RunPaths(Path(runner.work_dir)).metrics, {**record, **metrics})


@HOOKS.register_module()
class PkdCheckpointHook(Hook):
    """Writes the training state at the end of every epoch and now and then within it, and when the run shall stop.

    A state is only written where the optimizer has just moved: gradients that are still being added are in no state.

    Args:
        keep: How many states to keep; the one before the last is there if the last can't be read.
        minutes: Write one when so much time has passed since the last; 0 for at epoch ends only.
        iters: Write one every so many steps, or None.
    """

    priority = "LOWEST"  # behind all hooks whose state it saves

    def __init__(self, keep: int = 2, minutes: float = 10.0, iters: int | None = None) -> None:
        self.keep = keep
        self.minutes = minutes
        self.iters = iters
        self._saved: int | None = None
        self._overdue = self._stop = False

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse a state whose steps are not this training's.

        Raises:
            PkdError: It was begun with another number of processes, which take a step in other parts.
        """
        ours = getattr(runner.optim_wrapper, "_accumulative_counts", 1)
        theirs = checkpoint.get("meta", {}).get("accumulate", ours)
        if theirs != ours:
            raise PkdError(
                f"the training state is of a start that adds up the gradients of {theirs} steps, this one those of "
                f"{ours}: it had another number of processes.",
                f"Go on with as many as then, or remove {RunPaths(Path(runner.work_dir)).checkpoints} to begin again.",
            )

    def before_train(self, runner: Runner) -> None:
        """Start the clock."""
        self._saved = runner.iter
        self._clock = time.monotonic()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Save where it is time to; stop where asked to.

        Raises:
            StopRequested: Somebody asked, and the state is saved.
        """
        # Agreed here for the end of the epoch too: a signal in between may have reached this process alone.
        self._stop, step = STOP.agreed(), runner.iter + 1
        # At an epoch's end, what hooks do there comes first.
        if step == runner.max_iters or step % len(runner.train_dataloader) == 0:
            return
        timed = self.minutes > 0 and time.monotonic() - self._clock >= 60 * self.minutes
        counted = self.iters is not None and step % self.iters == 0
        self._settle(runner, step, timed or counted)

    def after_train_epoch(self, runner: Runner) -> None:
        """Save; stop where asked to."""
        self._settle(runner, runner.iter, True)

    def _settle(self, runner: Runner, step: int, due: bool) -> None:
        self._overdue = self._overdue or due or self._stop
        if self._overdue and self._moved(runner, step):
            self.save_now(runner, step)
            if self._stop:
                raise StopRequested

    def save_now(self, runner: Runner, step: int) -> bool:
        """Save the state after `step` steps, unless that was done; false where gradients are still being added.

        Raises:
            PkdError: It can't be written, or the weights are not finite.
        """
        if not self._moved(runner, step):
            return False
        if step != self._saved:
            check_weights(runner, step)
            for hook in runner.hooks:
                if isinstance(hook, PkdProgressHook):
                    hook.losses.sums()  # all processes have a part in them
            if is_main_process():
                training_state.save(runner, step, self.keep)
        self._saved, self._overdue, self._clock = step, False, time.monotonic()
        return True

    @staticmethod
    def _moved(runner: Runner, step: int) -> bool:
        added = getattr(runner.optim_wrapper, "_accumulative_counts", 1)
        return step % added == 0 or step == runner.max_iters

    def before_val_epoch(self, runner: Runner) -> None:
        """Stop when asked to."""
        self._check()

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Stop when asked to."""
        self._check()

    def _check(self) -> None:
        if STOP.agreed() and not self._overdue:  # else a few steps more, to where a state can be saved
            raise StopRequested
