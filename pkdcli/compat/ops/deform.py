"""Deformable convolutions, without and with modulation (mmcv/ops/deform_conv.py, modulated_deform_conv.py).

torchvision's kernel descends from the same one as mmcv's: offsets are laid out alike, (y, x) per kernel tap and group.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pkdcli.compat.ops.widen import widened


class Geometry(NamedTuple):
    """How the kernel moves; pairs are (vertical, horizontal)."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    deform_groups: int


class Gradients(NamedTuple):
    """What flows back, each of the shape of what it belongs to."""

    input: Tensor
    weight: Tensor
    offset: Tensor
    mask: Tensor
    bias: Tensor


def _arguments(
    input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, bias: Tensor | None, geometry: Geometry
) -> tuple[object, ...]:
    """torchvision's arguments after the first."""
    wide = widened(input)
    no_mask = wide.new_zeros((input.size(0), 1))
    no_bias = wide.new_zeros(weight.size(0))
    tensors = (weight, offset, no_mask if mask is None else mask, no_bias if bias is None else bias)
    return (
        wide, *(tensor.to(wide.dtype).contiguous() for tensor in tensors),
        *geometry.stride, *geometry.padding, *geometry.dilation, geometry.groups, geometry.deform_groups,
        mask is not None,
    )  # fmt: skip


def _forward(
    input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, bias: Tensor | None, geometry: Geometry
) -> Tensor:
    return torch.ops.torchvision.deform_conv2d(*_arguments(input, weight, offset, mask, bias, geometry))


def _backward(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    geometry: Geometry,
) -> Gradients:
    arguments = _arguments(input, weight, offset, mask, bias, geometry)
    wide = arguments[0]
    return Gradients(*torch.ops.torchvision._deform_conv2d_backward(grad_output.to(wide.dtype), *arguments))


def deform_conv_forward(
    input: Tensor, weight: Tensor, offset: Tensor, output: Tensor, columns: Tensor, ones: Tensor,
    kW: int, kH: int, dW: int, dH: int, padW: int, padH: int, dilationW: int, dilationH: int,
    group: int, deformable_group: int, im2col_step: int,
) -> None:  # fmt: skip
    """Convolves `input` with every tap moved by `offset`.

    Args:
        input: (N, C, H, W).
        weight: (D, C / group, kH, kW).
        offset: (N, deformable_group * kH * kW * 2, h, w), in pixels, y before x.
        output: (N, D, h, w), written in place.
        columns: Scratch of the C++ version, unused; so is `ones`, and `im2col_step`, which only bounds its memory.
        ones: See `columns`.
        kW: Width of the kernel, kH its height; d, pad and dilation are stride, padding and dilation.
    """
    geometry = Geometry((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)
    if output.numel():
        output.copy_(_forward(input, weight, offset, None, None, geometry))


def deform_conv_backward_input(
    input: Tensor, offset: Tensor, grad_output: Tensor, grad_input: Tensor, grad_offset: Tensor, weight: Tensor,
    columns: Tensor, kW: int, kH: int, dW: int, dH: int, padW: int, padH: int, dilationW: int, dilationH: int,
    group: int, deformable_group: int, im2col_step: int,
) -> None:  # fmt: skip
    """Writes the gradients of `deform_conv_forward` for input and offset into `grad_input` and `grad_offset`."""
    geometry = Geometry((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)
    if grad_output.numel():
        gradients = _backward(grad_output, input, weight, offset, None, None, geometry)
        grad_input.copy_(gradients.input)
        grad_offset.copy_(gradients.offset)


def deform_conv_backward_parameters(
    input: Tensor, offset: Tensor, grad_output: Tensor, grad_weight: Tensor, columns: Tensor, ones: Tensor,
    kW: int, kH: int, dW: int, dH: int, padW: int, padH: int, dilationW: int, dilationH: int,
    group: int, deformable_group: int, scale: float, im2col_step: int,
) -> None:  # fmt: skip
    """Adds `scale` times the gradient of `deform_conv_forward` for the weight to `grad_weight`."""
    geometry = Geometry((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)
    if grad_output.numel():
        # This gradient does not depend on the weight's value: its own buffer serves for the shape.
        gradients = _backward(grad_output, input, torch.zeros_like(grad_weight), offset, None, None, geometry)
        grad_weight.add_(gradients.weight.to(grad_weight.dtype), alpha=scale)


def modulated_deform_conv_forward(
    input: Tensor, weight: Tensor, bias: Tensor, ones: Tensor, offset: Tensor, mask: Tensor, output: Tensor,
    columns: Tensor, kernel_h: int, kernel_w: int, stride_h: int, stride_w: int, pad_h: int, pad_w: int,
    dilation_h: int, dilation_w: int, group: int, deformable_group: int, with_bias: bool,
) -> None:  # fmt: skip
    """Like `deform_conv_forward`, with a bias, and taps scaled by `mask`, (N, deformable_group * kH * kW, h, w)."""
    geometry = Geometry((stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), group, deformable_group)
    if output.numel():
        output.copy_(_forward(input, weight, offset, mask, bias if with_bias else None, geometry))


def modulated_deform_conv_backward(
    input: Tensor, weight: Tensor, bias: Tensor, ones: Tensor, offset: Tensor, mask: Tensor, columns: Tensor,
    grad_input: Tensor, grad_weight: Tensor, grad_bias: Tensor, grad_offset: Tensor, grad_mask: Tensor,
    grad_output: Tensor, kernel_h: int, kernel_w: int, stride_h: int, stride_w: int, pad_h: int, pad_w: int,
    dilation_h: int, dilation_w: int, group: int, deformable_group: int, with_bias: bool,
) -> None:  # fmt: skip
    """Writes the gradients of `modulated_deform_conv_forward` into its five `grad_` arguments."""
    geometry = Geometry((stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), group, deformable_group)
    if grad_output.numel() == 0:
        return
    gradients = _backward(grad_output, input, weight, offset, mask, bias if with_bias else None, geometry)
    grad_input.copy_(gradients.input)
    grad_weight.copy_(gradients.weight)
    grad_offset.copy_(gradients.offset)
    grad_mask.copy_(gradients.mask)
    if with_bias:
        grad_bias.copy_(gradients.bias)


OPERATORS = (
    deform_conv_forward,
    deform_conv_backward_input,
    deform_conv_backward_parameters,
    modulated_deform_conv_forward,
    modulated_deform_conv_backward,
)
