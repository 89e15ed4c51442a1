"""RoIAlign, by average or by maximum (mmcv/ops/roi_align.py)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pkdcli.compat.ops.widen import widened

MAX, AVG = 0, 1
NOWHERE = -2  # argmax of a region without extent: outside the map, where weights are zero
SAMPLES_AT_ONCE = 1 << 22  # bounds the memory of the maximum: values gathered per step


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Samples each region bilinearly on a grid and pools the samples of each cell.

    Args:
        input: (N, C, H, W).
        rois: (R, 5): index into N, then corners in image pixels.
        output: (R, C, h, w), written in place.
        argmax_y: (R, C, h, w), the row of each maximum, written in place; unused by averages.
        argmax_x: The column of each maximum, likewise.
        aligned_height: h.
        aligned_width: w.
        spatial_scale: Feature pixels per image pixel.
        sampling_ratio: Samples per cell and axis; 0: as many as the cell has pixels, rounded up.
        pool_mode: 0 maximum, 1 average. A region without extent gives zero in both.
        aligned: Shift by half a pixel, and do not enlarge regions below one pixel.
    """
    if output.numel() == 0:
        return
    if pool_mode == AVG:
        pooled = torch.ops.torchvision.roi_align(
            widened(input), widened(rois).to(widened(input).dtype), spatial_scale, aligned_height, aligned_width,
            sampling_ratio, aligned,
        )  # fmt: skip
        output.copy_(pooled)
        return
    argmax_y.fill_(NOWHERE)
    argmax_x.fill_(NOWHERE)
    size = (aligned_height, aligned_width)
    for some, y, x in _grids(rois, *size, spatial_scale, sampling_ratio, aligned, input.size(1)):
        values = _sample(input, rois[some, 0].long(), y, x)  # (r, C, h, w, samples)
        best, where = values.max(dim=-1)
        output[some] = best
        channels = (-1, input.size(1), -1, -1, -1)
        argmax_y[some] = y[:, None].expand(channels).gather(-1, where[..., None])[..., 0].to(argmax_y.dtype)
        argmax_x[some] = x[:, None].expand(channels).gather(-1, where[..., None])[..., 0].to(argmax_x.dtype)


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """The gradient of `roi_align_forward` for its input.

    Args:
        grad_output: (R, C, h, w).
        rois: (R, 5): index into N, then corners in image pixels.
        argmax_y, argmax_x: (R, C, h, w), row and column of each maximum; unused by averages.
        grad_input: (N, C, H, W), written in place.
        aligned_height: h.
        aligned_width: w.
        spatial_scale: Feature pixels per image pixel.
        sampling_ratio: Samples per cell and axis; 0: as many as the cell has pixels, rounded up.
        pool_mode: 0 maximum, 1 average.
        aligned: Shift by half a pixel, and do not enlarge regions below one pixel.
    """
    if grad_output.numel() == 0:
        return
    if pool_mode == AVG:
        batch, channels, height, width = grad_input.shape
        wide = widened(grad_output)
        grad = torch.ops.torchvision._roi_align_backward(
            wide, widened(rois).to(wide.dtype), spatial_scale, aligned_height, aligned_width,
            batch, channels, height, width, sampling_ratio, aligned,
        )  # fmt: skip
        grad_input.copy_(grad)
        return
    _, channels, height, width = grad_input.shape
    planes = rois[:, 0].long()[:, None] * channels + torch.arange(channels, device=rois.device)
    flat = torch.zeros(grad_input.numel(), dtype=widened(grad_input).dtype, device=grad_input.device)
    for index, weight in _corners(argmax_y, argmax_x, height, width):
        index = planes[:, :, None, None] * (height * width) + index
        flat.index_add_(0, index.flatten(), (weight * grad_output).flatten().to(flat.dtype))
    grad_input.copy_(flat.view_as(grad_input))


def _grids(
    rois: Tensor, height: int, width: int, scale: float, ratio: int, aligned: bool, channels: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Regions with the same number of samples per cell, and the samples' places.

    Yields:
        The regions' indices, (r,), and the rows and columns of their samples, (r, h, w, samples) each.
    """
    start = rois[:, 1:3] * scale - (0.5 if aligned else 0.0)
    extent = rois[:, 3:5] * scale - (0.5 if aligned else 0.0) - start
    if not aligned:
        extent = extent.clamp(min=1.0)
    cells = rois.new_tensor([width, height])
    cell = extent / cells
    counts = torch.full_like(cell, ratio) if ratio > 0 else cell.ceil()
    counts = counts.long()
    for pair in torch.unique(counts, dim=0).tolist():
        if min(pair) <= 0:
            continue
        across, down = pair
        group = (counts == counts.new_tensor(pair)).all(dim=1).nonzero()[:, 0]
        step = max(1, SAMPLES_AT_ONCE // (channels * height * width * across * down))
        for some in group.split(step):
            x = _places(start[some, 0], cell[some, 0], width, across)  # (r, w, across)
            y = _places(start[some, 1], cell[some, 1], height, down)
            shape = (len(some), height, width, down, across)
            yield (
                some,
                y[:, :, None, :, None].expand(shape).flatten(3),
                x[:, None, :, None, :].expand(shape).flatten(3),
            )


def _places(start: Tensor, cell: Tensor, cells: int, samples: int) -> Tensor:
    """Evenly spaced samples within each cell of one axis: (r, cells, samples) from (r,) and (r,)."""
    start, cell = start[:, None, None], cell[:, None, None]
    inner = torch.arange(samples, device=start.device, dtype=start.dtype) + 0.5
    outer = torch.arange(cells, device=start.device, dtype=start.dtype)[:, None]
    # In mmcv's order: rounded otherwise, a sample on the very border might fall outside.
    return start + outer * cell + inner * cell / samples


def _corners(y: Tensor, x: Tensor, height: int, width: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The four pixels around each place, as flat indices, and their bilinear weights; weight 0 outside the map.

    A place up to one pixel beyond the first or last one takes that one's value; farther away it counts as outside.
    """
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    top, left = y.floor().long(), x.floor().long()
    bottom, right = (top + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    down, across = y - top, x - left
    for row, weight_y in ((top, 1 - down), (bottom, down)):
        for column, weight_x in ((left, 1 - across), (right, across)):
            yield row * width + column, weight_y * weight_x * inside


def _sample(input: Tensor, batch: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Bilinear samples, (r, C, h, w, samples), of the maps `input[batch]` at places (r, h, w, samples)."""
    _, channels, height, width = input.shape
    planes = batch[:, None] * channels + torch.arange(channels, device=input.device)
    planes = planes[:, :, None, None, None] * (height * width)
    flat = input.flatten()
    return sum(flat[planes + index[:, None]] * weight[:, None] for index, weight in _corners(y, x, height, width))


OPERATORS = (roi_align_forward, roi_align_backward)
