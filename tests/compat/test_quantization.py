"""mmrazor without its quantization."""

from __future__ import annotations

import importlib

import pytest

from pkdcli.errors import ExitCode, PkdError


def test_it_imports_and_refuses_when_used():
    from mmrazor.structures import BackendConfigs, QConfigHandler, get_native_backend_config

    uses = {
        "academic": lambda: BackendConfigs["academic"],
        "QConfigHandler": lambda: QConfigHandler({}),
        "replace_fakequant": lambda: QConfigHandler.replace_fakequant(None, None),
        "get_native_backend_config": get_native_backend_config,
    }
    for name, use in uses.items():
        with pytest.raises(PkdError, match=name) as caught:
            use()
        assert caught.value.code == ExitCode.MISSING
    with pytest.raises(ModuleNotFoundError, match="backend_config"):
        importlib.import_module("mmrazor.structures.quantization.backend_config")


def test_a_quantizer_says_so_when_it_is_built():
    from mmrazor.registry import MODELS

    with pytest.raises(PkdError, match="quantization"):
        MODELS.build({"type": "mmrazor.AcademicQuantizer", "qconfig_mapping": {}})


def test_the_stand_in_offers_what_the_original_does():
    """Every name that the original package exports exists, so no import of it fails."""
    import ast
    from pathlib import Path

    import mmrazor
    from mmrazor.structures import quantization

    folder = Path(mmrazor.__file__).parent / "structures" / "quantization"
    exported = set()
    for file in (folder / "backend_config" / "__init__.py",):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.Assign) and node.targets[0].id == "__all__":
                exported |= set(ast.literal_eval(node.value))
    exported |= {n.name for n in ast.parse((folder / "qconfig.py").read_text()).body if isinstance(n, ast.ClassDef)}
    assert len(exported) == 11
    assert exported == set(quantization.__all__)
