"""Augmentations of a whole batch, as functions of (seed, step), and the same geometry for the teacher's images."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from mmdet.models.data_preprocessors import BatchSyncRandomResize
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.logging import MessageHub
from torch import Tensor, nn

from pkdcli.engine.data.rng import whole_number

_PADS = ("img_pad_value", "pad_value")


@MODELS.register_module(name="BatchSyncRandomResize", force=True)
class SizeByStep(BatchSyncRandomResize):
    """mmdet's, whose size is a function of the run's seed and the step.

    mmdet draws it in the first process, sends it to the others and keeps it for `interval` steps: a run that goes on in
    between has forgotten it. Here every process draws it for itself, from the number of these steps. In the first
    `interval` steps of a run images are as large as they come, as with mmdet's.
    """

    def forward(self, inputs: Tensor, data_samples: list[DetDataSample]) -> tuple[Tensor, list[DetDataSample]]:
        """Images and boxes in the size of the step.

        Args:
            inputs: (N, 3, H, W).
            data_samples: Of these images, changed in place; may be empty.

        Returns:
            Both; the height is a multiple of `size_divisor`, the width as far as H and W are equal.
        """
        hub = MessageHub.get_current_instance()
        if hub.get_info("iter") is None:  # outside of a training, where mmdet's would fail for want of a step
            hub.update_info("iter", 0)
        height, width = inputs.shape[-2:]
        self._input_size = self.size(hub.get_info("seed", 0) or 0, hub.get_info("iter", 0) or 0, height, width)
        inputs, data_samples = super().forward(inputs, data_samples)
        return inputs, data_samples

    def size(self, seed: int, step: int, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the images of a step, in pixels.

        Args:
            seed: The run's.
            step: Steps taken before.
            height: Of the batch as it comes.
            width: The same.
        """
        period = step // self._interval
        if period == 0:
            return height, width
        size = whole_number(seed, period, *self._random_size_range)
        return self._size_divisor * size, self._size_divisor * int(width / height * size)

    def _get_random_size(self, aspect_ratio: float, device: torch.device) -> tuple[int, int]:
        """What mmdet's would keep for the next steps: nothing is drawn."""
        return self._input_size


@contextmanager
def drawing_again(state: tuple) -> Iterator[None]:
    """Draw inside what was drawn from a state of Python's, NumPy's and torch's generators, and go on outside as before.

    Args:
        state: As `generators` gave it.
    """
    before = generators()
    _set(state)
    try:
        yield
    finally:
        _set(before)


def generators() -> tuple:
    """The state of Python's, NumPy's and torch's generators of the processor."""
    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def _set(state: tuple) -> None:
    random.setstate(state[0])
    np.random.set_state(state[1])
    torch.set_rng_state(state[2])


def same_geometry(augments: Iterable[nn.Module], images: Tensor, pad_value: float) -> Tensor:
    """Images resized and padded as the batch augments of another detector do with its own.

    Args:
        augments: Of the other's preprocessor.
        images: (N, 3, H, W), as large as the other's were before.
        pad_value: What is padded with here.

    Returns:
        (N, 3, H', W').
    """
    for augment in augments:
        ours = copy.copy(augment)
        for name in _PADS:
            if hasattr(ours, name):
                setattr(ours, name, pad_value)
        images = ours(images, [])[0]
    return images


def padded_size(images: Iterable[Tensor], divisor: int) -> tuple[int, int]:
    """(height, width) of a batch of images of any sizes, as mmengine pads them.

    Args:
        images: (3, H, W) each.
        divisor: What both sides are a multiple of.
    """
    shapes = [image.shape[-2:] for image in images]
    height, width = (-(-max(sides) // divisor) * divisor for sides in zip(*shapes, strict=True))
    return height, width
