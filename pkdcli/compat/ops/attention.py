"""Multi-scale deformable attention (mmcv/ops/multi_scale_deform_attn.py; Zhu et al., 2021)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pkdcli.compat.ops.widen import widened


def _attend(value: Tensor, shapes: Tensor, starts: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    """The attended values, (N, Q, heads * D), differentiable in value, locations and weights."""
    batch, _, heads, depth = value.shape
    queries = locations.size(1)
    grids = 2 * locations - 1  # grid_sample counts from -1 to 1
    total = value.new_zeros((batch * heads, depth, queries))
    for level, ((height, width), start) in enumerate(zip(shapes.tolist(), starts.tolist(), strict=True)):
        maps = value[:, start : start + height * width].permute(0, 2, 3, 1).reshape(-1, depth, height, width)
        grid = grids[:, :, :, level].transpose(1, 2).flatten(0, 1)  # (N * heads, Q, points, 2)
        sampled = F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        weight = weights[:, :, :, level].transpose(1, 2).flatten(0, 1)  # (N * heads, Q, points)
        total = total + (sampled * weight[:, None]).sum(dim=-1)
    return total.view(batch, heads * depth, queries).transpose(1, 2)


def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Weighs values sampled bilinearly around each query, over all levels.

    Args:
        value: (N, K, heads, D), K the positions of all levels.
        value_spatial_shapes: (L, 2), height and width of each level.
        value_level_start_index: (L,), where each level begins in K.
        sampling_locations: (N, Q, heads, L, P, 2), (x, y) from 0 to 1; outside counts as zero.
        attention_weights: (N, Q, heads, L, P).
        im2col_step: Bounds the memory of the C++ version; unused.

    Returns:
        (N, Q, heads * D).
    """
    tensors = (widened(tensor) for tensor in (sampling_locations, attention_weights))
    output = _attend(widened(value), value_spatial_shapes, value_level_start_index, *tensors)
    return output.to(value.dtype).contiguous()


def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """The gradients of `ms_deform_attn_forward` for its three tensors of numbers.

    Args:
        value: (N, K, heads, D), K the positions of all levels.
        value_spatial_shapes: (L, 2), height and width of each level.
        value_level_start_index: (L,), where each level begins in K.
        sampling_locations: (N, Q, heads, L, P, 2), (x, y) from 0 to 1.
        attention_weights: (N, Q, heads, L, P).
        grad_output: (N, queries, heads * channels).
        grad_value: As `value`, written in place.
        grad_sampling_loc: As `sampling_locations`, written in place.
        grad_attn_weight: As `attention_weights`, written in place.
        im2col_step: Bounds the memory of the C++ version; unused.
    """
    inputs = [widened(t.detach()).requires_grad_() for t in (value, sampling_locations, attention_weights)]
    with torch.enable_grad():
        output = _attend(inputs[0], value_spatial_shapes, value_level_start_index, *inputs[1:])
    gradients = torch.autograd.grad(output, inputs, grad_output.to(output.dtype))
    for target, gradient in zip((grad_value, grad_sampling_loc, grad_attn_weight), gradients, strict=True):
        target.copy_(gradient)


OPERATORS = (ms_deform_attn_forward, ms_deform_attn_backward)
