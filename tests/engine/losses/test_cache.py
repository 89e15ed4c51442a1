"""The size of a block: chosen by a measurement, felt by the clock alone."""

from __future__ import annotations

import itertools

import pytest
import torch

from pkdcli.engine.losses import blocks, build_loss, cache, divergence

NAMES = ["pkd", "mse", "center-only", "std-only", "norm-kl"]
ROOMS = [1, 1 << 14, 1 << 17, 1 << 19, 1 << 20, 1 << 22, 1 << 30]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("shape", "chunk"), [((2, 16, 50, 84), None), ((5, 9, 13, 21), 2), ((1, 3, 190, 190), None), ((2, 1, 33, 31), None)]
)
@pytest.mark.parametrize("likeness", ["float32", "far from zero", "bfloat16", "channels last"])
def test_no_bit_depends_on_the_size_of_a_block(name, shape, chunk, likeness, maps, graded, monkeypatch):
    # So a run that is resumed ends with the numbers of one that was not, whatever was measured at either start.
    student, teacher = maps(*shape, offset=8.0 if likeness == "far from zero" else 0.3, dtype=torch.float32)
    if likeness == "bfloat16":
        student, teacher = student.bfloat16(), teacher.bfloat16()
    if likeness == "channels last":
        student, teacher = (x.to(memory_format=torch.channels_last) for x in (student, teacher))
    found = []
    for room in ROOMS:
        monkeypatch.setattr(blocks, "room", lambda threads, room=room: room)
        found.append(graded(build_loss(name, stat_chunk=chunk), student, teacher))
    assert {value for value, _ in found} == {found[0][0]}
    assert all(torch.equal(gradient, found[0][1]) for _, gradient in found)


def test_channels_of_one_block_may_go_different_ways(maps, plain, graded, apart, monkeypatch):
    student, teacher = maps(2, 9, 30, 30, dtype=torch.float32)
    for channel, likeness in enumerate((1.0, 0.9, 0.0)):  # differences that are small, larger and large, over 3
        student[:, channel::3] = likeness * teacher[:, channel::3] + (1 - likeness) * student[:, channel::3]
    student[0, ::3, 0, 0] += 0.1
    loss, found = build_loss("norm-kl", temperature=8), []
    ways = set(divergence.divergence(student, teacher, 8.0, 2)[1][0, 6].tolist())
    assert ways == {divergence._SERIES, divergence._EXP, divergence._FAR}
    for room in ROOMS:
        monkeypatch.setattr(blocks, "room", lambda threads, room=room: room)
        found.append(graded(loss, student, teacher))
    assert {value for value, _ in found} == {found[0][0]}
    assert all(torch.equal(gradient, found[0][1]) for _, gradient in found)
    expected, expected_gradient = graded(plain("norm-kl", 8), student.double(), teacher.double())
    assert found[0][0] == pytest.approx(expected, rel=1e-5)
    assert apart(found[0][1], expected_gradient) < 1e-5


def clock(seconds):
    """A clock and a trial that takes so many seconds in blocks of a size, each time the next of a list or the same."""
    now = [0.0]
    turns = {size: itertools.cycle(given if isinstance(given, list) else [given]) for size, given in seconds.items()}

    def trial(size):
        now[0] += next(turns[size])

    return trial, lambda: now[0]


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ({1: 0.003, 2: 0.004, 4: 0.005}, 1),
        ({1: 0.003, 2: 0.0032, 4: 0.005}, 2),  # not clearly quicker
        ({1: 0.005, 2: 0.004, 4: 0.002}, 4),
        ({1: [0.001, 0.009], 2: [0.009, 0.002, 0.009], 4: 0.005}, 1),  # the least counts, not the mean
        ({1: 0.01, 2: 0.04, 4: 0.04}, 2),  # too busy to say: the budget is gone before the second round
    ],
)
def test_the_size_that_is_clearly_quickest_is_chosen(seconds, chosen):
    trial, read = clock(seconds)
    assert cache.choose([1, 2, 4], 2, trial, read) == chosen
    assert read() < cache.BUDGET + 0.05


@pytest.mark.parametrize(("threads", "sizes"), [(1, {0.5, 1, 2}), (2, {1, 2, 4}), (64, {2, 4})])
def test_it_is_measured_once_for_each_number_of_threads(threads, sizes, monkeypatch):
    asked = []
    monkeypatch.setattr(cache, "choose", lambda sizes, usual, trial: asked.append(set(sizes)) or usual)
    cache.room.cache_clear()
    try:
        assert cache.room(threads) == cache.room(threads) == min(threads, 4) << 20
    finally:
        cache.room.cache_clear()
    assert asked == [{int(size * 2**20) for size in sizes}]
