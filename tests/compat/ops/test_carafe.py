"""CARAFE and point_sample against loops over Python numbers."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck


def plain_carafe(features, masks, kernel, groups, scale):
    n, channels, height, width = features.shape
    output = torch.zeros(n, channels, height * scale, width * scale, dtype=features.dtype)
    reach = kernel // 2
    for b, c, y, x in torch.cartesian_prod(*(torch.arange(size) for size in output.shape)).tolist():
        group = c // (channels // groups)
        for i in range(kernel):
            for j in range(kernel):
                row, column = y // scale + i - reach, x // scale + j - reach
                if 0 <= row < height and 0 <= column < width:
                    tap = (group * kernel + i) * kernel + j
                    output[b, c, y, x] += features[b, c, row, column] * masks[b, tap, y, x]
    return output


def tensors(rng, kernel, groups, scale):
    features = torch.randn(2, 4, 3, 2, generator=rng, dtype=torch.float64)
    masks = torch.randn(2, kernel**2 * groups, 3 * scale, 2 * scale, generator=rng, dtype=torch.float64)
    return features.requires_grad_(), masks.requires_grad_()


@pytest.mark.parametrize(("kernel", "groups", "scale"), [(3, 1, 2), (5, 2, 2), (1, 4, 3), (3, 2, 1)])
def test_equals_the_loop(rng, kernel, groups, scale):
    from mmcv.ops import carafe, carafe_naive

    features, masks = tensors(rng, kernel, groups, scale)
    expected = plain_carafe(features, masks, kernel, groups, scale)
    torch.testing.assert_close(carafe(features, masks, kernel, groups, scale), expected)
    torch.testing.assert_close(carafe_naive(features, masks, kernel, groups, scale), expected)


def test_gradients(rng):
    from mmcv.ops import carafe

    assert gradcheck(lambda *inputs: carafe(*inputs, 3, 2, 2), tensors(rng, 3, 2, 2))


def test_naive_gradients_are_the_same(rng):
    # mmcv's own wrapper of the naive version asserts a GPU in its backward pass: call the extension itself
    from mmcv import _ext

    features, masks = tensors(rng, 3, 2, 2)
    output = plain_carafe(features, masks, 3, 2, 2)
    grad = torch.randn(output.shape, generator=rng, dtype=torch.float64)
    by_features, by_masks = torch.zeros_like(features), torch.zeros_like(masks)
    _ext.carafe_naive_backward(
        grad, features, masks, by_features, by_masks, kernel_size=3, group_size=2, scale_factor=2
    )
    expected = torch.autograd.grad(output, (features, masks), grad)
    torch.testing.assert_close((by_features, by_masks), expected)


def test_point_sample(rng):
    from mmcv.ops import point_sample

    maps = torch.randn(1, 2, 4, 5, generator=rng, dtype=torch.float64)
    centres = torch.tensor([[[0.5 / 5, 0.5 / 4], [2.5 / 5, 3.5 / 4], [1.0 / 5, 0.5 / 4]]], dtype=torch.float64)
    sampled = point_sample(maps, centres)
    between = (maps[0, :, 0, 0] + maps[0, :, 0, 1]) / 2
    torch.testing.assert_close(sampled[0], torch.stack([maps[0, :, 0, 0], maps[0, :, 3, 2], between], dim=1))
