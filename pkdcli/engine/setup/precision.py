"""Full float32 where two results are compared: GPUs may multiply float32 with 10 bits of mantissa (TF32).

PyTorch lets cuDNN's convolutions do so by default, which moves the features of a deep detector by 5e-4 to 2e-3 of
themselves: nothing that is equal but for rounding can be told from what is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def full_float32() -> Iterator[None]:
    """No TF32 (nor bfloat16 of oneDNN's) inside float32 convolutions and matrix products; then all as it was."""
    before = [(place, name, getattr(place, name)) for place, name, _ in _switches()]
    try:
        for place, name, off in _switches():
            setattr(place, name, off)
        yield
    finally:
        for place, name, value in before:
            setattr(place, name, value)


def _switches() -> list[tuple[Any, str, Any]]:
    """Where it is switched off, by what name and value; from PyTorch 2.9 an operator each, which older ones lack."""
    backends = torch.backends
    if hasattr(backends.cudnn, "conv"):  # never both interfaces: PyTorch refuses to read one where the other differs
        places = [backends.cudnn.conv, backends.cuda.matmul]
        places += [getattr(backends.mkldnn, name) for name in ("conv", "matmul") if hasattr(backends.mkldnn, name)]
        return [(place, "fp32_precision", "ieee") for place in places]
    return [(backends.cudnn, "allow_tf32", False), (backends.cuda.matmul, "allow_tf32", False)]
