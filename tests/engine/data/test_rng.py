"""Random numbers depend on where they are drawn and on nothing else."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from pkdcli.engine.data.rng import drawing_for_image, order, seed_step


def draw():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def fail_after_drawing():
    draw()
    raise OSError("broken image")


def at_step(*key):
    seed_step(*key)
    return draw()


def for_image(*key):
    with drawing_for_image(*key):
        return draw()


def test_a_step_draws_the_same_whatever_was_drawn_before():
    first = at_step(0, 7, 0)
    draw()
    assert at_step(0, 7, 0) == first


def test_seeds_steps_processes_epochs_and_images_share_no_stream():
    keys = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    drawn = [at_step(*key) for key in keys] + [for_image(*key) for key in keys]
    for kind in zip(*drawn, strict=True):
        assert len(set(kind)) == 8


def test_an_image_leaves_the_streams_outside_where_they_were_even_after_an_error():
    expected = at_step(0, 0, 0), draw()
    assert at_step(0, 0, 0) == expected[0]
    with pytest.raises(OSError, match="broken"), drawing_for_image(0, 0, 3):
        fail_after_drawing()
    assert draw() == expected[1]


@pytest.mark.parametrize("count", [0, 1, 17])
def test_an_order_has_every_image_once(count):
    found = order(3, 1, count)
    assert sorted(found) == list(range(count))
    assert found == order(3, 1, count)


def test_epochs_and_seeds_have_orders_of_their_own():
    assert len({tuple(order(seed, epoch, 20)) for seed in (0, 1) for epoch in (0, 1)}) == 4
