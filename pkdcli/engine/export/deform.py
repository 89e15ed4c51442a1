"""Deformable convolutions in operators that every format has: values are sampled at each tap, then weighed together."""

from __future__ import annotations

import copy

import torch
from mmcv.ops import DeformConv2d, DeformConv2dPack, ModulatedDeformConv2d, ModulatedDeformConv2dPack
from torch import Tensor, nn
from torch.nn import functional


class Sampler(nn.Module):
    """A deformable convolution, of either version.

    Args:
        layer: mmcv's.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, getattr(layer, "bias", None)
        self.own = getattr(layer, "conv_offset", None)  # which tells the offsets, where they are not given
        self.masked = isinstance(layer, ModulatedDeformConv2d)
        self.groups, self.deform_groups = layer.groups, layer.deform_groups
        self.stride, self.padding, self.dilation = (
            _pair(getattr(layer, name)) for name in ("stride", "padding", "dilation")
        )

    def forward(self, x: Tensor, offset: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """As mmcv's.

        Args:
            x: (N, C, H, W).
            offset: (N, deform_groups * K * 2, H', W'), y and x of each of K taps; None where the layer tells its own.
            mask: (N, deform_groups * K, H', W'), of the second version.
        """
        if offset is None:
            told = self.own(x)
            offset = told
            if self.masked:
                y, x_, mask = told.chunk(3, 1)
                offset, mask = torch.cat([y, x_], 1), mask.sigmoid()
        height, width = self.weight.shape[2:]
        taps, depth = height * width, x.shape[1] // self.deform_groups
        rows = torch.arange(offset.shape[2], device=x.device).to(x.dtype) * self.stride[0] - self.padding[0]
        columns = torch.arange(offset.shape[3], device=x.device).to(x.dtype) * self.stride[1] - self.padding[1]
        # Sides as numbers of a graph; -1 to 1 is from edge to edge, so that a side of one position has a length too.
        high, wide = (torch.arange(side, device=x.device).to(x.dtype).max() + 1 for side in x.shape[2:])
        sampled = []
        for group in range(self.deform_groups):
            part = x[:, group * depth : (group + 1) * depth]
            values = []
            for tap in range(taps):
                at = group * taps + tap
                y = rows.reshape(1, -1, 1) + (tap // width) * self.dilation[0] + offset[:, 2 * at]
                x_ = columns.reshape(1, 1, -1) + (tap % width) * self.dilation[1] + offset[:, 2 * at + 1]
                grid = torch.stack([(2 * x_ + 1) / wide - 1, (2 * y + 1) / high - 1], -1)
                value = functional.grid_sample(part, grid, "bilinear", "zeros", align_corners=False)
                values.append(value if mask is None else value * mask[:, at : at + 1])
            sampled.append(torch.stack(values, 2).flatten(1, 2))
        weight = self.weight.flatten(2).reshape(self.weight.shape[0], -1, 1, 1)
        return functional.conv2d(torch.cat(sampled, 1), weight, self.bias, groups=self.groups)


def with_samplers(model: nn.Module) -> nn.Module:
    """A detector in which no layer is left that a format may not have; itself, where there is none.

    Args:
        model: It shares its weights with what is returned, and is left as it is.
    """
    kinds = (DeformConv2d, DeformConv2dPack, ModulatedDeformConv2d, ModulatedDeformConv2dPack)
    if not any(isinstance(layer, kinds) for layer in model.modules()):
        return model
    memo = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    model = copy.deepcopy(model, memo)
    for parent in list(model.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, kinds):
                setattr(parent, name, Sampler(layer))
    return model


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
