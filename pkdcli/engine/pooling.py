"""The pooling in a ResNet's stem where nothing is learned from it: in a teacher, and below a student's frozen stage.

PyTorch's max pooling on a CPU looks for the place of each maximum too, one number at a time, which only a backward pass
needs: 10 ms of a step for two images of 256x320. The maximum of a square is that of its rows' maxima.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class StemPool(nn.MaxPool2d):
    """A MaxPool2d of 3x3 at every second position, which takes rows and columns one after the other where it may."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, ceil(H / 2), ceil(W / 2)); the same numbers as PyTorch's."""
        if x.requires_grad or x.device.type != "cpu" or x.dim() != 4 or not x.is_contiguous():
            return super().forward(x)
        return halved(halved(x, 2), 3)


def halved(x: Tensor, dim: int) -> Tensor:
    """The maxima of x[-1:2], x[1:4], x[3:6], ... along one dimension."""
    even, odd = (x[(slice(None),) * dim + (slice(first, None, 2),)] for first in (0, 1))
    out = even.clone(memory_format=torch.contiguous_format)
    after, before = out.narrow(dim, 0, odd.shape[dim]), out.narrow(dim, 1, out.shape[dim] - 1)
    torch.maximum(after, odd, out=after)
    torch.maximum(before, odd.narrow(dim, 0, before.shape[dim]), out=before)
    return out


def quick_pools(detector: nn.Module) -> None:
    """Have the stems' pooling be quick where nothing is learned from it."""
    for module in detector.modules():
        if type(module) is nn.MaxPool2d and _is_stem(module):
            module.__class__ = StemPool


def _is_stem(pool: nn.MaxPool2d) -> bool:
    settings = (pool.kernel_size, pool.stride, pool.padding, pool.dilation)
    return settings == (3, 2, 1, 1) and not pool.ceil_mode and not pool.return_indices
