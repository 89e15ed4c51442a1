"""A student's batch norms that keep their statistics, at half the memory.

Detectors that start from ImageNet keep the statistics of their backbone's batch norms: such a norm multiplies and adds
numbers per channel. PyTorch keeps the input of every batch norm for its backward pass nevertheless, which is half of
all feature maps that a ResNet keeps, and goes over them once more each way.

- Where scale and shift are frozen too (caffe's weights, as in mmdet's FCOS; the frozen stages of all), the gradient
  needs neither input nor output, and a convolution does not need its own output again: the norm writes over it.
- Where they are trained, the convolution is given weights times scale, and the shift as its bias, whose gradients are
  found among the weights: "Tune-Mode ConvBN Blocks For Efficient Transfer Learning" (arXiv 2305.11624). mmengine has
  the formula; its own way of turning that on inlines modules, which recorders could no longer listen to.

Values and gradients are those of PyTorch's batch norm but for rounding; names in the state dict stay. A norm in
training mode, which learns its statistics, is PyTorch's own.
"""

from __future__ import annotations

from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model.efficient_conv_bn_eval import efficient_conv_bn_eval_forward
from torch import Tensor, nn

from pkdcli.engine.speedups.conv_norms import Undo, change_norms
from pkdcli.engine.speedups.cpu_modules import SparseConv, quicken_modules


def apply_speedups(student: nn.Module) -> None:
    """Make a student quicker: the norms whose statistics are frozen, and modules that PyTorch is slow at."""
    in_place, folded = quicken_norms(student)
    if in_place or folded:
        print_log(f"batch norms: {in_place} work in place, {folded} within their convolutions", "current")
    quicken_modules(student)


def quicken_norms(student: nn.Module) -> tuple[int, int]:
    """Change the norms behind a detector's convolutions; returns how many work in place, and how many within those.

    Where somebody listens to a convolution or its norm, such as a recorder, both stay.
    """
    change_norms(student, _change, "batch norms are left as they are", _suits)
    kinds = [type(module) for module in student.modules()]
    return kinds.count(InPlaceNorm), kinds.count(NormInConv)


def _suits(convolution: nn.Module, norm: nn.Module) -> bool:
    plain = type(norm) is nn.BatchNorm2d and type(convolution) is nn.Conv2d
    return plain and norm.affine and not convolution._forward_hooks and not norm._forward_hooks


def _change(convolution: nn.Module, norm: nn.Module) -> Undo:
    if not any(one.requires_grad for one in norm.parameters()):
        norm.__class__ = InPlaceNorm
    else:
        convolution.__class__, norm.__class__ = NormedConv, NormInConv
        convolution.norm = (norm,)

    def undo() -> None:
        convolution.__class__, norm.__class__ = nn.Conv2d, nn.BatchNorm2d
        vars(convolution).pop("norm", None)
        vars(norm).pop("_kept", None)

    return undo


class InPlaceNorm(nn.BatchNorm2d):
    """A BatchNorm2d that writes over its input as long as it is in eval mode and nothing of it is trained."""

    _kept: tuple[tuple[Tensor, ...], list[tuple[int, int]], tuple[Tensor, Tensor]] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same, normalised with the running statistics."""
        if self.training or self.weight.requires_grad or self.bias.requires_grad:
            self._kept = None
            return super().forward(x)
        return _Affine.apply(x, *self.scale_and_shift())

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """What the frozen numbers come to, (1, C, 1, 1) each: made again only when one of them has changed."""
        of = (self.weight, self.bias, self.running_mean, self.running_var)
        marks = [(tensor.data_ptr(), tensor._version) for tensor in of]
        kept = self._kept
        if kept is None or kept[1] != marks or any(old is not new for old, new in zip(kept[0], of, strict=True)):
            with torch.no_grad():
                scale = (self.running_var + self.eps).rsqrt() * self.weight
                shift = self.bias - self.running_mean * scale
            kept = self._kept = of, marks, (scale.view(1, -1, 1, 1), shift.view(1, -1, 1, 1))
        return kept[2]

    def _apply(self, *args: Any, **kwargs: Any) -> nn.Module:
        self._kept = None  # another device or type
        return super()._apply(*args, **kwargs)


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
        if torch.is_grad_enabled():  # to be differentiated again
            return (gradient * scale).to(gradient.dtype), None, None
        return torch.mul(gradient, scale, out=torch.empty_like(gradient)), None, None


class NormedConv(SparseConv):
    """A Conv2d that does its norm's work as long as that is in eval mode.

    Attributes:
        norm: The one norm behind it, in a tuple, since it is no submodule.
    """

    norm: tuple[nn.BatchNorm2d]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D, H', W'), normalised."""
        (norm,) = self.norm
        return super().forward(x) if norm.training else efficient_conv_bn_eval_forward(norm, self, x)


class NormInConv(nn.BatchNorm2d):
    """A BatchNorm2d whose work a NormedConv has done already, in eval mode."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), normalised -> the same."""
        return super().forward(x) if self.training else x
