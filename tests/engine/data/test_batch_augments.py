"""Augmentations of a batch: sizes that depend on nothing but (seed, step)."""

from __future__ import annotations

import pytest
import torch

import pkdcli.engine.register  # noqa: F401  (first of all: it makes mmdet importable)

# isort: split
from mmdet.models.data_preprocessors import BatchSyncRandomResize
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from pkdcli.engine.data.batch_augments import SizeByStep, padded_size
from pkdcli.engine.data.rng import seed_step

SECTION = {"type": "BatchSyncRandomResize", "random_size_range": (320, 640), "size_divisor": 32, "interval": 10}


@pytest.fixture
def at():
    """Says which step of which run this is."""
    init_default_scope("mmdet")
    hub = MessageHub.get_instance("batch augments")
    yield lambda step, seed=0: hub.update_info_dict({"iter": step, "seed": seed})
    MessageHub._instance_dict.pop("batch augments")


def sample(height: int = 64, width: int = 64) -> DetDataSample:
    made = DetDataSample(metainfo={"img_shape": (height, width), "pad_shape": (height, width)})
    for name in ("gt_instances", "ignored_instances"):
        setattr(made, name, InstanceData(bboxes=torch.tensor([[8.0, 16.0, 32.0, 48.0]])))
    return made


def sizes(at, steps, seed: int = 0, rank: int = 0) -> list[tuple[int, int]]:
    augment, found = MODELS.build(SECTION), []
    for step in steps:
        at(step, seed)
        seed_step(seed, step, rank)
        images, _ = augment(torch.zeros(1, 3, 64, 64), [sample()])
        found.append(tuple(images.shape[-2:]))
    return found


def test_the_registry_builds_it_for_mmdets_name(at):
    assert type(MODELS.build(SECTION)) is SizeByStep


def test_a_size_stays_for_an_interval_and_is_the_same_after_a_stop(at):
    whole = sizes(at, range(60))
    assert whole[:10] == [(64, 64)] * 10  # as they come, as with mmdet's
    assert all(len(set(whole[begin : begin + 10])) == 1 for begin in range(0, 60, 10))
    assert sizes(at, range(25, 60)) == whole[25:]
    assert sizes(at, range(60), rank=1) == whole
    assert sizes(at, range(60), seed=1) != whole
    drawn = set(sizes(at, range(10, 3000, 10)))
    assert drawn == {(side, side) for side in range(320, 641, 32)}


def test_nothing_else_draws_other_numbers_for_it(at):
    at(20)
    seed_step(0, 20, 0)
    before = torch.get_rng_state()
    MODELS.build(SECTION)(torch.zeros(1, 3, 64, 64), [sample()])
    assert torch.equal(torch.get_rng_state(), before)


def test_at_the_same_size_it_is_mmdets(at):
    at(20)
    images, ours = torch.rand(2, 3, 64, 96), [sample(64, 96), sample(60, 90)]
    theirs = [one.clone() for one in ours]
    found, _ = MODELS.build(SECTION)(images, ours)
    height, width = found.shape[-2:]
    assert (height % 32, width) == (0, 32 * int(1.5 * height // 32))
    plain = BatchSyncRandomResize((320, 640))
    plain._input_size = (height, width)
    expected, _ = plain(images, theirs)
    assert torch.equal(found, expected)
    for one, other in zip(ours, theirs, strict=True):
        assert one.metainfo == other.metainfo
        for name in ("gt_instances", "ignored_instances"):
            assert torch.equal(getattr(one, name).bboxes, getattr(other, name).bboxes)


def test_batches_of_another_shape_keep_theirs(at):
    """mmdet's would squeeze all batches of an interval into the shape of the one before it."""
    at(20)
    augment = MODELS.build(SECTION)
    wide = augment(torch.zeros(1, 3, 64, 128), [sample()])[0].shape
    square = augment(torch.zeros(1, 3, 64, 64), [sample()])[0].shape
    assert wide[-2:] == (square[-2], 2 * square[-2])


def test_the_size_of_a_batch():
    images = [torch.zeros(3, 50, 33), torch.zeros(3, 40, 65)]
    assert padded_size(images, 32) == (64, 96)
    assert padded_size(images, 1) == (50, 65)
