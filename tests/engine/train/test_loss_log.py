"""Losses of many steps in one transfer: the sums that adding them up one by one gives, to the last bit."""

from __future__ import annotations

import pytest
import torch

from pkdcli.engine.bench.fake_gpu import fake_gpu
from pkdcli.engine.train.loss_log import LossLog


def steps(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [dict(zip("abc", torch.rand(3, generator=generator), strict=True)) for _ in range(count)]


def one_by_one(losses):
    sums = {}
    for step in losses:
        for name, value in step.items():
            sums[name] = sums.get(name, 0.0) + value
    return {name: float(value) / len(losses) for name, value in sums.items()}


@pytest.mark.parametrize("read", [(), (3,), (0, 1, 7, 8)])
def test_when_they_are_read_changes_no_bit(read):
    losses, log = steps(9), LossLog()
    for index, step in enumerate(losses):
        log.add(step)
        if index in read:  # as where a state is saved, and gone on from
            log = LossLog({name: value.clone() for name, value in log.sums().items()}, log.count)
    assert log.count == 9
    assert log.means() == one_by_one(losses)
    assert (log.count, log.sums()) == (0, {})


def test_a_loss_that_is_not_in_every_step_counts_as_zero_there():
    log = LossLog()
    for step in ({"a": torch.tensor(1.0)}, {"a": torch.tensor(2.0), "b": torch.tensor(4.0)}, {}):
        log.add(step)
    assert log.means() == {"a": 1.0, "b": pytest.approx(4 / 3)}


def test_a_step_waits_for_nothing_and_a_record_once():
    with fake_gpu() as gpu:
        losses = [{name: value.to("cuda") for name, value in step.items()} for step in steps(5)]
        log = LossLog()
        with gpu.count() as taken:
            for step in losses:
                log.add(step)
        with gpu.count() as read:
            log.means()
    assert (taken.kernels, taken.syncs, read.syncs) == (5, 0, 1)
