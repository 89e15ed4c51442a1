"""RoIPool against loops over Python numbers."""

from __future__ import annotations

import math

import pytest
import torch
from torch.autograd import gradcheck

ROIS = torch.tensor(
    [
        [0, 1.3, 2.1, 11.7, 13.2],
        [1, 0.0, 0.0, 19.0, 15.0],
        [1, -9.4, -7.7, 6.1, 30.3],  # over three borders: some cells are empty
        [0, 5.2, 5.2, 5.6, 5.3],
        [0, 60.0, 60.0, 70.0, 71.0],  # outside
        [0, 5.0, 5.0, 3.0, 3.0],  # inside out
    ],
    dtype=torch.float64,
)


def plain_roi_pool(maps, rois, size, scale):
    """mmcv's definition: corners are not rounded, the far ones belong to the region."""
    output = torch.zeros(len(rois), maps.size(1), *size, dtype=maps.dtype)
    for r, (batch, x1, y1, x2, y2) in enumerate(rois.tolist()):
        left, top = x1 * scale, y1 * scale
        cell_x, cell_y = ((x2 + 1) * scale - left) / size[1], ((y2 + 1) * scale - top) / size[0]
        if cell_x <= 0 or cell_y <= 0:
            continue
        for i in range(size[0]):
            for j in range(size[1]):
                rows = range(max(math.floor(i * cell_y + top), 0), min(math.ceil((i + 1) * cell_y + top), maps.size(2)))
                columns = range(
                    max(math.floor(j * cell_x + left), 0), min(math.ceil((j + 1) * cell_x + left), maps.size(3))
                )
                for c in range(maps.size(1)):
                    values = [float(maps[int(batch), c, y, x]) for y in rows for x in columns]
                    output[r, c, i, j] = max(values, default=0.0)
    return output


@pytest.mark.parametrize(("size", "scale"), [((2, 3), 0.5), ((3, 1), 1.0), ((7, 7), 0.5)])
def test_equals_the_loop(rng, size, scale):
    from mmcv.ops import roi_pool

    maps = torch.randn(2, 3, 8, 10, generator=rng, dtype=torch.float64)
    output = roi_pool(maps, ROIS, size, scale)
    assert torch.equal(output, plain_roi_pool(maps, ROIS, size, scale))
    assert output[:4].abs().sum() > 0


def test_gradient(rng):
    from mmcv.ops import roi_pool

    maps = torch.randn(2, 2, 6, 7, generator=rng, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda maps: roi_pool(maps, ROIS, (2, 3), 0.5), maps)


def test_of_equal_values_the_first_in_reading_order_gets_the_gradient():
    from mmcv.ops import roi_pool

    maps = torch.zeros(1, 1, 4, 4)
    maps[0, 0, 1, 2] = maps[0, 0, 2, 1] = 5.0
    maps.requires_grad_()
    roi_pool(maps, torch.tensor([[0, 0.0, 0.0, 3.0, 3.0]]), (1, 1), 1.0).sum().backward()
    expected = torch.zeros(1, 1, 4, 4)
    expected[0, 0, 1, 2] = 1.0
    assert torch.equal(maps.grad, expected)


def test_no_regions():
    from mmcv.ops import RoIPool

    maps = torch.ones(1, 3, 6, 6, requires_grad=True)
    output = RoIPool((7, 7), 0.25)(maps, torch.zeros(0, 5))
    output.sum().backward()
    assert output.shape == (0, 3, 7, 7)
    assert torch.equal(maps.grad, torch.zeros_like(maps))
