"""The mean of a student's weights over the last steps before a pause, which is what a search compares."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

_STATE = "mean_weights"


class MeanWeightsHook(Hook):
    """Keeps the mean of the weights over the last steps before one, beside the training, which it leaves as it is.

    Before the learning rate falls a student jumps about a good place: two evaluations some steps apart differ by more
    than two loss weights do. The mean of its weights lies near where it will be once the rate has fallen (Izmailov et
    al., Averaging Weights Leads to Wider Optima and Better Generalization, UAI 2018). The running statistics of batch
    norms are averaged with the weights. torch's and mmengine's averaged models copy the whole detector and wait for the
    GPU at each step.

    What has been averaged is in the training state, so that an interruption changes nothing.

    Args:
        model: The detector that is trained.
        at: The step whose evaluation wants the mean.
        steps: How many steps, that one the last.
    """

    priority = "VERY_LOW"  # behind the hooks that change weights, before the one that saves them

    def __init__(self, model: nn.Module, at: int, steps: int) -> None:
        self.at, self.first = at, at - steps + 1
        self._model = model
        self._means: list[Tensor] = []
        self._count = 0

    @torch.no_grad()
    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Take the weights as they are into the mean.

        Args:
            runner: The run's.
            batch_idx: The batch's place in its epoch, from 0.
            data_batch: As the loader gave it.
            outputs: What the step returned.
        """
        if not self.first <= runner.iter + 1 <= self.at:
            return
        self._count += 1
        if self._means:
            torch._foreach_lerp_(self._means, [one.detach() for one in self._held], 1 / self._count)
        else:
            self._means = [one.detach().clone() for one in self._held]

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put what has been averaged into the state.

        Args:
            runner: The run's.
            checkpoint: The training state.
        """
        if self._means:
            checkpoint[_STATE] = {"at": self.at, "count": self._count, "means": self._means}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Go on with what had been averaged, unless that was for another pause.

        Args:
            runner: The run's.
            checkpoint: The training state.
        """
        state = checkpoint.get(_STATE)
        if state is not None and state["at"] == self.at:
            self._count = state["count"]
            self._means = [mean.to(one) for mean, one in zip(state["means"], self._held, strict=True)]

    @cached_property
    def _held(self) -> list[Tensor]:
        # Asked for when training begins: modules may be replaced before.
        weights = [one for one in self._model.parameters() if one.requires_grad]
        running = ("running_mean", "running_var")
        return [*weights, *(one for name, one in self._model.named_buffers() if name.endswith(running))]

    @property
    def whole(self) -> bool:
        """Whether all the steps are in the mean; of a run that was begun without it some may not be."""
        return self._count == self.at - self.first + 1

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model has the means for its weights, and its own again behind it; nothing where there are no means."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for mean, one in zip(self._means, self._held, strict=bool(self._means)):
            kept = one.detach().clone()
            one.copy_(mean)
            mean.copy_(kept)
