"""Focal losses over a sigmoid and over a softmax (mmcv/ops/focal_loss.py; Lin et al., 2017)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

TINY = torch.finfo(torch.float32).tiny  # mmcv's floor under a probability whose logarithm is taken


def _class_weights(weight: Tensor, target: Tensor, like: Tensor) -> Tensor:
    """The weight of each target's class, (N,); 1 without weights, and for the background, which has no class."""
    if weight.numel() == 0:
        return like.new_ones(target.size(0))
    known = (target >= 0) & (target < weight.numel())
    return torch.where(known, weight[target.clamp(0, weight.numel() - 1)], weight.new_ones(()))


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """The loss of every logit.

    Args:
        input: (N, C) logits.
        target: (N,) int64, a class 0 to C - 1; any other number is background.
        weight: (C,) weights of the targets' classes, or empty.
        output: (N, C), written in place.
        gamma: Focusing exponent.
        alpha: Weight of the foreground, 1 - alpha of the background.
    """
    hit = target[:, None] == torch.arange(input.size(1), device=input.device)
    p = input.sigmoid()
    foreground = alpha * (1 - p) ** gamma * -F.logsigmoid(input)
    background = (1 - alpha) * p**gamma * -F.logsigmoid(-input)
    output.copy_(torch.where(hit, foreground, background) * _class_weights(weight, target, input)[:, None])


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """The derivative of every loss by its logit, written into `grad_input`, (N, C).

    Args:
        input: (N, C) logits.
        target: (N,) int64, a class 0 to C - 1; any other number is background.
        weight: (C,) weights of the targets' classes, or empty.
        grad_input: (N, C), written in place.
        gamma: Focusing exponent.
        alpha: Weight of the foreground, 1 - alpha of the background.
    """
    hit = target[:, None] == torch.arange(input.size(1), device=input.device)
    p = input.sigmoid()
    foreground = -alpha * (1 - p) ** gamma * (1 - p - gamma * p * F.logsigmoid(input))
    background = -(1 - alpha) * p**gamma * (gamma * (1 - p) * F.logsigmoid(-input) - p)
    grad_input.copy_(torch.where(hit, foreground, background) * _class_weights(weight, target, input)[:, None])


def softmax_focal_loss_forward(
    softmax: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """The loss of every row.

    Args:
        softmax: (N, C) probabilities.
        target: (N,) int64, 0 to C - 1; a negative one counts nothing.
        weight: (C,) weights of the targets' classes, or empty.
        output: (N,), written in place.
        gamma: Focusing exponent.
        alpha: A factor.
    """
    p = softmax.gather(1, target.clamp(min=0)[:, None])[:, 0]
    loss = -alpha * (1 - p) ** gamma * p.clamp(min=TINY).log()
    loss = loss * _class_weights(weight, target, softmax)
    output.copy_(torch.where(target >= 0, loss, torch.zeros_like(loss)))


def softmax_focal_loss_backward(
    softmax: Tensor, target: Tensor, weight: Tensor, buff: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """The derivative of every row's loss by its logits.

    Args:
        softmax: (N, C) probabilities.
        target: (N,) int64, 0 to C - 1; a negative one counts nothing.
        weight: (C,) weights of the targets' classes, or empty.
        buff: (N,), scratch.
        grad_input: (N, C), written in place.
        gamma: Focusing exponent.
        alpha: A factor.
    """
    p = softmax.gather(1, target.clamp(min=0)[:, None])[:, 0]
    # p times the derivative of the loss by p; the softmax contributes (1 at the target, else 0) minus probability.
    scale = -((1 - p) ** gamma)
    if gamma != 0:  # 0 times an infinite power is not a number at p = 1
        scale = scale + gamma * (1 - p) ** (gamma - 1) * p * p.clamp(min=TINY).log()
    scale = alpha * scale * _class_weights(weight, target, softmax)
    buff.copy_(torch.where(target >= 0, scale, torch.zeros_like(scale)))
    hit = target[:, None] == torch.arange(softmax.size(1), device=softmax.device)
    grad_input.copy_(buff[:, None] * (hit.to(softmax.dtype) - softmax))


OPERATORS = (
    sigmoid_focal_loss_forward,
    sigmoid_focal_loss_backward,
    softmax_focal_loss_forward,
    softmax_focal_loss_backward,
)
