"""Batches by the step that takes them, and the training that asks for them.

A training is a generator: it yields the number of steps it has taken and is sent the batch of the next. So one training
alone and several in lock-step (`pkdcli.engine.worker.group`) run the same code.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, NamedTuple, TypeVar

from torch.utils.data import DataLoader

from pkdcli.data.images.loading_error import LoadingError

T = TypeVar("T")
TrainingCoroutine = Generator[int, Any, T]
"""Yields the steps taken, is sent a batch as the loader gives it, and returns what came out."""


class Batches:
    """The batches of a training loader; going on with the next is free, a jump costs what was loaded ahead.

    Args:
        loader: Its batches come from a `PkdBatchSampler`.
    """

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader
        self._batches: Iterator[Any] | None = None
        self._next = -1

    def of(self, step: int) -> Any:
        """The batch of the step behind `step` others.

        Raises:
            LoadingError: One of its images can't be used.
        """
        epoch, skip = divmod(step, len(self.loader))
        if step != self._next or skip == 0:
            self._batches = None
            self.loader.batch_sampler.go_to(epoch, skip)
            self._batches = iter(self.loader)
        self._next = -1  # where an image can't be used, the loader has come to its end
        batch = next(self._batches)
        self._next = step + 1
        return batch


class Pause(NamedTuple):
    """Where a training saves its state and stops, to go on from there another time.

    Attributes:
        at: After so many steps of the run.
        measure: Evaluate there first.
        mean: Of the mean of the weights over so many steps; 0 for the weights as they are.
    """

    at: int
    measure: bool = True
    mean: int = 0


class TrainingContext:
    """What a training has to itself; students in a group have something else in its place.

    Attributes:
        batches: Of its loader.
        pause: Where the training pauses; None for nowhere.
    """

    batches: Batches | None = None
    pause: Pause | None = None

    def join(self, runner: Any) -> None:
        """The runner is built; its weights are not drawn yet."""

    def load(self, runner: Any) -> DataLoader:
        """The training loader of a runner."""
        loader = runner.build_dataloader(runner._train_dataloader, seed=runner.seed)
        self.batches = Batches(loader)
        return loader

    def facts(self) -> dict[str, Any]:
        """What result.json says of it."""
        return {}


def run_to_end(steps: TrainingCoroutine[T], context: TrainingContext) -> T:
    """Carry a training out to its end.

    Args:
        steps: The training, not begun yet.
        context: Its `batches` are handed over.
    """
    try:
        step = next(steps)
        while True:
            try:
                batch = context.batches.of(step)
            except LoadingError as error:
                step = steps.throw(error)
            else:
                step = steps.send(batch)
    except StopIteration as end:
        return end.value
