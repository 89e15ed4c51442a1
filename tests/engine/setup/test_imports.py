"""Modules of the user's own: imported for a run, from beside their recipe, and named with file and line on failure."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec

import pytest

import pkdcli.engine.register  # noqa: F401  before mmdet, which does not import without it
from pkdcli.config.build import build_config, imports_of
from pkdcli.engine.setup.imports import import_for, import_one
from pkdcli.errors import ExitCode, PkdError
from pkdcli.recipe.modules.files import hash_of
from pkdcli.recipe.references import Import, is_there, located
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Detector

HOOK = """
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module(force=True)
class ProbeHook(Hook):
    priority = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module and say where it is; it is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def write(text: str, name: str = "probe_hooks") -> Import:
        (tmp_path / f"{name}.py").write_text(text)
        return located([Import(module=name)], tmp_path)[0]

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("probe"):
            del sys.modules[name]


def refused(one: Import) -> PkdError:
    with pytest.raises(PkdError) as caught:
        import_one(one)
    assert caught.value.code == ExitCode.USAGE
    return caught.value


def test_a_module_beside_its_recipe_enters_its_hook(module, tmp_path):
    from mmengine.registry import HOOKS

    one = module(HOOK)
    assert (one.folder, one.sha256) == (str(tmp_path), hash_of([tmp_path / "probe_hooks.py"]))
    recipe = resolve(Request(scale="tiny", loss="none"))
    import_for(recipe.model_copy(update={"imports": [one]}))
    assert HOOKS.get("ProbeHook").priority == 3


def test_an_error_is_named_with_module_file_and_line(module, tmp_path):
    one = module("x = 1\n\nraise ValueError('not\\nso')\n")
    assert refused(one).message == f"imports: probe_hooks: {tmp_path}/probe_hooks.py, line 3: ValueError: not."
    one = module("x = 1\ny = (\n", "probe_syntax")
    assert refused(one).message == (
        f"imports: probe_syntax: {tmp_path}/probe_syntax.py, line 2: SyntaxError: '(' was never closed."
    )
    one = module("import probe_absent\n", "probe_importing")
    assert refused(one).message == (
        f"imports: probe_importing: {tmp_path}/probe_importing.py, line 1: ModuleNotFoundError: "
        "No module named 'probe_absent'."
    )
    absent = refused(Import(module="probe_absent"))
    assert absent.message == "imports: probe_absent: ModuleNotFoundError: No module named 'probe_absent'."
    assert absent.hint == "Put it beside the recipe that names it, or install it where the run's process is."


def test_a_module_that_has_changed_or_gone_is_refused(module, tmp_path):
    one = module(HOOK)
    (tmp_path / "probe_hooks.py").write_text(HOOK + "# another\n")
    error = refused(one)
    assert error.message == f"imports: probe_hooks: {tmp_path}/probe_hooks.py has changed since this run was made."
    assert error.hint.startswith("Type the command that made the run again")
    (tmp_path / "probe_hooks.py").unlink()
    assert refused(one).message == f"imports: probe_hooks: there is no such module in {tmp_path}."


def test_a_module_whose_name_another_has_is_refused(tmp_path, module):
    one = module("", "json")
    assert refused(one).message.startswith(f"imports: json: {tmp_path} has a module of this name, but ")


def test_a_copy_of_what_is_imported_already_is_the_same_module(tmp_path, module):
    """Two runs of one notebook, each with its own copy."""
    one = module("x = 1\n", "probe_twice")
    import_one(one)
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "probe_twice.py").write_text("x = 1\n")
    import_one(located([Import(module="probe_twice")], copy)[0])
    (copy / "probe_twice.py").write_text("x = 2\n")
    assert refused(located([Import(module="probe_twice")], copy)[0]).message == (
        f"imports: probe_twice: {copy} has a module of this name, but {tmp_path}/probe_twice.py was imported."
    )


def test_a_package_is_known_by_all_its_files(tmp_path):
    package = tmp_path / "nets" / "heads"
    package.mkdir(parents=True)
    for file in (tmp_path / "nets/__init__.py", package / "__init__.py", package / "own.py"):
        file.write_text("")

    def one(name):
        return located([Import(module=name)], tmp_path)[0]

    whole, part = one("nets"), one("nets.heads.own")
    assert whole.folder == part.folder == str(tmp_path)
    (package / "own.py").write_text("x = 1")
    assert one("nets").sha256 != whole.sha256
    assert one("nets.heads.own").sha256 != part.sha256
    assert one("nets.nothing") == Import(module="nets.nothing")


def test_a_run_needs_the_modules_of_its_detectors_loss_and_recipe_once():
    def named(*names):
        return [Import(module=name) for name in names]

    recipe = resolve(Request(scale="tiny"))
    update = {
        "imports": named("a"),
        "loss": recipe.loss.model_copy(update={"imports": named("b")}),
        "teacher": recipe.teacher.model_copy(update={"imports": named("c", "a")}),
        "student": recipe.student.model_copy(update={"imports": named("d")}),
        "data": recipe.data.model_copy(update={"classes": ["x"], "train_images": 8}),
    }
    recipe = recipe.model_copy(update=update)
    assert [one.module for one in imports_of(recipe)] == ["a", "b", "c", "d"]
    assert build_config(recipe, "/x")["custom_imports"]["imports"] == ["pkdcli.engine.register", "a", "b", "c", "d"]


def test_what_a_config_of_mmdets_imports_is_imported():
    config = "convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.py"
    student = Detector(name="convnext", title="ConvNeXt", kind="two-stage", config=config)
    recipe = resolve(Request(scale="paper", loss="none")).model_copy(update={"student": student})
    assert imports_of(recipe) == [Import(module="mmpretrain.models")]


def test_a_module_is_found_by_whatever_finds_modules_here(monkeypatch):
    class Editable:  # as `pip install --editable` puts one in
        @staticmethod
        def find_spec(name, path=None, target=None):
            return ModuleSpec(name, None) if name == "probe_editable" else None

    assert not is_there(Import(module="probe_editable.hooks"))
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Editable])
    assert is_there(Import(module="probe_editable.hooks"))
