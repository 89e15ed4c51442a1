"""Multi-scale deformable attention against loops over Python numbers."""

from __future__ import annotations

import math

import pytest
import torch
from torch.autograd import gradcheck

SHAPES = torch.tensor([[4, 5], [2, 3]])
STARTS = torch.tensor([0, 20])
BATCH, HEADS, DEPTH, QUERIES, POINTS = 2, 2, 3, 4, 2


def tensors(rng):
    value = torch.randn(BATCH, 26, HEADS, DEPTH, generator=rng, dtype=torch.float64)
    # from -0.2 to 1.2: some samples fall outside
    places = torch.rand(BATCH, QUERIES, HEADS, 2, POINTS, 2, generator=rng, dtype=torch.float64) * 1.4 - 0.2
    weights = torch.rand(BATCH, QUERIES, HEADS, 2, POINTS, generator=rng, dtype=torch.float64)
    return value, places, weights


def plain_attention(value, places, weights):
    output = torch.zeros(BATCH, QUERIES, HEADS, DEPTH, dtype=value.dtype)
    for index in torch.cartesian_prod(*(torch.arange(n) for n in weights.shape)).tolist():
        b, q, h, level, point = index
        height, width = SHAPES[level].tolist()
        x = float(places[b, q, h, level, point, 0]) * width - 0.5
        y = float(places[b, q, h, level, point, 1]) * height - 0.5
        top, left = math.floor(y), math.floor(x)
        for row, weight_y in ((top, 1 - (y - top)), (top + 1, y - top)):
            for column, weight_x in ((left, 1 - (x - left)), (left + 1, x - left)):
                if 0 <= row < height and 0 <= column < width:
                    position = int(STARTS[level]) + row * width + column
                    output[b, q, h] += value[b, position, h] * weight_y * weight_x * float(weights[tuple(index)])
    return output.flatten(2)


def test_equals_the_loop(rng):
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

    value, places, weights = tensors(rng)
    output = MultiScaleDeformableAttnFunction.apply(value, SHAPES, STARTS, places, weights, 64)
    torch.testing.assert_close(output, plain_attention(value, places, weights))


def test_gradients(rng):
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

    inputs = [tensor.requires_grad_() for tensor in tensors(rng)]
    assert gradcheck(
        lambda value, places, weights: MultiScaleDeformableAttnFunction.apply(
            value, SHAPES, STARTS, places, weights, 64
        ),
        inputs,
    )


def test_levels_are_found_by_their_start(rng):
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction as Attention

    value, places, weights = tensors(rng)
    swapped = torch.cat([value[:, 20:], value[:, :20]], dim=1)  # the second level first in memory
    torch.testing.assert_close(
        Attention.apply(swapped, SHAPES, torch.tensor([6, 0]), places, weights, 64),
        Attention.apply(value, SHAPES, STARTS, places, weights, 64),
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_precisions(rng, dtype):
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

    value, places, weights = (tensor.to(dtype).requires_grad_() for tensor in tensors(rng))
    output = MultiScaleDeformableAttnFunction.apply(value, SHAPES, STARTS, places, weights, 64)
    output.sum().backward()
    assert output.dtype == value.grad.dtype == dtype
    expected = plain_attention(*(tensor.detach().double() for tensor in (value, places, weights)))
    tolerance = 1e-5 if dtype == torch.float32 else 0.05
    torch.testing.assert_close(output.double(), expected, atol=tolerance, rtol=tolerance)
