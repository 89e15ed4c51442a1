"""RoIAlign, average and maximum, against loops over Python numbers."""

from __future__ import annotations

import math

import pytest
import torch
from torch.autograd import gradcheck


def bilinear(plane: list[list[float]], y: float, x: float) -> float:
    height, width = len(plane), len(plane[0])
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - top, x - left
    upper = plane[top][left] * (1 - across) + plane[top][right] * across
    lower = plane[bottom][left] * (1 - across) + plane[bottom][right] * across
    return upper * (1 - down) + lower * down


def plain_roi_align(maps, rois, size, scale, ratio, mode, aligned):
    height, width = size
    output = torch.zeros(len(rois), maps.size(1), height, width, dtype=maps.dtype)
    shift = 0.5 if aligned else 0.0
    for r, (batch, x1, y1, x2, y2) in enumerate(rois.tolist()):
        left, top = x1 * scale - shift, y1 * scale - shift
        roi_width, roi_height = x2 * scale - shift - left, y2 * scale - shift - top
        if not aligned:
            roi_width, roi_height = max(roi_width, 1.0), max(roi_height, 1.0)
        cell_y, cell_x = roi_height / height, roi_width / width
        down, across = (ratio or math.ceil(cell_y)), (ratio or math.ceil(cell_x))
        for c in range(maps.size(1)):
            plane = maps[int(batch), c].tolist()
            for i in range(height):
                for j in range(width):
                    rows = [top + i * cell_y + (a + 0.5) * cell_y / down for a in range(down)]
                    columns = [left + j * cell_x + (b + 0.5) * cell_x / across for b in range(across)]
                    samples = [bilinear(plane, y, x) for y in rows for x in columns]
                    if samples:
                        output[r, c, i, j] = max(samples) if mode == "max" else sum(samples) / len(samples)
    return output


ROIS = torch.tensor(
    [
        [0, 1.3, 2.1, 11.7, 13.2],
        [1, 0.0, 0.0, 19.0, 15.0],  # another image, the whole of it
        [1, -9.4, -7.7, 6.1, 30.3],  # over three borders
        [0, 5.2, 5.2, 5.6, 5.3],  # smaller than a pixel
        [0, 60.0, 60.0, 70.0, 71.0],  # outside
    ],
    dtype=torch.float64,
)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize(("size", "scale"), [((2, 3), 0.5), ((3, 1), 1.0)])
def test_equals_the_loop(rng, size, scale, mode, ratio, aligned):
    from mmcv.ops import roi_align

    maps = torch.randn(2, 3, 8, 10, generator=rng, dtype=torch.float64)
    output = roi_align(maps, ROIS, size, scale, ratio, mode, aligned)
    torch.testing.assert_close(output, plain_roi_align(maps, ROIS, size, scale, ratio, mode, aligned))
    assert output[0].abs().max() > 0


@pytest.mark.parametrize("mode", ["avg", "max"])
def test_samples_on_the_border_count_and_those_beyond_do_not(mode):
    from mmcv.ops import roi_align

    maps = torch.ones(1, 1, 4, 4, dtype=torch.float64)
    # one sample per region, in its middle: at -1, 4 (the limits), and just beyond either
    middles = [-1.0, 4.0, -1.01, 4.01]
    rows = [[0, 1.0, m - 0.5, 2.0, m + 0.5] for m in middles]
    columns = [[0, m - 0.5, 1.0, m + 0.5, 2.0] for m in middles]
    output = roi_align(maps, torch.tensor(rows + columns, dtype=torch.float64), (1, 1), 1.0, 1, mode, False)
    assert output.flatten().tolist() == [1.0, 1.0, 0.0, 0.0] * 2


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize("mode", ["avg", "max"])
def test_gradient(rng, mode, ratio, aligned):
    from mmcv.ops import roi_align

    maps = torch.randn(2, 2, 6, 7, generator=rng, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda maps: roi_align(maps, ROIS, (2, 2), 0.5, ratio, mode, aligned), maps)


@pytest.mark.parametrize("mode", ["avg", "max"])
def test_regions_without_extent_give_and_get_nothing(mode):
    from mmcv.ops import roi_align

    maps = torch.ones(1, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    rois = torch.tensor([[0, 3.0, 3.0, 3.0, 3.0], [0, 5.0, 5.0, 2.0, 2.0]], dtype=torch.float64)
    output = roi_align(maps, rois, (2, 2), 1.0, 0, mode, True)
    output.sum().backward()
    assert torch.equal(output, torch.zeros(2, 1, 2, 2, dtype=torch.float64))
    assert torch.equal(maps.grad, torch.zeros_like(maps))


@pytest.mark.parametrize("mode", ["avg", "max"])
def test_no_regions(mode):
    from mmcv.ops import RoIAlign

    maps = torch.ones(1, 3, 6, 6, requires_grad=True)
    output = RoIAlign((7, 7), 0.25, 0, mode)(maps, torch.zeros(0, 5))
    output.sum().backward()
    assert output.shape == (0, 3, 7, 7)
    assert torch.equal(maps.grad, torch.zeros_like(maps))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("mode", ["avg", "max"])
def test_half_precision(rng, mode, dtype):
    from mmcv.ops import roi_align

    maps = torch.randn(2, 2, 8, 10, generator=rng).to(dtype).requires_grad_()
    rois = ROIS[:2].to(dtype)
    output = roi_align(maps, rois, (2, 2), 0.5, 2, mode, True)
    output.sum().backward()
    assert output.dtype == maps.grad.dtype == dtype
    expected = plain_roi_align(maps.detach().double(), rois.double(), (2, 2), 0.5, 2, mode, True)
    torch.testing.assert_close(output.double(), expected, atol=0.05, rtol=0.05)
    assert maps.grad.abs().sum() > 0


def test_maximum_in_several_steps_is_the_same(rng, monkeypatch):
    from mmcv.ops import roi_align

    from pkdcli.compat.ops import roi_align as module

    maps = torch.randn(2, 3, 8, 10, generator=rng, dtype=torch.float64)
    at_once = roi_align(maps, ROIS, (2, 3), 0.5, 2, "max", True)
    monkeypatch.setattr(module, "SAMPLES_AT_ONCE", 1)
    assert torch.equal(roi_align(maps, ROIS, (2, 3), 0.5, 2, "max", True), at_once)
