"""A student's frozen batch norms, working in place.

Detectors that start from ImageNet keep the statistics of their backbone's batch norms, and those of caffe's weights
(mmdet's FCOS) their scales and shifts too: such a norm is a multiplication and an addition by constants. PyTorch keeps
the input of every batch norm for its backward pass nevertheless, half of all that a ResNet keeps. A convolution does
not need its own output again, so here the norm writes over it, and a backbone keeps half as many feature maps.

Values and gradients are those of PyTorch's batch norm but for rounding; names in the state dict stay.
"""

from __future__ import annotations

from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from pkdcli.engine.norms import Undo, change_norms
from pkdcli.engine.pooling import quick_pools


class InPlaceNorm(nn.BatchNorm2d):
    """A BatchNorm2d that writes over its input as long as it is in eval mode and nothing of it is trained."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same, normalised with the running statistics."""
        if self.training or self.weight.requires_grad or self.bias.requires_grad:
            return super().forward(x)
        scale = (self.running_var + self.eps).rsqrt_().mul_(self.weight)
        shift = torch.addcmul(self.bias, self.running_mean, scale, value=-1)
        return _Affine.apply(x, scale.view(1, -1, 1, 1), shift.view(1, -1, 1, 1))


class _Affine(torch.autograd.Function):
    """x * scale + shift in place of x, (N, C, H, W), with (1, C, 1, 1) constants."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        ctx.save_for_backward(scale)
        ctx.mark_dirty(x)
        if x.is_cuda or x.dtype != scale.dtype:
            return torch.addcmul(shift, x, scale, out=x)
        return x.mul_(scale).add_(shift)  # a CPU is slow where three tensors are broadcast

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (scale,) = ctx.saved_tensors
        return (gradient * scale).to(gradient.dtype), None, None


def quicken(student: nn.Module) -> None:
    """Make what is frozen in a student quicker: its norms and the pooling of its stem."""
    work_in_place(student)
    quick_pools(student)


def work_in_place(student: nn.Module) -> int:
    """Have the frozen norms behind a detector's convolutions work in place; returns how many there are.

    A convolution that somebody listens to, such as a recorder, keeps its output.
    """
    count = change_norms(student, _in_place, "the student's frozen batch norms can't work in place", _suits)
    if count:
        print_log(f"{count} frozen batch norms of the student work in place", "current")
    return count


def _suits(convolution: nn.Module, norm: nn.Module) -> bool:
    frozen = type(norm) is nn.BatchNorm2d and norm.affine and not any(one.requires_grad for one in norm.parameters())
    return frozen and not convolution._forward_hooks


def _in_place(_convolution: nn.Module, norm: nn.Module) -> Undo:
    norm.__class__ = InPlaceNorm

    def undo() -> None:
        norm.__class__ = nn.BatchNorm2d

    return undo
