"""The paper's three problems as numbers at one level of one step: magnitude, dominant levels, dominant channels.

Measuring draws no random number and leaves every gradient alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from pkdcli.engine.losses.blocks import FLOOR

TOP = 10


class LevelMeasures(NamedTuple):
    """What was measured at one level in one step; scalars, left on their device.

    Attributes:
        loss: The level's weighted loss.
        r: Pearson's correlation, averaged over the channels.
        grad_norm: Of the loss with respect to the student's level; NaN where there is no way from one to the other.
        top10_share: The ten largest channels' share in the gradient.
        connected: Whether the loss has a gradient with respect to the student's level.
        trainable: Whether the student's level depends on a parameter that is trained.
        constant_student: Share of the student's channels that are constant.
        constant_teacher: Share of the teacher's.
        positions: Positions per channel over the batch.
        detection_grad_norm: Of the detector's own loss with respect to the student's level; None where it is not asked
            for or can't be had.
    """

    loss: Tensor
    r: Tensor
    grad_norm: Tensor
    top10_share: Tensor
    connected: bool
    trainable: bool
    constant_student: Tensor
    constant_teacher: Tensor
    positions: int
    detection_grad_norm: Tensor | None = None


def measure(
    loss: Tensor, level: Tensor, student: Tensor, teacher: Tensor, detection: Tensor | None = None
) -> LevelMeasures:
    """Measure one level of one step, inside the forward pass.

    Args:
        loss: The level's loss, a scalar with its graph.
        level: The student's level as it leaves the neck (N, C, H, W).
        student: The same behind its adapter, or `level` itself.
        teacher: (N, C', H', W').
        detection: The detector's own loss, a scalar with its graph; None where it is not to be measured.
    """
    gradient = level_gradient(loss, level)
    with torch.no_grad(), torch.autocast(level.device.type, enabled=False):
        r, constant_student, constant_teacher = correlation(student, teacher)
        if gradient is None:
            grad_norm = top10_share = torch.full_like(r, torch.nan)
        else:
            channels = torch.linalg.vector_norm(gradient.float(), dim=(0, 2, 3))
            # Undo the scaling of `level_gradient` where float32 holds small numbers well.
            grad_norm = torch.linalg.vector_norm(channels) / max(level.numel(), 1)
            top10_share = channels.topk(min(TOP, len(channels))).values.sum() / channels.sum()
    return LevelMeasures(
        loss=loss.detach(),
        r=r,
        grad_norm=grad_norm,
        top10_share=top10_share,
        connected=gradient is not None,
        trainable=level.requires_grad,
        constant_student=constant_student,
        constant_teacher=constant_teacher,
        positions=teacher.shape[0] * teacher.shape[2] * teacher.shape[3],
        detection_grad_norm=None if detection is None else _norm(detection, level),
    )


def detection_loss(losses: Mapping[str, Any]) -> Tensor | None:
    """The sum of a detector's own losses, as mmengine adds them up; None where there is none.

    Args:
        losses: What the detector returned in mode `loss`: a tensor or several of them by name.
    """
    parts = [
        one.mean()
        for name, value in losses.items()
        if "loss" in name
        for one in ([value] if isinstance(value, Tensor) else value)
    ]
    return sum(parts[1:], parts[0]) if parts else None


def _norm(loss: Tensor, level: Tensor) -> Tensor | None:
    """The norm of a loss's gradient with respect to a level; None where it can't be had from a graph that is kept."""
    try:
        gradient = level_gradient(loss, level)
    except RuntimeError:  # modules that compute their forward pass again (checkpointing) refuse it
        return None
    return None if gradient is None else torch.linalg.vector_norm(gradient.float()) / max(level.numel(), 1)


def level_gradient(loss: Tensor, level: Tensor) -> Tensor | None:
    """The gradient of a loss with respect to the student's level, times the level's number of elements.

    A loss is a mean over the elements, so the factor brings the gradient to a size that float16 can hold. None where
    the loss does not depend on the level.

    Args:
        loss: The level's loss, a scalar with its graph, which is kept.
        level: The student's level as it leaves the neck (N, C, H, W).
    """
    if not (loss.requires_grad and level.requires_grad):
        return None
    return torch.autograd.grad(loss * level.numel(), level, retain_graph=True, allow_unused=True)[0]


def correlation(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pearson's r per channel over all positions of the batch, averaged over the channels.

    Args:
        student: (N, C, H, W); resized bilinearly to the teacher's size, as the losses do.
        teacher: (N, C, H', W').

    Returns:
        r, a channel with a standard deviation below 1e-4 on either side counting as 0, and the shares of such channels
        in the student and in the teacher.
    """
    student, teacher = student.float(), teacher.float()
    if student.shape[2:] != teacher.shape[2:]:
        student = F.interpolate(student, teacher.shape[2:], mode="bilinear")
    s, t = (x - x.mean((0, 2, 3), keepdim=True) for x in (student, teacher))
    norm_s, norm_t = (torch.linalg.vector_norm(x, dim=(0, 2, 3)) for x in (s, t))
    floor = FLOOR * max(s[:, 0].numel() - 1, 1) ** 0.5
    constant_s, constant_t = norm_s < floor, norm_t < floor
    r = (s * t).sum((0, 2, 3)) / (norm_s * norm_t)
    r = torch.where(constant_s | constant_t, torch.zeros_like(r), r).mean()
    return r, constant_s.float().mean(), constant_t.float().mean()
