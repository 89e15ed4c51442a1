"""How the stand-in is found, when it refuses, and that a compiled extension is left alone."""

from __future__ import annotations

import importlib.util
import pkgutil
import re
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import mmcv
import pytest
import torch

from pkdcli.compat import activate
from pkdcli.errors import ExitCode, PkdError


def run(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a new process, with folders put in front of its search path."""
    lines = f"import sys; sys.path[:0] = {[str(p) for p in path]!r}\n" + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, timeout=300, check=False)


def wanted() -> set[str]:
    """Every function that mmcv's wrappers load from the extension."""
    names: set[str] = set()
    for file in (Path(mmcv.__file__).parent / "ops").glob("*.py"):
        for listed in re.findall(r"load_ext\(\s*'_ext',\s*\[(.*?)\]", file.read_text(), re.DOTALL):
            names |= set(re.findall(r"'(\w+)'", listed))
    return names


def test_mmcv_finds_its_extension():
    from mmcv.utils.ext_loader import check_ops_exist

    assert importlib.util.find_spec("mmcv._ext").origin == "pkdcli.compat"
    if sys.version_info < (3, 14):  # the function mmcv calls is gone from pkgutil after that
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            assert pkgutil.find_loader("mmcv._ext") is not None
            assert check_ops_exist()
    assert importlib.util.find_spec("mmcv._other") is None


def test_every_operator_of_the_issue_is_there_and_the_others_refuse_only_when_called():
    from mmcv import _ext

    families = ("nms", "softnms", "nms_match", "roi_align_", "roi_pool_", "deform_conv_", "modulated_deform_conv_",
                "sigmoid_focal_loss_", "softmax_focal_loss_", "ms_deform_attn_", "carafe_")  # fmt: skip
    names = wanted()
    assert len(names) > 80
    refusing = set()
    for name in names:
        operator = getattr(_ext, name)  # never fails, so mmcv.ops can be imported
        if operator.__doc__ == f"mmcv's {name}: only in a compiled mmcv.":
            refusing.add(name)
    provided = {n for n in names if any(n == f or (f.endswith("_") and n.startswith(f)) for f in families)}
    provided = {name for name in provided if "rotated" not in name}  # roi_align_rotated_ is another family
    assert len(provided) == 22
    assert names - refusing - {"get_compiler_version", "get_compiling_cuda_version"} == provided


def test_a_missing_operator_says_what_and_how():
    from mmcv.ops import border_align

    maps = torch.zeros(1, 8, 4, 4)
    with pytest.raises(PkdError) as caught:
        border_align(maps, torch.zeros(1, 16, 4), 10)
    assert caught.value.code == ExitCode.MISSING
    assert "'border_align_forward'" in caught.value.message
    assert "pip install" in caught.value.hint
    assert "mmcv==2.1.0" in caught.value.hint
    assert torch.__version__ in caught.value.hint


def test_private_names_are_not_operators():
    from mmcv import _ext

    with pytest.raises(AttributeError, match="_anything"):
        _ext._anything  # noqa: B018
    assert not hasattr(_ext, "__wrapped__")


def test_environment_report_works():
    from mmcv.utils import collect_env

    assert "torchvision" in collect_env()["MMCV Compiler"]


def test_activating_again_changes_nothing():
    activate()  # pytest sets the warning filters anew for every test
    finders, filters = list(sys.meta_path), list(warnings.filters)
    activate()
    assert sys.meta_path == finders
    assert warnings.filters == filters


def test_a_fresh_process_activates_twice_without_a_word():
    code = """
        from pkdcli.compat import activate
        activate()
        loaded = {name for name in ("mmcv", "mmdet", "mmrazor", "cv2", "torchvision") if name in sys.modules}
        assert not loaded, f"activate() should leave imports to whoever needs them: {loaded}"
        activate()
        import mmengine, mmcv, mmdet, mmrazor
        from mmdet.utils import register_all_modules
        register_all_modules()
        import mmrazor.models, mmrazor.engine, mmrazor.datasets
        from mmcv.ops import batched_nms, roi_align
        activate()
        print(mmcv.ops.nms.__module__, sys.modules["mmcv._ext"].__spec__.origin)
    """
    done = run(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "mmcv.ops.nms pkdcli.compat\n"


def test_a_compiled_extension_is_used_untouched(tmp_path):
    # an mmcv in front of the installed one, with an extension of its own
    package = tmp_path / "mmcv"
    package.mkdir()
    real = Path(mmcv.__file__).parent
    package.joinpath("__init__.py").write_text(
        f"__path__.append({str(real)!r})\nexec(compile(open({str(real / '__init__.py')!r}).read(), 'mmcv', 'exec'))\n"
    )
    package.joinpath("_ext.py").write_text("def nms(*a, **k): return 'compiled'\ndef __getattr__(name): return nms\n")
    code = """
        from pkdcli.compat import activate
        activate()
        import mmcv._ext, mmcv.ops
        print(mmcv._ext.__file__)
        print(sys.modules["mmcv.ops.nms"].ext_module.nms(), sorted(n for n in vars(mmcv._ext) if n[0] != "_"))
    """
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{package / '_ext.py'}\ncompiled ['nms']\n"
