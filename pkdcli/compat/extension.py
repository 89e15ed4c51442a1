"""The stand-in for mmcv's compiled extension, `mmcv._ext`.

mmcv's own Python wrappers (`mmcv/ops/*.py`) stay in charge of arguments, autograd and modules, and call this in place
of the C++ functions, with the same names, keyword arguments and in-place outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

from pkdcli.errors import ExitCode, PkdError

MMCV = "2.1.0"  # the release whose wrappers this follows


def refuse(name: str) -> NoReturn:
    """Says that an operator is absent, and how to get it.

    Raises:
        PkdError: Always, with code MISSING.
    """
    import torch

    cuda = torch.version.cuda
    build = f"CUDA {cuda}" if cuda else "CPU"
    raise PkdError(
        f"mmcv's operator {name!r} exists only in a compiled mmcv, and none is installed.",
        f"Compile mmcv for this PyTorch ({torch.__version__}, {build}; a C++ compiler is needed): "
        f"pip uninstall -y mmcv-lite && MMCV_WITH_OPS=1 pip install --no-build-isolation --no-binary mmcv "
        f"mmcv=={MMCV}\nor choose a model without this operator (`pkd list detectors` names those that work).",
        ExitCode.MISSING,
    )


def absent(name: str) -> Callable[..., NoReturn]:
    """A function that stands for the operator `name` and refuses when it is called, not before."""

    def operator(*args: Any, **kwargs: Any) -> NoReturn:
        refuse(name)

    operator.__name__ = operator.__qualname__ = name
    operator.__doc__ = f"mmcv's {name}: only in a compiled mmcv."
    return operator


def fill(module: ModuleType) -> None:
    """Puts every operator there is into the stand-in module; any other name gives one that refuses when called."""
    from pkdcli.compat import ops

    def missing(name: str) -> Callable[..., NoReturn]:
        if name.startswith("_"):
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        return absent(name)

    vars(module).update(ops.OPERATORS, __doc__=__doc__, __getattr__=missing)
