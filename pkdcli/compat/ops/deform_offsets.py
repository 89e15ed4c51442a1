"""Where the taps of a deformable convolution lie, so that `grid_sample` has the slopes of mmcv's kernel there.

At a whole pixel bilinear interpolation has a kink, and every deformable convolution begins there (offsets of zero). The
kernel takes the slope of the floor's side, and none at or beyond -1 and the far edge (`get_coordinate_weight` in mmcv's
ops/csrc/common/cuda/deform_conv_cuda_kernel.cuh). `grid_sample` by itself would take either side, as its normalised
grid happens to round, and has a slope at -1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

OUTSIDE = -2.0  # a row or column without a pixel in reach: value and slope are zero
ROUNDING = 0.5
"""What the normalised grid can be off by at a map of one pixel, in units of the format's epsilon; grows with the map.

Found by trying every whole pixel of maps up to 1,400 wide: 0.375 is enough (tests/compat/ops/test_deform_offsets.py).
"""


class Moves(Protocol):
    """How the kernel moves; pairs are (vertical, horizontal)."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    deform_groups: int


def tap_positions(offset: Tensor, kernel: Sequence[int], geometry: Moves) -> tuple[Tensor, Tensor]:
    """Rows and columns of the taps in pixels of the input, (N, G, taps, h, w) each.

    Args:
        offset: (N, G * taps * 2, h, w), in pixels, y before x.
        kernel: (height, width) of the kernel.
        geometry: How it moves.
    """
    (taps_y, taps_x), (rows, columns) = kernel, offset.shape[2:]
    moves = offset.reshape(offset.size(0), geometry.deform_groups, taps_y * taps_x, 2, rows, columns)
    tap_y = torch.arange(taps_y, device=offset.device).mul_(geometry.dilation[0]).repeat_interleave(taps_x)
    tap_x = torch.arange(taps_x, device=offset.device).mul_(geometry.dilation[1]).repeat(taps_y)
    row = torch.arange(rows, device=offset.device).mul_(geometry.stride[0]) - geometry.padding[0]
    column = torch.arange(columns, device=offset.device).mul_(geometry.stride[1]) - geometry.padding[1]
    y = (tap_y.view(-1, 1, 1) + row.view(1, -1, 1)).to(offset.dtype)
    x = (tap_x.view(-1, 1, 1) + column.view(1, 1, -1)).to(offset.dtype)
    return moves[:, :, :, 0] + y, moves[:, :, :, 1] + x


def inside_map(y: Tensor, x: Tensor, size: Sequence[int]) -> Tensor:
    """Which places have a slope, bool of their shape: between -1 and the far edge, both left out; NaN is outside.

    Args:
        y, x: Coordinates in pixels, of any one shape.
        size: (height, width) of the map.
    """
    height, width = size
    return (y > -1) & (x > -1) & (y < height) & (x < width)


def sampling_grid(y: Tensor, x: Tensor, size: Sequence[int], slopes: bool = False) -> Tensor:
    """The places in the units of `grid_sample(align_corners=False)`, (..., 2), x before y.

    Args:
        y: Rows in pixels, any shape.
        x: Columns, of the same shape.
        size: (height, width) of the map.
        slopes: Move places at a whole pixel to the floor's side of it, by as little as the grid's rounding: less than
            1e-6 of a pixel for each pixel of the map's size in float32.
    """
    inside = inside_map(y, x, size)
    units = []
    for place, length in ((x, size[1]), (y, size[0])):
        if slopes:
            room = ROUNDING * length * torch.finfo(place.dtype).eps
            low = place.detach().floor()
            moved = low + (place.detach() - low).clamp(room, 1 - room)
            place = place + (moved - place.detach())  # clamp itself has no slope where it acts
        place = torch.where(inside, place, OUTSIDE)
        # grid_sample counts from the edge of the map, -1 to 1; a pixel's centre is half a pixel from there.
        units.append((2 * place + 1) / length - 1)
    return torch.stack(units, -1)
