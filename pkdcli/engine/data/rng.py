"""Random numbers as a function of where they are drawn: of the seed and the step, or of the seed, epoch and image.

Nothing needs to be saved and restored then: a run that goes on at step k draws what it would have drawn there, whatever
was drawn before (by an evaluation, say), in whichever process an image is loaded and however many loaders there are.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_STEP, _IMAGE, _SIZE = 0, 1, 2  # what a stream is for, so that a step and an image of equal numbers share no stream


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seed Python, NumPy and torch (every device) for one training step.

    Args:
        seed: The run's.
        step: Steps taken before.
        rank: The process, since each sees other images.
    """
    first, second, third = _words(_STEP, seed, step, rank)
    random.seed(first)
    np.random.seed(second)
    torch.manual_seed(third)


@contextmanager
def drawing_for_image(seed: int, epoch: int, index: int) -> Iterator[None]:
    """Draw inside from streams of one image in one epoch, and leave those outside where they were.

    Args:
        seed: The run's.
        epoch: Passes over the data before.
        index: The image's place in the data set.
    """
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    first, second, third = _words(_IMAGE, seed, epoch, index)
    random.seed(first)
    np.random.seed(second)
    # torch.manual_seed would seed the GPUs too, whose state is the step's.
    torch.default_generator.manual_seed(third)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def whole_number(seed: int, period: int, low: int, high: int) -> int:
    """A number for some steps, the same in all processes; generators in use are left where they are.

    Args:
        seed: The run's.
        period: Which steps these are, counted from 0.
        low: The smallest.
        high: The largest.
    """
    return int(np.random.default_rng((_SIZE, seed, period)).integers(low, high + 1))


def order(seed: int, epoch: int, count: int) -> list[int]:
    """A random order of `count` images for one epoch.

    Args:
        seed: The run's.
        epoch: From 0.
        count: How many images there are.
    """
    return np.random.default_rng((seed, epoch)).permutation(count).tolist()


def _words(*key: int) -> tuple[int, int, int]:
    first, second, third = np.random.SeedSequence(key).generate_state(3)
    return int(first), int(second), int(third)
