"""Number formats that torchvision's kernels do not take."""

from __future__ import annotations

import torch
from torch import Tensor


def widened(tensor: Tensor) -> Tensor:
    """The tensor as float32 where torchvision has no kernel for its format: bfloat16, and half precision on a CPU."""
    if tensor.dtype == torch.bfloat16 or (tensor.dtype == torch.float16 and tensor.device.type == "cpu"):
        return tensor.float()
    return tensor
