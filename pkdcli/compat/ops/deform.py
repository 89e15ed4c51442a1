"""Deformable convolutions, without and with modulation (mmcv/ops/deform_conv.py, modulated_deform_conv.py).

torchvision's kernel descends from the same one as mmcv's: offsets are laid out alike, (y, x) per kernel tap and group.
On a CPU it is slow (its backward takes 7 times what sampling with `grid_sample` and one matrix product take: 290 and
40 ms for 8 x 64 x 24 x 24), and where an offset is not a number it reads outside the map and kills the process.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
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


def _sampled(
    input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, bias: Tensor | None, geometry: Geometry
) -> Tensor:
    """The convolution as bilinear samples, (N, C, taps, h, w), times the weight; tensors of one format."""
    number, channels, height, width = input.shape
    taps_y, taps_x = weight.shape[2:]
    taps, (rows, columns), groups = taps_y * taps_x, offset.shape[2:], geometry.deform_groups
    moves = offset.view(number, groups, taps, 2, rows, columns)
    tap_y = (torch.arange(taps_y, device=input.device) * geometry.dilation[0] - geometry.padding[0]).repeat_interleave(
        taps_x
    )
    tap_x = (torch.arange(taps_x, device=input.device) * geometry.dilation[1] - geometry.padding[1]).repeat(taps_y)
    y = moves[:, :, :, 0] + (tap_y.view(-1, 1, 1) + torch.arange(rows).view(1, -1, 1) * geometry.stride[0]).to(input)
    x = moves[:, :, :, 1] + (tap_x.view(-1, 1, 1) + torch.arange(columns).view(1, 1, -1) * geometry.stride[1]).to(input)
    # grid_sample counts from the edge of the map, -1 to 1; a pixel's centre is half a pixel from there.
    grid = torch.stack(((2 * x + 1) / width - 1, (2 * y + 1) / height - 1), -1)
    samples = F.grid_sample(
        input.reshape(number * groups, channels // groups, height, width),
        grid.view(number * groups, taps * rows, columns, 2),
        padding_mode="zeros",
        align_corners=False,
    ).view(number, groups, channels // groups, taps, rows, columns)
    if mask is not None:
        samples = samples * mask.view(number, groups, 1, taps, rows, columns)
    samples = samples.reshape(number, geometry.groups, channels // geometry.groups * taps, rows * columns)
    output = (weight.view(geometry.groups, weight.size(0) // geometry.groups, -1) @ samples).view(
        number, weight.size(0), rows, columns
    )
    return output if bias is None else output + bias.view(1, -1, 1, 1)


def _forward(
    input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, bias: Tensor | None, geometry: Geometry
) -> Tensor:
    if input.device.type == "cpu":
        wide = widened(input)
        rest = (None if tensor is None else tensor.to(wide.dtype) for tensor in (weight, offset, mask, bias))
        return _sampled(wide, *rest, geometry)
    return torch.ops.torchvision.deform_conv2d(*_arguments(input, weight, offset, mask, bias, geometry))


def _backward(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    geometry: Geometry,
    wanted: tuple[str, ...] = Gradients._fields,
) -> Gradients:
    """The gradients; on a CPU only the wanted ones, None for the others."""
    if input.device.type == "cpu":
        wide = widened(input)
        tensors = {"input": wide, "weight": weight, "offset": offset, "mask": mask, "bias": bias}
        leaves = {
            name: None if tensor is None else tensor.detach().to(wide.dtype).requires_grad_(name in wanted)
            for name, tensor in tensors.items()
        }
        with torch.enable_grad():
            output = _sampled(*leaves.values(), geometry)
        sources = [name for name, leaf in leaves.items() if leaf is not None and name in wanted]
        found = torch.autograd.grad(output, [leaves[name] for name in sources], grad_output.to(wide.dtype))
        return Gradients(**{**dict.fromkeys(Gradients._fields), **dict(zip(sources, found, strict=True))})
    arguments = _arguments(input, weight, offset, mask, bias, geometry)
    return Gradients(*torch.ops.torchvision._deform_conv2d_backward(grad_output.to(arguments[0].dtype), *arguments))


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
        gradients = _backward(grad_output, input, weight, offset, None, None, geometry, ("input", "offset"))
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
        blank = torch.zeros_like(grad_weight)
        gradients = _backward(grad_output, input, blank, offset, None, None, geometry, ("weight",))
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
