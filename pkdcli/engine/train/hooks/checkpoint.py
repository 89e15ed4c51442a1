"""Training states: when they are written, and where a run that shall stop does so."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from pkdcli.engine.checkpoint import training_state
from pkdcli.engine.distributed.stop import STOP, StopRequested
from pkdcli.engine.train.divergence import check_weights
from pkdcli.engine.train.hooks.progress import PkdProgressHook
from pkdcli.errors import PkdError
from pkdcli.runs.paths import RunPaths


def checkpoints_of(runner: Runner) -> PkdCheckpointHook:
    """The hook that writes a runner's training states."""
    return next(hook for hook in runner.hooks if isinstance(hook, PkdCheckpointHook))


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

        Args:
            runner: The run's.
            checkpoint: The training state as it is saved and loaded.

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

        Args:
            runner: The run's.
            batch_idx: The batch's place in its epoch, from 0.
            data_batch: As the loader gave it.
            outputs: What the step returned: losses by name, or detections.

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

        Args:
            runner: The run's.
            step: Steps taken, over all epochs.

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
        """Stop when asked to.

        Args:
            runner: The run's.
            batch_idx: The batch's place in its epoch, from 0.
            data_batch: As the loader gave it.
            outputs: What the step returned: losses by name, or detections.
        """
        self._check()

    def _check(self) -> None:
        if STOP.agreed() and not self._overdue:  # else a few steps more, to where a state can be saved
            raise StopRequested
