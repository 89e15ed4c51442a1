"""CARAFE, content-aware upsampling (mmcv/ops/carafe.py; Wang et al., 2019)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pkdcli.compat.ops.widen import widened


def _reassemble(features: Tensor, masks: Tensor, kernel_size: int, group_size: int, scale_factor: int) -> Tensor:
    """The upsampled features, (N, C, sH, sW), differentiable in both tensors."""
    batch, channels, height, width = features.shape
    taps = kernel_size * kernel_size
    patches = F.unfold(features, kernel_size, padding=kernel_size // 2)
    patches = patches.view(batch, group_size, channels // group_size, taps, height, width)
    masks = masks.view(batch, group_size, taps, height, scale_factor, width, scale_factor)
    output = torch.einsum("ngckhw,ngkhawb->ngchawb", patches, masks)
    return output.reshape(batch, channels, height * scale_factor, width * scale_factor)


def _gradients(
    grad_output: Tensor, features: Tensor, masks: Tensor, kernel_size: int, group_size: int, scale_factor: int
) -> tuple[Tensor, Tensor]:
    inputs = [widened(tensor.detach()).requires_grad_() for tensor in (features, masks)]
    with torch.enable_grad():
        output = _reassemble(*inputs, kernel_size, group_size, scale_factor)
    return torch.autograd.grad(output, inputs, grad_output.to(output.dtype))


def carafe_naive_forward(
    features: Tensor, masks: Tensor, output: Tensor, kernel_size: int, group_size: int, scale_factor: int
) -> None:
    """Makes every output pixel a weighted sum of the input pixels around the one it comes from.

    Args:
        features: (N, C, H, W).
        masks: (N, kernel_size^2 * group_size, sH, sW), the weights of each output pixel.
        output: (N, C, sH, sW), written in place.
        kernel_size: Side of the neighbourhood, odd; outside the map counts as zero.
        group_size: Groups of channels with weights of their own.
        scale_factor: s.
    """
    output.copy_(_reassemble(widened(features), widened(masks), kernel_size, group_size, scale_factor))


def carafe_naive_backward(
    grad_output: Tensor, features: Tensor, masks: Tensor, grad_input: Tensor, grad_masks: Tensor,
    kernel_size: int, group_size: int, scale_factor: int,
) -> None:  # fmt: skip
    """The gradients of `carafe_naive_forward` for features and masks.

    Args:
        grad_output: (N, C, sH, sW).
        features: (N, C, H, W).
        masks: (N, kernel_size^2 * group_size, sH, sW), the weights of each output pixel.
        grad_input: As `features`, written in place.
        grad_masks: As `masks`, written in place.
        kernel_size: Side of the neighbourhood, odd.
        group_size: Groups of channels with weights of their own.
        scale_factor: s.
    """
    by_features, by_masks = _gradients(grad_output, features, masks, kernel_size, group_size, scale_factor)
    grad_input.copy_(by_features)
    grad_masks.copy_(by_masks)


def carafe_forward(
    features: Tensor, masks: Tensor, rfeatures: Tensor, routput: Tensor, rmasks: Tensor, output: Tensor,
    kernel_size: int, group_size: int, scale_factor: int,
) -> None:  # fmt: skip
    """Like `carafe_naive_forward`.

    Args:
        features: (N, C, H, W).
        masks: (N, kernel_size^2 * group_size, sH, sW), the weights of each output pixel.
        rfeatures: As `features`, written in place: what mmcv keeps for the backward pass.
        routput, rmasks: Scratch of the C++ version; unused.
        output: (N, C, sH, sW), written in place.
        kernel_size: Side of the neighbourhood, odd.
        group_size: Groups of channels with weights of their own.
        scale_factor: s.
    """
    carafe_naive_forward(features, masks, output, kernel_size, group_size, scale_factor)
    rfeatures.copy_(features)


def carafe_backward(
    grad_output: Tensor, rfeatures: Tensor, masks: Tensor, rgrad_output: Tensor, rgrad_input_hs: Tensor,
    rgrad_input: Tensor, rgrad_masks: Tensor, grad_input: Tensor, grad_masks: Tensor,
    kernel_size: int, group_size: int, scale_factor: int,
) -> None:  # fmt: skip
    """The gradients of `carafe_forward` for features and masks.

    Args:
        grad_output: (N, C, sH, sW).
        rfeatures: (N, C, H, W), the features as `carafe_forward` has kept them.
        masks: (N, kernel_size^2 * group_size, sH, sW), the weights of each output pixel.
        rgrad_output, rgrad_input_hs, rgrad_input, rgrad_masks: Scratch of the C++ version; unused.
        grad_input: (N, C, H, W), written in place.
        grad_masks: As `masks`, written in place.
        kernel_size: Side of the neighbourhood, odd.
        group_size: Groups of channels with weights of their own.
        scale_factor: s.
    """
    carafe_naive_backward(grad_output, rfeatures, masks, grad_input, grad_masks, kernel_size, group_size, scale_factor)


OPERATORS = (carafe_naive_forward, carafe_naive_backward, carafe_forward, carafe_backward)
