"""Training by steps that may begin anywhere: at a step in the middle of an epoch, or at an evaluation that is due."""

from __future__ import annotations

import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop

from pkdcli.data.images.loading_error import LoadingError
from pkdcli.engine.data.rng import seed_step
from pkdcli.engine.data.sampler import PkdBatchSampler
from pkdcli.engine.distributed import processes
from pkdcli.engine.distributed.stop import Paused, StopRequested
from pkdcli.engine.train.batches import Batches, Pause, TrainingContext, TrainingCoroutine, run_to_end
from pkdcli.engine.train.divergence import stopped
from pkdcli.engine.train.hooks.checkpoint import checkpoints_of
from pkdcli.engine.train.hooks.mean_weights import MeanWeightsHook
from pkdcli.engine.train.hooks.own import tell_epoch
from pkdcli.engine.train.optimizer import NotFinite
from pkdcli.errors import PkdError
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_jsonl


@LOOPS.register_module()
class PkdTrainLoop(EpochBasedTrainLoop):
    """mmengine's loop over epochs, which goes on exactly where a training state was saved.

    Args:
        runner: Its batches come from a `PkdBatchSampler`.
        dataloader: The training loader or its config.
        max_epochs: Passes over the data.
        val_interval: Epochs between evaluations; the end is always evaluated.
        max_iters: Stop after so many steps (a smoke run), which is evaluated at its end only.

    Attributes:
        pause: Where it saves and stops, to go on from there another time; None for nowhere.

    Raises:
        PkdError: The batches come from another sampler.
    """

    pause: Pause | None = None

    def __init__(
        self, runner: Any, dataloader: Any, max_epochs: int, val_interval: int = 1, max_iters: int | None = None
    ) -> None:
        super().__init__(runner, dataloader, max_epochs, val_interval=val_interval)
        self.smoke = max_iters is not None
        self._max_iters = min(self._max_iters, max_iters or self._max_iters)
        self._max_epochs = math.ceil(self._max_iters / len(self.dataloader))
        if not isinstance(self.dataloader.batch_sampler, PkdBatchSampler):
            raise PkdError(
                "config: train_dataloader.batch_sampler: a run that can be resumed exactly needs PkdBatchSampler.",
                "Leave train_dataloader.sampler and batch_sampler as they are.",
            )

    def run(self) -> Any:
        """Train to the end from wherever the runner stands; nothing where the runner's `run_steps` does so."""
        if not getattr(self.runner, "by_steps", False):
            context = TrainingContext()
            context.batches = Batches(self.dataloader)
            run_to_end(self.run_steps(), context)
        return self.runner.model

    def run_steps(self) -> TrainingCoroutine[None]:
        """Train to the end from wherever the runner stands, with batches that somebody hands over.

        Raises:
            Paused: It has come to where it shall pause.
        """
        runner, per_epoch = self.runner, len(self.dataloader)
        runner.call_hook("before_train")
        self._epoch = self._max_epochs if self._iter >= self._max_iters else self._iter // per_epoch
        # A run killed between the end of an epoch and its evaluation has the one but not the other.
        if self._iter and self._due() and not self._evaluated():
            runner.val_loop.run()
        self._pause_if_due()
        while self._iter < self._max_iters:
            yield from self._epoch_steps()
            if self._due():
                runner.val_loop.run()
            self._pause_if_due()
        runner.call_hook("after_train")

    def _epoch_steps(self) -> TrainingCoroutine[None]:
        """Train to the end of the epoch, or to where the run shall pause, from wherever in it the runner stands."""
        begin = self._epoch * len(self.dataloader)
        end = min(begin + len(self.dataloader), self._max_iters)
        until = end if self.pause is None else min(end, max(self.pause.at, self._iter))
        self.runner.call_hook("before_train_epoch")
        tell_epoch(self.runner.model, self._epoch)
        self.runner.model.train()
        while self._iter < until:
            batch = yield from self._ask()
            self.run_iter(self._iter - begin, batch)
        if self._iter == end:
            self.runner.call_hook("after_train_epoch")
            self._epoch += 1

    def _pause_if_due(self) -> None:
        """Evaluate, save and stop where the run has come to where it shall pause.

        Nothing of it changes what comes after: an evaluation draws no number that a later step would have drawn, and
        the state is the one that any interruption goes on from.
        """
        if self.pause is None or not self.pause.at <= self._iter < self._max_iters:
            return
        if not checkpoints_of(self.runner).save_now(self.runner, self._iter):
            return  # gradients are being added
        if self.pause.measure and self.runner.val_loop is not None:
            self._compare(self.pause)
        raise Paused(self._iter, self._max_iters)

    def _compare(self, pause: Pause) -> None:
        """Evaluate the mean of the weights where the pause asks for it and it is whole, else the weights."""
        runner = self.runner
        means = next((hook for hook in runner.hooks if isinstance(hook, MeanWeightsHook)), None)
        kind = "rung" if pause.mean and (means is None or means.whole) else "val"
        if self._evaluated(kind):
            return
        runner.measures = kind
        try:
            with means.in_place() if means is not None and kind == "rung" else nullcontext():
                runner.val_loop.run()
        finally:
            runner.measures = "val"

    def _ask(self) -> TrainingCoroutine[Any]:
        """The batch of the next step; what was learned so far is saved where there is none to be had."""
        while True:
            try:
                return (yield self._iter)
            except (LoadingError, StopRequested) as error:
                saved = checkpoints_of(self.runner).save_now(self.runner, self._iter)
                # Gradients that are still being added are in no state: a few steps more, then the hook stops the run.
                if saved or isinstance(error, LoadingError):
                    raise

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """One step, with random numbers of its own.

        Args:
            idx: The batch's place in its epoch, from 0.
            data_batch: As the loader gave it.

        Raises:
            PkdError: The loss is not finite.
        """
        seed_step(self.runner.seed, self._iter, self.runner.rank)
        try:
            super().run_iter(idx, data_batch)
        except NotFinite as error:
            raise stopped(self.runner, data_batch, error) from error

    def _due(self) -> bool:
        if self.runner.val_loop is None:
            return False
        if self._iter == self._max_iters:
            return True
        epochs, rest = divmod(self._iter, len(self.dataloader))
        return not self.smoke and rest == 0 and epochs % self.val_interval == 0

    def _evaluated(self, kind: str = "val") -> bool:
        return last_metrics(RunPaths(Path(self.runner.work_dir)), self._iter, kind) is not None


def last_metrics(paths: RunPaths, at_iter: int, kind: str = "val") -> dict[str, float] | None:
    """The metrics metrics.jsonl, in full precision, has of a step; null comes back as NaN, None if there are none.

    Read by the first process for all of them.

    Args:
        paths: The run directory.
        at_iter: Steps taken when it was evaluated.
        kind: `val`, or `rung` for the mean of the weights.
    """
    found = None
    if processes.rank() == 0:
        records = read_jsonl(paths.metrics)
        found = next((one for one in records if one.get("kind") == kind and one.get("iter") == at_iter), None)
    found = processes.broadcast(found)
    return found and {name: float("nan") if value is None else value for name, value in found.items()}
