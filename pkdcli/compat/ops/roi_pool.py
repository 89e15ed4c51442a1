"""RoIPool (mmcv/ops/roi_pool.py).

In plain torch: torchvision's kernel rounds the corners of a region to whole pixels first, mmcv's does not.
"""

from __future__ import annotations

import torch
from torch import Tensor

EMPTY = -1  # argmax of a cell that holds no pixel


def roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """The maximum of each cell of each region.

    Args:
        input: (N, C, H, W).
        rois: (R, 5): index into N, then corners in image pixels, the far ones included.
        output: (R, C, h, w), written in place; zero where a cell holds no pixel.
        argmax: (R, C, h, w) int32, written in place: the maximum's place in its flattened map, or -1.
        pooled_height: h.
        pooled_width: w.
        spatial_scale: Feature pixels per image pixel.
    """
    _, _, height, width = input.shape
    output.zero_()
    argmax.fill_(EMPTY)
    for region, roi in enumerate(rois):
        start = roi[1:3] * spatial_scale
        extent = (roi[3:5] + 1) * spatial_scale - start
        if not bool((extent > 0).all()):
            continue
        first_x, last_x = _bounds(start[0], extent[0], pooled_width, width)
        first_y, last_y = _bounds(start[1], extent[1], pooled_height, height)
        left, right, top, bottom = (int(edge) for edge in (first_x[0], last_x[-1], first_y[0], last_y[-1]))
        if right <= left or bottom <= top:
            continue
        patch = input[int(roi[0]), :, top:bottom, left:right]
        # Columns first, then rows: of equal values the first in reading order is taken, as mmcv does.
        in_cell = _within(first_x, last_x, left, right)  # (w, X)
        by_row, column = _masked_max(patch[:, :, None], in_cell)  # (C, Y, w)
        in_cell = _within(first_y, last_y, top, bottom)  # (h, Y)
        best, row = _masked_max(by_row.transpose(1, 2)[:, None], in_cell[:, None])  # (C, h, w)
        column = column.gather(1, row)
        filled = (last_y > first_y)[:, None] & (last_x > first_x)
        output[region] = torch.where(filled, best, torch.zeros_like(best))
        place = (row + top) * width + column + left
        argmax[region] = torch.where(filled, place, torch.full_like(place, EMPTY)).to(argmax.dtype)


def roi_pool_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """The gradient of `roi_pool_forward` for its input.

    Args:
        grad_output: (R, C, h, w).
        rois: (R, 5): index into N, then corners in image pixels.
        argmax: (R, C, h, w) int32, each maximum's place in its flattened map, or -1.
        grad_input: (N, C, H, W), written in place.
        pooled_height: h.
        pooled_width: w.
        spatial_scale: Feature pixels per image pixel.
    """
    _, channels, height, width = grad_input.shape
    planes = rois[:, 0].long()[:, None] * channels + torch.arange(channels, device=rois.device)
    index = planes[:, :, None, None] * (height * width) + argmax.long()
    filled = argmax != EMPTY
    flat = torch.zeros_like(grad_input).flatten()
    flat.index_add_(0, index[filled], grad_output[filled].to(flat.dtype))
    grad_input.copy_(flat.view_as(grad_input))


def _bounds(start: Tensor, extent: Tensor, cells: int, size: int) -> tuple[Tensor, Tensor]:
    """First pixel and the pixel after the last of each cell along one axis, both (cells,) within 0 to `size`."""
    steps = torch.arange(cells + 1, device=start.device, dtype=start.dtype)
    edges = steps * (extent / cells) + start
    return edges[:-1].floor().long().clamp(0, size), edges[1:].ceil().long().clamp(0, size)


def _within(first: Tensor, last: Tensor, lowest: int, highest: int) -> Tensor:
    """Which of the pixels `lowest` to `highest` lie in which cell: (cells, pixels) bool."""
    pixels = torch.arange(lowest, highest, device=first.device)
    return (pixels >= first[:, None]) & (pixels < last[:, None])


def _masked_max(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Maximum over the last axis, and where, among the values that the mask lets through."""
    return values.masked_fill(~mask, -torch.inf).max(dim=-1)


OPERATORS = (roi_pool_forward, roi_pool_backward)
