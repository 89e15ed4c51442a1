"""Operators of models that are laid out channels last: the numbers of PyTorch's usual layout, in whole steps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

NAMES = ("deform", "deform grouped", "modulated", "carafe", "switchable", "standardised", "standardised anew")


@pytest.fixture
def packs():
    from mmcv.cnn.bricks.conv_ws import ConvAWS2d, ConvWS2d
    from mmcv.ops import CARAFEPack, DeformConv2dPack, ModulatedDeformConv2dPack, SAConv2d

    torch.manual_seed(0)
    return {
        "deform": DeformConv2dPack(8, 8, 3, padding=1),
        "deform grouped": DeformConv2dPack(8, 8, 3, padding=1, groups=2, deform_groups=2),
        "modulated": ModulatedDeformConv2dPack(8, 8, 3, padding=1, deform_groups=2),
        "carafe": CARAFEPack(8, scale_factor=2, up_kernel=3),
        "switchable": SAConv2d(8, 8, 3, padding=1),
        "standardised": ConvWS2d(8, 8, 3, padding=1),
        "standardised anew": ConvAWS2d(8, 8, 3, padding=1),
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_step_is_the_same_in_both_layouts(packs, name):
    pack: nn.Module = packs[name]
    if hasattr(pack, "conv_offset"):
        nn.init.normal_(pack.conv_offset.weight, std=0.3)
    images = torch.randn(2, 8, 6, 5)
    found = []
    for layout in (torch.contiguous_format, torch.channels_last):
        pack.to(memory_format=layout)
        pack.zero_grad()
        x = images.clone(memory_format=layout).requires_grad_()
        output = pack(x)
        output.square().sum().backward()
        gradients = [parameter.grad for parameter in pack.parameters() if parameter.grad is not None]
        found.append([output, x.grad, *(gradient.clone() for gradient in gradients)])
    for usual, last in zip(*found, strict=True):
        torch.testing.assert_close(last, usual, rtol=1e-4, atol=1e-4)
    assert all(one.abs().max() > 0 for one in found[0][:3])
