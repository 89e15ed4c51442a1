"""Deformable convolutions with the arguments of mmcv's operators, without and with modulation.

Those of mmcv/ops/deform_conv.py and modulated_deform_conv.py; what they compute is in `deform_kernel`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pkdcli.compat.ops.deform_kernel import Geometry, deform_backward, deform_forward


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
        columns, ones: Scratch of the C++ version; unused.
        kW: Width of the kernel.
        kH: Height of the kernel.
        dW, dH: Strides along x and y.
        padW, padH: Paddings along x and y, in pixels.
        dilationW, dilationH: Dilations along x and y.
        group: Groups of channels that are convolved apart.
        deformable_group: Groups of channels that share their offsets.
        im2col_step: Bounds the memory of the C++ version; unused.
    """
    geometry = Geometry((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)
    if output.numel():
        output.copy_(deform_forward(input, weight, offset, None, None, geometry))


def deform_conv_backward_input(
    input: Tensor, offset: Tensor, grad_output: Tensor, grad_input: Tensor, grad_offset: Tensor, weight: Tensor,
    columns: Tensor, kW: int, kH: int, dW: int, dH: int, padW: int, padH: int, dilationW: int, dilationH: int,
    group: int, deformable_group: int, im2col_step: int,
) -> None:  # fmt: skip
    """Writes the gradients of `deform_conv_forward` for input and offset into `grad_input` and `grad_offset`.

    Args:
        input: (N, C, H, W).
        offset: (N, deformable_group * kH * kW * 2, h, w), in pixels, y before x.
        grad_output: (N, D, h, w).
        grad_input: (N, C, H, W), written in place.
        grad_offset: As `offset`, written in place.
        weight: (D, C / group, kH, kW).
        columns: Scratch of the C++ version; unused.
        kW: Width of the kernel.
        kH: Height of the kernel.
        dW, dH: Strides along x and y.
        padW, padH: Paddings along x and y, in pixels.
        dilationW, dilationH: Dilations along x and y.
        group: Groups of channels that are convolved apart.
        deformable_group: Groups of channels that share their offsets.
        im2col_step: Bounds the memory of the C++ version; unused.
    """
    geometry = Geometry((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)
    if grad_output.numel():
        gradients = deform_backward(grad_output, input, weight, offset, None, None, geometry, ("input", "offset"))
        grad_input.copy_(gradients.input)
        grad_offset.copy_(gradients.offset)


def deform_conv_backward_parameters(
    input: Tensor, offset: Tensor, grad_output: Tensor, grad_weight: Tensor, columns: Tensor, ones: Tensor,
    kW: int, kH: int, dW: int, dH: int, padW: int, padH: int, dilationW: int, dilationH: int,
    group: int, deformable_group: int, scale: float, im2col_step: int,
) -> None:  # fmt: skip
    """Adds `scale` times the gradient of `deform_conv_forward` for the weight to `grad_weight`.

    Args:
        input: (N, C, H, W).
        offset: (N, deformable_group * kH * kW * 2, h, w), in pixels, y before x.
        grad_output: (N, D, h, w).
        grad_weight: (D, C / group, kH, kW), added to in place.
        columns, ones: Scratch of the C++ version; unused.
        kW: Width of the kernel.
        kH: Height of the kernel.
        dW, dH: Strides along x and y.
        padW, padH: Paddings along x and y, in pixels.
        dilationW, dilationH: Dilations along x and y.
        group: Groups of channels that are convolved apart.
        deformable_group: Groups of channels that share their offsets.
        scale: Factor of the gradient.
        im2col_step: Bounds the memory of the C++ version; unused.
    """
    geometry = Geometry((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)
    if grad_output.numel():
        # This gradient does not depend on the weight's value: its own buffer serves for the shape.
        blank = torch.zeros_like(grad_weight)
        gradients = deform_backward(grad_output, input, blank, offset, None, None, geometry, ("weight",))
        grad_weight.add_(gradients.weight.to(grad_weight.dtype), alpha=scale)


def modulated_deform_conv_forward(
    input: Tensor, weight: Tensor, bias: Tensor, ones: Tensor, offset: Tensor, mask: Tensor, output: Tensor,
    columns: Tensor, kernel_h: int, kernel_w: int, stride_h: int, stride_w: int, pad_h: int, pad_w: int,
    dilation_h: int, dilation_w: int, group: int, deformable_group: int, with_bias: bool,
) -> None:  # fmt: skip
    """Like `deform_conv_forward`, with a bias, and taps scaled by `mask`, (N, deformable_group * kH * kW, h, w).

    Args:
        input: (N, C, H, W).
        weight: (D, C / group, kernel_h, kernel_w).
        bias: (D,).
        ones, columns: Scratch of the C++ version; unused.
        offset: (N, deformable_group * kernel_h * kernel_w * 2, h, w), in pixels, y before x.
        mask: (N, deformable_group * kernel_h * kernel_w, h, w), factor of each tap.
        output: (N, D, h, w), written in place.
        kernel_h, kernel_w: Height and width of the kernel.
        stride_h, stride_w: Strides along y and x.
        pad_h, pad_w: Paddings along y and x, in pixels.
        dilation_h, dilation_w: Dilations along y and x.
        group: Groups of channels that are convolved apart.
        deformable_group: Groups of channels that share their offsets.
        with_bias: Whether `bias` is added.
    """
    geometry = Geometry((stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), group, deformable_group)
    if output.numel():
        output.copy_(deform_forward(input, weight, offset, mask, bias if with_bias else None, geometry))


def modulated_deform_conv_backward(
    input: Tensor, weight: Tensor, bias: Tensor, ones: Tensor, offset: Tensor, mask: Tensor, columns: Tensor,
    grad_input: Tensor, grad_weight: Tensor, grad_bias: Tensor, grad_offset: Tensor, grad_mask: Tensor,
    grad_output: Tensor, kernel_h: int, kernel_w: int, stride_h: int, stride_w: int, pad_h: int, pad_w: int,
    dilation_h: int, dilation_w: int, group: int, deformable_group: int, with_bias: bool,
) -> None:  # fmt: skip
    """Writes the gradients of `modulated_deform_conv_forward` into its five `grad_` arguments.

    Args:
        input: (N, C, H, W).
        weight: (D, C / group, kernel_h, kernel_w).
        bias: (D,).
        ones, columns: Scratch of the C++ version; unused.
        offset: (N, deformable_group * kernel_h * kernel_w * 2, h, w), in pixels, y before x.
        mask: (N, deformable_group * kernel_h * kernel_w, h, w), factor of each tap.
        grad_input, grad_weight, grad_bias, grad_offset, grad_mask: Of the shapes of what they are named after.
        grad_output: (N, D, h, w).
        kernel_h, kernel_w: Height and width of the kernel.
        stride_h, stride_w: Strides along y and x.
        pad_h, pad_w: Paddings along y and x, in pixels.
        dilation_h, dilation_w: Dilations along y and x.
        group: Groups of channels that are convolved apart.
        deformable_group: Groups of channels that share their offsets.
        with_bias: Whether `bias` is added.
    """
    geometry = Geometry((stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), group, deformable_group)
    if grad_output.numel() == 0:
        return
    gradients = deform_backward(grad_output, input, weight, offset, mask, bias if with_bias else None, geometry)
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
