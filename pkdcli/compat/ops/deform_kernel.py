"""Deformable convolution and its gradients, by torchvision's kernel on a GPU and by `grid_sample` on a CPU.

torchvision's kernel descends from the same one as mmcv's: offsets are laid out alike, (y, x) per kernel tap and group.
On a CPU it is slow (`pkd bench --only operators`), and where an offset is not a number it reads outside the map and
kills the process. Its gradient for the offsets also differs from mmcv's where a tap lies at -1 exactly, as border taps
do before the first step: `deform_offsets` says what mmcv does.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pkdcli.compat.ops.deform_offsets import inside_map, sampling_grid, tap_positions
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


def _as_read(tensor: Tensor, channels: int, size: tuple[int, int]) -> Tensor:
    """Offsets or masks as mmcv's kernel reads them: by the size of the output, from the start of each image's buffer.

    DyHead gives offsets of a finer level than its input's; the kernel takes the first `channels` x `size` values of
    each image, whatever the shape they came in.

    Raises:
        RuntimeError: There are fewer values than the output needs.
    """
    if tuple(tensor.shape[2:]) == size:
        return tensor
    rows, columns = size
    needed = channels * rows * columns
    if tensor[0].numel() < needed:
        raise RuntimeError(
            f"offsets or masks of {tensor.size(2)}x{tensor.size(3)} are too few for an output of {rows}x{columns}"
        )
    return tensor.flatten(1)[:, :needed].view(tensor.size(0), channels, rows, columns)


def _unread(gradient: Tensor | None, like: Tensor | None) -> Tensor | None:
    """The gradient of what `_as_read` was given, of its shape: zero for values that the kernel does not read."""
    if gradient is None or like is None or gradient.shape == like.shape:
        return gradient
    whole = gradient.new_zeros(like.shape)
    whole.view(like.size(0), -1)[:, : gradient[0].numel()] = gradient.flatten(1)
    return whole


def _samples(input: Tensor, y: Tensor, x: Tensor, slopes: bool = False) -> Tensor:
    """Bilinear samples (N, G, C / G, taps, h, w) of `input` (N, C, H, W) at places (N, G, taps, h, w), zero outside."""
    number, channels, height, width = input.shape
    groups, taps, rows, columns = y.shape[1:]
    return F.grid_sample(
        input.reshape(number * groups, channels // groups, height, width),
        sampling_grid(y, x, (height, width), slopes).view(number * groups, taps * rows, columns, 2),
        padding_mode="zeros",
        align_corners=False,
    ).view(number, groups, channels // groups, taps, rows, columns)


def _product(samples: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """The convolution's output (N, D, h, w) from its samples (N, G, C / G, taps, h, w)."""
    number, _, _, _, rows, columns = samples.shape
    samples = samples.reshape(number, geometry.groups, -1, rows * columns)
    # Weights of a model that is laid out channels last can't be viewed as rows.
    output = (weight.reshape(geometry.groups, weight.size(0) // geometry.groups, -1) @ samples).view(
        number, weight.size(0), rows, columns
    )
    return output if bias is None else output + bias.view(1, -1, 1, 1)


def _output_size(input: Tensor, weight: Tensor, geometry: Geometry) -> tuple[int, int]:
    """(h, w) of a convolution's output."""
    return tuple(
        (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
        for size, kernel, stride, pad, dilation in zip(input.shape[2:], weight.shape[2:], *geometry[:3], strict=True)
    )


def _operands(
    input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, geometry: Geometry
) -> tuple[Tensor, Tensor | None]:
    """Offsets and mask of the output's size."""
    size, taps = _output_size(input, weight, geometry), geometry.deform_groups * weight[0, 0].numel()
    return _as_read(offset, 2 * taps, size), None if mask is None else _as_read(mask, taps, size)


def deform_forward(
    input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, bias: Tensor | None, geometry: Geometry
) -> Tensor:
    """A deformable convolution.

    Args:
        input: (N, C, H, W).
        weight: (D, C / groups, kH, kW).
        offset: (N, deform_groups * kH * kW * 2, h, w), in pixels, y before x.
        mask: (N, deform_groups * kH * kW, h, w), factor of each tap; None for 1.
        bias: (D,), or None.
        geometry: How the kernel moves.

    Returns:
        (N, D, h, w).
    """
    offset, mask = _operands(input, weight, offset, mask, geometry)
    if input.device.type != "cpu":
        return torch.ops.torchvision.deform_conv2d(*_arguments(input, weight, offset, mask, bias, geometry))
    wide = widened(input)
    weight, offset, mask, bias = (None if t is None else t.to(wide.dtype) for t in (weight, offset, mask, bias))
    y, x = tap_positions(offset, weight.shape[2:], geometry)
    samples = _samples(wide, y, x)
    if mask is not None:
        samples = samples * mask.reshape(y.shape).unsqueeze(2)
    return _product(samples, weight, bias, geometry)


def deform_backward(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    geometry: Geometry,
    wanted: tuple[str, ...] = Gradients._fields,
) -> Gradients:
    """The gradients of `deform_forward`.

    Args:
        grad_output: (N, D, h, w).
        input: As there.
        weight: As there.
        offset: As there.
        mask: As there.
        bias: As there.
        geometry: How the kernel moves.
        wanted: The gradients that are needed: on a CPU the others are not computed.

    Returns:
        The gradients, None for those that were not computed.
    """
    given_offset, given_mask = offset, mask
    offset, mask = _operands(input, weight, offset, mask, geometry)
    if input.device.type == "cpu":
        found = _cpu_backward(grad_output, input, weight, offset, mask, bias, geometry, wanted)
    else:
        arguments = _arguments(input, weight, offset, mask, bias, geometry)
        found = Gradients(
            *torch.ops.torchvision._deform_conv2d_backward(grad_output.to(arguments[0].dtype), *arguments)
        )
        y, x = tap_positions(offset.to(arguments[0].dtype), weight.shape[2:], geometry)
        inside = inside_map(y, x, input.shape[2:]).unsqueeze(3)
        offsets = found.offset.reshape(*y.shape[:3], 2, *y.shape[3:]) * inside
        found = found._replace(offset=offsets.reshape(offset.shape))
    return found._replace(offset=_unread(found.offset, given_offset), mask=_unread(found.mask, given_mask))


def _cpu_backward(
    grad_output: Tensor, input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, bias: Tensor | None,
    geometry: Geometry, wanted: tuple[str, ...],
) -> Gradients:  # fmt: skip
    wide = widened(input)
    tensors = {"input": wide, "weight": weight, "offset": offset, "mask": mask, "bias": bias}
    leaves = {
        name: None if tensor is None else tensor.detach().to(wide.dtype).requires_grad_(name in wanted)
        for name, tensor in tensors.items()
    }
    with torch.enable_grad():
        y, x = tap_positions(leaves["offset"], weight.shape[2:], geometry)
        samples = _samples(leaves["input"], y, x, slopes="offset" in wanted)
        if mask is not None:
            samples = samples * leaves["mask"].reshape(y.shape).unsqueeze(2)
        output = _product(samples, leaves["weight"], leaves["bias"], geometry)
    sources = [name for name, leaf in leaves.items() if leaf is not None and name in wanted]
    found = torch.autograd.grad(output, [leaves[name] for name in sources], grad_output.to(wide.dtype))
    return Gradients(**{**dict.fromkeys(Gradients._fields), **dict(zip(sources, found, strict=True))})
