"""Stands in for `mmrazor.structures.quantization`, which breaks on current torch.ao.

mmrazor 1.0.0 builds tables of torch.ao's quantized modules when it is imported, and fails on any torch that has moved
or removed them (`torch.nn.quantized._reference` and others). Distillation uses none of it.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NoReturn

from pkdcli.errors import ExitCode, PkdError

FUNCTIONS = tuple(
    f"get_{backend}_backend_config{suffix}"
    for backend in ("academic", "native", "openvino", "tensorrt")
    for suffix in ("", "_dict")
)


def refuse(name: str) -> NoReturn:
    """Says that a part of mmrazor's quantization is absent.

    Raises:
        PkdError: Always, with code MISSING.
    """
    raise PkdError(
        f"mmrazor's quantization ({name}) is not available: mmrazor 1.0.0's does not work with this PyTorch.",
        "Distillation does not need it. To quantize, use mmrazor with the PyTorch it was written for (1.13).",
        ExitCode.MISSING,
    )


class _Absent:
    """A class that can be named and imported, but not used."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        refuse(type(self).__name__)


class QConfigHandler(_Absent):
    """mmrazor's QConfigHandler, absent."""

    @staticmethod
    def replace_fakequant(*args: Any, **kwargs: Any) -> NoReturn:
        refuse("QConfigHandler.replace_fakequant")


class QSchemeHandler(_Absent):
    """mmrazor's QSchemeHandler, absent."""


class _Backends(dict):
    """mmrazor's table of backends: empty, and saying why when looked into."""

    def __missing__(self, key: str) -> NoReturn:
        refuse(f"backend {key!r}")


def _function(name: str) -> Any:
    def absent(*args: Any, **kwargs: Any) -> NoReturn:
        refuse(name)

    absent.__name__ = absent.__qualname__ = name
    return absent


def fill(module: ModuleType) -> None:
    """Puts the absent names into the stand-in module."""
    contents: dict[str, Any] = {name: _function(name) for name in FUNCTIONS}
    contents |= {"BackendConfigs": _Backends(), "QConfigHandler": QConfigHandler, "QSchemeHandler": QSchemeHandler}
    vars(module).update(contents, __all__=sorted(contents), __doc__=__doc__)
