"""What mmcv reports about its build."""

from __future__ import annotations


def get_compiler_version() -> str:
    """The compiler of the operators: none."""
    return "none (pkdcli.compat over torchvision)"


def get_compiling_cuda_version() -> str:
    """The CUDA version of the operators: torchvision's, so torch's."""
    import torch

    return torch.version.cuda or "not available"


OPERATORS = (get_compiler_version, get_compiling_cuda_version)
