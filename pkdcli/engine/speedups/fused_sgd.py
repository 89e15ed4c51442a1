"""SGD that goes over each weight, its gradient and its momentum once, on a CPU.

PyTorch's own way there are three passes; its fused kernel needs one, but takes for granted that the three tensors are
laid out alike, and steps to wrong weights without a word where they are not. On a GPU the choice is left to PyTorch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer


def use_fused_sgd(optimizer: Optimizer) -> None:
    """Have an optimizer's next step go over the weights once, if it is SGD's and all is laid out alike."""
    if type(optimizer) is not SGD:
        return
    for group in optimizer.param_groups:
        weights = [weight for weight in group["params"] if weight.grad is not None]
        if any(weight.device.type != "cpu" for weight in weights):
            continue
        momenta = (optimizer.state[weight].get("momentum_buffer") for weight in weights)
        group["fused"] = all(
            _alike(weight, weight.grad) and (momentum is None or _alike(weight, momentum))
            for weight, momentum in zip(weights, momenta, strict=True)
        )


def _alike(weight: Tensor, other: Tensor) -> bool:
    """Whether the same number of bytes from the start leads to the same place in both."""
    if other.layout != torch.strided or (other.dtype, other.device) != (weight.dtype, weight.device):
        return False
    if other.stride() == weight.stride():
        return True
    # Of a dimension with one place the stride says nothing.
    steps = zip(weight.shape, weight.stride(), other.stride(), strict=True)
    return all(ours == theirs for size, ours, theirs in steps if size > 1)
