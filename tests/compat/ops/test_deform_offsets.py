"""Gradients of deformable convolutions for their offsets where they have a kink, against mmcv's own rule in loops."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

GEOMETRIES = {
    "plain": {"stride": 1, "padding": 1, "dilation": 1, "groups": 1, "deform_groups": 1},
    "grouped": {"stride": 1, "padding": 2, "dilation": 2, "groups": 2, "deform_groups": 2},
    "strided": {"stride": 2, "padding": 1, "dilation": 1, "groups": 1, "deform_groups": 4},
}
KERNEL = 3


def slope(plane: list[list[float]], y: float, x: float, along_y: bool) -> float:
    """mmcv's get_coordinate_weight (ops/csrc/common/cuda/deform_conv_cuda_kernel.cuh), line by line."""
    height, width = len(plane), len(plane[0])
    if y <= -1 or y >= height or x <= -1 or x >= width:
        return 0.0
    low_y, low_x = math.floor(y), math.floor(x)
    high_y, high_x = low_y + 1, low_x + 1
    total = 0.0
    if along_y:
        if low_y >= 0 and low_x >= 0:
            total += -(low_x + 1 - x) * plane[low_y][low_x]
        if low_y >= 0 and high_x <= width - 1:
            total += -(x - low_x) * plane[low_y][high_x]
        if high_y <= height - 1 and low_x >= 0:
            total += (low_x + 1 - x) * plane[high_y][low_x]
        if high_y <= height - 1 and high_x <= width - 1:
            total += (x - low_x) * plane[high_y][high_x]
    else:
        if low_y >= 0 and low_x >= 0:
            total += -(low_y + 1 - y) * plane[low_y][low_x]
        if low_y >= 0 and high_x <= width - 1:
            total += (low_y + 1 - y) * plane[low_y][high_x]
        if high_y <= height - 1 and low_x >= 0:
            total += -(y - low_y) * plane[high_y][low_x]
        if high_y <= height - 1 and high_x <= width - 1:
            total += (y - low_y) * plane[high_y][high_x]
    return total


def expected(x, offset, weight, mask, grad, geometry):
    """The gradient for the offsets, tap by tap."""
    stride, padding, dilation, groups, deform_groups = geometry.values()
    planes, offset, found = x.tolist(), offset.detach(), torch.zeros_like(offset)
    channels, taps = x.size(1), KERNEL**2
    out_per_group, in_per_group = weight.size(0) // groups, channels // groups
    for b in range(x.size(0)):
        for g in range(deform_groups):
            for k in range(taps):
                place = 2 * (g * taps + k)
                for h in range(grad.size(2)):
                    for w in range(grad.size(3)):
                        y = h * stride - padding + k // KERNEL * dilation + float(offset[b, place, h, w])
                        z = w * stride - padding + k % KERNEL * dilation + float(offset[b, place + 1, h, w])
                        scale = 1.0 if mask is None else float(mask[b, g * taps + k, h, w])
                        for c in range(g * channels // deform_groups, (g + 1) * channels // deform_groups):
                            own = slice(c // in_per_group * out_per_group, (c // in_per_group + 1) * out_per_group)
                            tap = weight[own, c % in_per_group, k // KERNEL, k % KERNEL]
                            pull = float((grad[b, own, h, w] * tap).sum()) * scale
                            found[b, place, h, w] += pull * slope(planes[b][c], y, z, True)
                            found[b, place + 1, h, w] += pull * slope(planes[b][c], y, z, False)
    return found


def places(where: str, shape: torch.Size, rng: torch.Generator) -> torch.Tensor:
    """Offsets (float64) whose taps lie where a kernel has a kink."""
    if where == "zero":
        return torch.zeros(shape, dtype=torch.float64)
    whole = torch.randint(-4, 5, shape, generator=rng).double()
    if where == "whole pixels":
        return whole
    return whole / 2 + 2.0**-12 * torch.randint(-1, 2, shape, generator=rng)  # halves, and a little beside


@pytest.mark.parametrize("where", ["zero", "whole pixels", "halves and beside"])
@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("modulated", [False, True], ids=["plain", "modulated"])
def test_slopes_are_the_kernels(rng, name, where, dtype, modulated):
    from mmcv.ops import deform_conv2d, modulated_deform_conv2d

    geometry = GEOMETRIES[name]
    x = torch.randn(1, 4, 5, 6, generator=rng, dtype=torch.float64)
    weight = torch.randn(4, 4 // geometry["groups"], KERNEL, KERNEL, generator=rng, dtype=torch.float64)
    size = F.conv2d(x, weight, None, *list(geometry.values())[:4]).shape[2:]
    count = geometry["deform_groups"] * KERNEL**2
    offset = places(where, torch.Size((1, 2 * count, *size)), rng)
    mask = torch.rand(1, count, *size, generator=rng, dtype=torch.float64) if modulated else None
    grad = torch.randn(1, 4, *size, generator=rng, dtype=torch.float64)
    leaf = offset.to(dtype, copy=True).requires_grad_()
    if modulated:
        output = modulated_deform_conv2d(x.to(dtype), leaf, mask.to(dtype), weight.to(dtype), None, *geometry.values())
    else:
        output = deform_conv2d(x.to(dtype), leaf, weight.to(dtype), *geometry.values())
    output.backward(grad.to(dtype))
    # A place at a whole pixel is read half an epsilon times the map's size beside it: 3.6e-7 of a pixel in float32.
    bound = {torch.float32: 2e-5, torch.float64: 1e-13}[dtype]
    assert (leaf.grad.double() - expected(x, offset, weight, mask, grad, geometry)).abs().max() < bound


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_every_whole_pixel_has_the_floors_side(dtype):
    """The grid's rounding depends on the map's size: no size up to a full image's may fall on the other side."""
    from pkdcli.compat.ops.deform_offsets import sampling_grid

    for length in [*range(1, 70), 84, 100, 136, 168, 333, 334, 800, 1333]:
        ramp = torch.arange(length + 1, dtype=dtype).square()[1:].view(1, 1, 1, length)
        x = torch.arange(length, dtype=dtype).view(1, 1, length).requires_grad_()
        grid = sampling_grid(torch.zeros_like(x), x, (1, length), slopes=True)
        F.grid_sample(ramp, grid, padding_mode="zeros", align_corners=False).sum().backward()
        right = F.pad(ramp.flatten()[1:], (0, 1)) - ramp.flatten()  # beyond the last pixel are zeros
        torch.testing.assert_close(x.grad.flatten(), right)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1e30])
def test_an_offset_that_is_no_place_gives_nothing(rng, bad):
    from mmcv.ops import deform_conv2d

    x, weight = torch.randn(1, 2, 5, 5, generator=rng), torch.randn(3, 2, 3, 3, generator=rng)
    offset = torch.zeros(1, 18, 5, 5)
    offset[0, 8, 2, 2] = bad  # the centre's row
    leaf = offset.requires_grad_()
    output = deform_conv2d(x, leaf, weight, 1, 1)
    plain = F.conv2d(x, weight, None, 1, 1)
    plain[0, :, 2, 2] -= weight[:, :, 1, 1] @ x[0, :, 2, 2]
    torch.testing.assert_close(output, plain)
    output.sum().backward()
    assert leaf.grad[0, 8, 2, 2] == leaf.grad[0, 9, 2, 2] == 0
    assert leaf.grad.isfinite().all()


def test_offsets_of_a_finer_level_are_read_by_the_outputs_size(rng):
    """DyHead's; mmcv's kernel takes the first values of each image's buffer."""
    from mmcv.ops import modulated_deform_conv2d

    x, weight = torch.randn(2, 4, 3, 4, generator=rng), torch.randn(5, 4, 3, 3, generator=rng)
    both = torch.randn(2, 27, 7, 8, generator=rng, requires_grad=True)
    offset, mask = both[:, :18], both[:, 18:].sigmoid()
    output = modulated_deform_conv2d(x, offset, mask, weight, None, 1, 1)
    first = both.detach().clone().requires_grad_()
    small = first[:, :18].flatten(1)[:, : 18 * 12].view(2, 18, 3, 4)
    small_mask = first[:, 18:].flatten(1)[:, : 9 * 12].view(2, 9, 3, 4).sigmoid()
    expected = modulated_deform_conv2d(x, small, small_mask, weight, None, 1, 1)
    torch.testing.assert_close(output, expected, rtol=0, atol=0)
    output.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(both.grad, first.grad)
    assert (both.grad[:, :18].flatten(1)[:, 18 * 12 :] == 0).all()


def test_offsets_that_are_too_few_are_refused(rng):
    from mmcv.ops import modulated_deform_conv2d

    x, weight = torch.randn(1, 4, 6, 6, generator=rng), torch.randn(4, 4, 3, 3, generator=rng)
    with pytest.raises(RuntimeError, match="of 3x3 are too few for an output of 6x6"):
        modulated_deform_conv2d(x, torch.zeros(1, 18, 3, 3), torch.ones(1, 9, 3, 3), weight, None, 1, 1)
