"""Supplies modules that an installed package lacks, or that fail to import, through the import system itself."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from types import ModuleType

from pkdcli.compat import detr, heads


def _fill_extension(module: ModuleType) -> None:
    from pkdcli.compat import extension

    extension.fill(module)


def _fill_quantization(module: ModuleType) -> None:
    from pkdcli.compat import quantization

    quantization.fill(module)


def _fill_model_index(module: ModuleType) -> None:
    """mmpretrain lists its checkpoints with these when it is imported; some releases on PyPI are empty."""
    if module.__name__ == "modelindex.load_model_index":
        module.load = None
    elif module.__name__ == "modelindex.models.Model":
        module.Model = type("Model", (), {})


class StandIn(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds and builds one module, at its first import.

    A finder rather than an entry in `sys.modules`: the module then has a `__spec__`, `importlib.util.find_spec` sees
    it (mmcv looks for its extension that way), and nothing is built for a process that never asks.

    Args:
        name: The module's full name.
        fill: Puts the contents into the new, empty module.
        package: Whether it may have submodules.
    """

    def __init__(self, name: str, fill: Callable[[ModuleType], None], package: bool = False) -> None:
        self.name = name
        self.fill = fill
        self.package = package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, origin="pkdcli.compat", is_package=self.package)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None  # the import system's ordinary empty module

    def exec_module(self, module: ModuleType) -> None:
        self.fill(module)


class KeepRecursionLimit(importlib.abc.MetaPathFinder):
    """Imports some modules as they are, but for the recursion limit that they raise for the whole process.

    mmrazor sets it to a million, for its pruning: from then on an endless recursion, or a JSON file nested too deeply,
    overflows the C stack and kills the process where it should raise a RecursionError.

    Args:
        names: The modules' full names.
    """

    def __init__(self, *names: str) -> None:
        self.names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target) if fullname in self.names else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            limit = sys.getrecursionlimit()
            try:
                execute(module)
            finally:
                sys.setrecursionlimit(limit)

        spec.loader.exec_module = exec_module
        return spec


class Mended(importlib.abc.MetaPathFinder):
    """Imports a module as it is, and then mends what is wrong with it.

    Args:
        name: The module's full name.
        mend: Changes what was imported.
    """

    def __init__(self, name: str, mend: Callable[[ModuleType], None]) -> None:
        self.name = name
        self.mend = mend

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target) if fullname == self.name else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            self.mend(module)

        spec.loader.exec_module = exec_module
        return spec


EXTENSION = StandIn("mmcv._ext", _fill_extension)
QUANTIZATION = StandIn("mmrazor.structures.quantization", _fill_quantization, package=True)
MODEL_INDEX = tuple(
    StandIn(name, _fill_model_index, package=name in ("modelindex", "modelindex.models"))
    for name in ("modelindex", "modelindex.load_model_index", "modelindex.models", "modelindex.models.Model")
)
MENDED = tuple(Mended(name, mend) for name, mend in heads.MENDS.items())
NARROW_DINO = Mended("mmdet.models.layers.transformer.dino_layers", detr.any_width)
LIMIT = KeepRecursionLimit("mmrazor.structures.graph.channel_flow", "mmrazor.models.task_modules.tracer.fx_tracer")


def install() -> None:
    """Puts the finders into the import system, once."""
    # Last: wherever a compiled extension can be found, the ordinary finders have found it already.
    for finder in (EXTENSION, *MODEL_INDEX):
        if finder not in sys.meta_path:
            sys.meta_path.append(finder)
    # First: the package is there, but fails to import.
    if QUANTIZATION not in sys.meta_path:
        sys.meta_path.insert(0, QUANTIZATION)
    for finder in (LIMIT, NARROW_DINO, *MENDED):
        if finder not in sys.meta_path:
            sys.meta_path.insert(0, finder)
