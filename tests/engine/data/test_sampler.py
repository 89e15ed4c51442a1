"""Which images a process sees in which step."""

from __future__ import annotations

from itertools import chain

import pytest

from pkdcli import compat

compat.activate()

from pkdcli.engine.data.sampler import PkdBatchSampler, PkdSampler  # noqa: E402


class Images:
    """A data set of images that stand or lie."""

    def __init__(self, sizes):
        self.sizes = sizes

    def __len__(self):
        return len(self.sizes)

    def get_data_info(self, index):
        width, height = self.sizes[index]
        return {"width": width, "height": height}


def sampler(count, batch, rank=0, processes=1, group=None, upright=()):
    images = Images([(2, 3) if index in upright else (3, 2) for index in range(count)])
    made = PkdBatchSampler(PkdSampler(images, seed=5), batch, group)
    made.rank, made.processes = rank, processes
    return made


def indices(made, epoch, skip=0):
    made.go_to(epoch, skip)
    return [[index for index, _ in batch] for batch in made]


@pytest.mark.parametrize("group", [None, 2])
@pytest.mark.parametrize("processes", [2, 4])
def test_the_processes_see_together_what_one_sees(processes, group):
    upright = (1, 5, 6, 11)
    alone = indices(sampler(24, 8, group=group, upright=upright), epoch=3)
    parts = [
        indices(sampler(24, 8 // processes, rank, processes, group, upright), epoch=3) for rank in range(processes)
    ]
    assert [list(chain(*batches)) for batches in zip(*parts, strict=True)] == alone
    assert sorted(chain(*alone)) == list(range(24))


def test_a_rest_is_shared_evenly():
    parts = [indices(sampler(11, 2, rank, 2), epoch=0) for rank in range(2)]
    assert [len(batch) for batch in parts[0]] == [len(batch) for batch in parts[1]] == [2, 2, 2]
    seen = list(chain(*parts[0], *parts[1]))
    assert set(seen) == set(range(11))
    assert len(seen) == 12
    assert len(sampler(11, 2, 0, 2)) == 3


def test_a_start_within_an_epoch_skips_what_came_before():
    whole = indices(sampler(20, 3), epoch=2)
    assert indices(sampler(20, 3), epoch=2, skip=4) == whole[4:]
    assert indices(sampler(20, 3), epoch=1) != whole
    assert len(sampler(20, 3)) == len(whole) == 7


def test_groups_have_the_longer_side_in_common():
    upright = (0, 3, 4, 7, 8, 9)
    batches = indices(sampler(16, 4, group=2, upright=upright), epoch=0)
    pairs = [batch[begin : begin + 2] for batch in batches for begin in (0, 2)]
    assert all(len({index in upright for index in pair}) == 1 for pair in pairs)
