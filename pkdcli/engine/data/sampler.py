"""Which images a process sees in which step: a function of (seed, epoch, step), whatever the number of processes.

The batch of a step is cut from one order of the whole data set, and the processes take consecutive parts of it: two
processes with B images each see together what one with 2B sees, and statistics over chunks of images have the same
chunks. A loader that starts in the middle of an epoch loads nothing of what came before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from mmdet.registry import DATA_SAMPLERS
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from pkdcli.engine.data.rng import order

Key = tuple[int, int]
"""An image's place in the data set and the epoch, which is what `PkdCocoDataset` takes."""


@DATA_SAMPLERS.register_module()
class PkdSampler(Sampler):
    """The order of the whole data set in one epoch, the same in every process.

    Args:
        dataset: Anything with a length.
        seed: The run's.
        shuffle: Otherwise always in the data set's order.
    """

    def __init__(self, dataset: Any, seed: int = 0, shuffle: bool = True) -> None:
        self.dataset = dataset
        self.seed = seed
        self.shuffle = shuffle

    def order(self, epoch: int) -> list[int]:
        """The images' places in the order of one epoch."""
        count = len(self.dataset)
        return order(self.seed, epoch, count) if self.shuffle else list(range(count))

    def __iter__(self) -> Iterator[int]:
        return iter(self.order(0))

    def __len__(self) -> int:
        return len(self.dataset)


@DATA_SAMPLERS.register_module()
class PkdBatchSampler(Sampler):
    """This process's part of every batch of an epoch.

    The last batch of an epoch is smaller where the images don't divide; where what is left does not divide among the
    processes, images from the beginning of the epoch's order fill it up.

    Args:
        sampler: Gives the order.
        batch_size: Images of this process in one step.
        group: So many consecutive images are all upright or all lying, as far as the images go, so that less is padded;
            None for the plain order. mmdet's `AspectRatioBatchSampler` groups a process's images, which makes a step's
            images depend on the number of processes.
    """

    def __init__(self, sampler: PkdSampler, batch_size: int, group: int | None = None) -> None:
        self.sampler = sampler
        self.batch_size = batch_size
        self.group = group
        self.rank, self.processes = get_dist_info()
        self.epoch = self.skip = 0
        self._upright: list[bool] | None = None

    def go_to(self, epoch: int, skip: int = 0) -> None:
        """Have the next iteration begin in this epoch, behind its first `skip` batches.

        Args:
            epoch: From 0.
            skip: Batches of it that are taken already.
        """
        self.epoch, self.skip = epoch, skip

    def batches(self, epoch: int) -> list[list[int]]:
        """The batches of one epoch over all processes."""
        images = self.sampler.order(epoch)
        if self.group:
            images = self._grouped(images)
        size = self.batch_size * self.processes
        batches = [images[begin : begin + size] for begin in range(0, len(images), size)]
        lacking = -len(batches[-1]) % self.processes
        batches[-1] += (images * (lacking // len(images) + 1))[:lacking]
        return batches

    def _grouped(self, images: Sequence[int]) -> list[int]:
        if self._upright is None:
            self._upright = _upright(self.sampler.dataset)
        grouped: list[int] = []
        waiting: dict[bool, list[int]] = {True: [], False: []}
        for index in images:
            group = waiting[self._upright[index]]
            group.append(index)
            if len(group) == self.group:
                grouped += group
                group.clear()
        return grouped + waiting[True] + waiting[False]

    def __iter__(self) -> Iterator[list[Key]]:
        for batch in self.batches(self.epoch)[self.skip :]:
            share = len(batch) // self.processes
            yield [(index, self.epoch) for index in batch[self.rank * share : (self.rank + 1) * share]]

    def __len__(self) -> int:
        """Batches of a whole epoch, wherever the next iteration begins."""
        return math.ceil(len(self.sampler) / (self.batch_size * self.processes))


def _upright(dataset: Any) -> list[bool]:
    """Whether each image is higher than wide."""
    if callable(getattr(dataset, "sizes", None)):  # ours, which knows them without a dict for every image
        width, height = dataset.sizes().T
        return (width < height).tolist()
    infos = (dataset.get_data_info(index) for index in range(len(dataset)))
    return [info["width"] < info["height"] for info in infos]
