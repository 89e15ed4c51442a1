"""Losses on features normalised per channel: pkd, norm-kl."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from pkdcli.engine.losses.base import FeatureLoss, wide
from pkdcli.engine.losses.parameters import Parameter, checked
from pkdcli.engine.losses.registry import register_loss

EPS = 1e-6
FLOOR = 1e-4


def normalized(x: Tensor, dtype: torch.dtype) -> Tensor:
    """z = (x - mean) / (std + 1e-6) per channel over the m = N*H*W positions, std unbiased: (N, C, H, W) -> (C, m)."""
    x = x.to(dtype).transpose(0, 1).flatten(1)
    var, mean = torch.var_mean(x, dim=1, keepdim=True)
    std = var.sqrt()
    return (x - mean) / torch.where(std > FLOOR, std + EPS, FLOOR + EPS)


@register_loss("pkd")
class PKD(FeatureLoss):
    """mean((z_s - z_t)^2) / 2 over all elements = (1 - r)(m - 1)/m averaged over channels, r being Pearson's."""

    title = "one minus Pearson's correlation, channel by channel"
    source = "PKD (arXiv 2207.02039), eq. 4; mmrazor/models/losses/pkd_loss.py"

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        dtype = wide(student.dtype, teacher.dtype)
        return (normalized(student, dtype) - normalized(teacher, dtype)).square().mean() / 2


@register_loss("norm-kl")
class NormKL(FeatureLoss):
    """T^2 KL(softmax(z_t / T) || softmax(z_s / T)), softmax over the m positions of a channel, mean over channels."""

    title = "KL divergence of the normalised features, softened by a temperature"
    source = "PKD appendix A.3"
    parameters: ClassVar = {"temperature": Parameter("temperature", 50.0, minimum=1, maximum=10000, summary="softens")}

    def __init__(self, weight: float = 1.0, stat_chunk: int | str | None = None, temperature: float = 50.0) -> None:
        super().__init__(weight, stat_chunk)
        self.temperature = float(checked(self.parameters["temperature"], temperature))

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        dtype = wide(student.dtype, teacher.dtype)
        a, b = (normalized(x, dtype) / self.temperature for x in (teacher, student))
        p = a.softmax(1)
        # KL = sum p (expm1(d) - d), d = log q/p: every term is positive, so nothing cancels at large temperatures
        # where the textbook sum p (log p - log q) loses all its digits.
        d = b - a
        d = d - (p * d).sum(1, keepdim=True)
        d = d - torch.log1p((p * torch.expm1(d)).sum(1, keepdim=True))
        return self.temperature**2 * (p * (torch.expm1(d) - d)).sum(1).mean()
