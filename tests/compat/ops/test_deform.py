"""Deformable convolutions against loops over Python numbers."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

GEOMETRIES = {
    "plain": {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1, "deform_groups": 1},
    "grouped": {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": 2, "deform_groups": 2},
    "deform_groups": {"stride": (1, 2), "padding": (0, 1), "dilation": (2, 1), "groups": 1, "deform_groups": 4},
}
KERNEL = (3, 2)


def at(plane: list[list[float]], y: float, x: float) -> float:
    """Bilinear; the map is surrounded by zeros."""
    top, left = math.floor(y), math.floor(x)
    value = 0.0
    for row, weight_y in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, weight_x in ((left, 1 - (x - left)), (left + 1, x - left)):
            if 0 <= row < len(plane) and 0 <= column < len(plane[0]):
                value += plane[row][column] * weight_y * weight_x
    return value


def plain_deform_conv(x, offset, weight, mask, bias, geometry):
    (stride_y, stride_x), (pad_y, pad_x), (dil_y, dil_x) = (geometry[k] for k in ("stride", "padding", "dilation"))
    groups, deform_groups = geometry["groups"], geometry["deform_groups"]
    taps = [(i, j) for i in range(weight.size(2)) for j in range(weight.size(3))]
    n, channels = x.shape[:2]
    out, per_group = weight.shape[:2]
    output = torch.zeros(n, out, *offset.shape[2:], dtype=x.dtype)
    offset, weight = offset.detach(), weight.detach()
    mask, bias = (None if tensor is None else tensor.detach() for tensor in (mask, bias))
    planes = x.tolist()
    for b in range(n):
        for d in range(out):
            first = d // (out // groups) * per_group
            for y in range(output.size(2)):
                for z in range(output.size(3)):
                    total = 0.0 if bias is None else float(bias[d])
                    for c in range(per_group):
                        channel = first + c
                        group = channel // (channels // deform_groups)
                        for k, (i, j) in enumerate(taps):
                            place = 2 * (group * len(taps) + k)
                            row = y * stride_y - pad_y + i * dil_y + float(offset[b, place, y, z])
                            column = z * stride_x - pad_x + j * dil_x + float(offset[b, place + 1, y, z])
                            scale = 1.0 if mask is None else float(mask[b, group * len(taps) + k, y, z])
                            total += float(weight[d, c, i, j]) * at(planes[b][channel], row, column) * scale
                    output[b, d, y, z] = total
    return output


def tensors(rng, geometry, size=(5, 6), batch=2):
    def random(*shape):
        return torch.randn(*shape, generator=rng, dtype=torch.float64).requires_grad_()

    x, weight = random(batch, 4, *size), random(4, 4 // geometry["groups"], *KERNEL)
    out = F.conv2d(x, weight, None, *(geometry[k] for k in ("stride", "padding", "dilation", "groups"))).shape[2:]
    taps = geometry["deform_groups"] * KERNEL[0] * KERNEL[1]
    return x, random(batch, 2 * taps, *out), weight, random(batch, taps, *out), random(4)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_deform_conv(rng, name):
    from mmcv.ops import deform_conv2d

    geometry = GEOMETRIES[name]
    x, offset, weight, _, _ = tensors(rng, geometry)
    output = deform_conv2d(x, offset, weight, *geometry.values())
    torch.testing.assert_close(output, plain_deform_conv(x, offset, weight, None, None, geometry))


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("with_bias", [True, False])
def test_modulated_deform_conv(rng, name, with_bias):
    from mmcv.ops import modulated_deform_conv2d

    geometry = GEOMETRIES[name]
    x, offset, weight, mask, bias = tensors(rng, geometry)
    bias = bias if with_bias else None
    output = modulated_deform_conv2d(x, offset, mask, weight, bias, *geometry.values())
    torch.testing.assert_close(output, plain_deform_conv(x, offset, weight, mask, bias, geometry))


@pytest.mark.parametrize("name", ["plain", "grouped"])
def test_gradients(rng, name):
    from mmcv.ops import deform_conv2d, modulated_deform_conv2d

    geometry = GEOMETRIES[name]
    x, offset, weight, mask, bias = tensors(rng, geometry, size=(4, 3), batch=1)
    arguments = geometry.values()
    assert gradcheck(lambda *a: deform_conv2d(*a, *arguments), (x, offset, weight))
    assert gradcheck(lambda *a: modulated_deform_conv2d(*a, *arguments), (x, offset, mask, weight, bias))
    assert gradcheck(lambda *a: modulated_deform_conv2d(*a, None, *arguments), (x, offset, mask, weight))


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_gradient_of_some_inputs_only(rng, frozen):
    from mmcv.ops import deform_conv2d

    geometry = GEOMETRIES["plain"]
    inputs = list(tensors(rng, geometry, size=(4, 3), batch=1)[:3])
    inputs[frozen] = inputs[frozen].detach()
    assert gradcheck(lambda *a: deform_conv2d(*a, *geometry.values()), inputs)


def test_no_offset_is_a_convolution(rng):
    from mmcv.ops import DeformConv2dPack, ModulatedDeformConv2dPack

    x = torch.randn(2, 4, 7, 9, generator=rng)
    pack = DeformConv2dPack(4, 6, 3, stride=2, padding=1, groups=2)  # its offsets start at zero
    torch.testing.assert_close(pack(x), F.conv2d(x, pack.weight, None, 2, 1, 1, 2))
    pack = ModulatedDeformConv2dPack(4, 6, 3, padding=1, deform_groups=2)  # its masks start at one half
    torch.testing.assert_close(pack(x), F.conv2d(x, pack.weight, None, 1, 1) / 2)


def test_a_map_smaller_than_the_kernel(rng):
    from mmcv.ops import DeformConv2dPack

    pack = DeformConv2dPack(2, 3, 3, padding=1)
    x = torch.randn(1, 2, 1, 2, generator=rng)
    torch.testing.assert_close(pack(x), F.conv2d(x, pack.weight, None, 1, 1))


def test_bfloat16(rng):
    from mmcv.ops import deform_conv2d

    geometry = GEOMETRIES["grouped"]
    exact = [t.detach() for t in tensors(rng, geometry)[:3]]
    short = [t.to(torch.bfloat16).requires_grad_() for t in exact]
    output = deform_conv2d(*short, *geometry.values())
    output.sum().backward()
    assert output.dtype == short[2].grad.dtype == torch.bfloat16
    expected = plain_deform_conv(*(t.detach().double() for t in short), None, None, geometry)
    torch.testing.assert_close(output.double(), expected, atol=0.05, rtol=0.02)
