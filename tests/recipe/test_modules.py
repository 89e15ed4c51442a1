"""Modules beside recipes: what a run is known by, and the copy that it keeps for other machines and later days."""

from __future__ import annotations

import shutil

import pytest
from own_files import asked

from pkdcli.errors import ExitCode, PkdError
from pkdcli.experiment.prepare import keep_modules, recipe_yaml
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.modules.copies import copies_used, keep, read_recipe
from pkdcli.recipe.modules.files import has_hash, hash_of, hash_of_module, needed_files
from pkdcli.recipe.references import Import, located
from pkdcli.runs.paths import RunPaths


def lay(folder, **files):
    for name, text in files.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(module, folder):
    return [str(file.relative_to(folder)) for file in needed_files(module, folder)]


# Which files a module is


def test_what_a_module_imports_from_beside_it_is_a_part_of_it(tmp_path):
    lay(
        tmp_path,
        hooks="import json\nimport torch\nfrom probe_b import thing\ndef later():\n    import probe_c\n",
        probe_b="from probe_b2 import *\n",
        probe_b2="thing = 1\n",
        probe_c="import hooks\n",
        probe_d="",
        json="raise SystemExit\n",  # Python's own comes first
    )
    assert names("hooks", tmp_path) == ["hooks.py", "probe_b.py", "probe_b2.py", "probe_c.py"]
    before = hash_of_module("hooks", tmp_path)
    (tmp_path / "probe_d.py").write_text("another = 1\n")
    assert hash_of_module("hooks", tmp_path) == before
    (tmp_path / "probe_b2.py").write_text("thing = 2\n")
    assert hash_of_module("hooks", tmp_path) != before


def test_a_package_brings_those_around_it_and_what_it_imports_by_dots(tmp_path):
    lay(
        tmp_path,
        **{
            "nets/__init__": "",
            "nets/heads/__init__": "",
            "nets/heads/own": "from . import parts\nfrom ..tools import one\n",
            "nets/heads/parts": "",
            "nets/tools": "one = 1\n",
            "nets/other": "",
        },
    )
    assert names("nets.heads.own", tmp_path) == [
        "nets/heads/own.py", "nets/__init__.py", "nets/heads/__init__.py", "nets/heads/parts.py", "nets/tools.py",
    ]  # fmt: skip
    assert names("nets.nothing", tmp_path) == []
    # Empty files change nothing, so that this module has the hash of earlier releases but for `tools`.
    own, tools = tmp_path / "nets/heads/own.py", tmp_path / "nets/tools.py"
    assert hash_of_module("nets.heads.own", tmp_path) == hash_of([own, tools])
    assert hash_of_module("nets.nothing", tmp_path) is None


def test_a_module_that_imports_nothing_from_beside_it_has_the_hash_of_earlier_releases(tmp_path):
    lay(tmp_path, probe_alone="from mmengine.hooks import Hook\n")
    (one,) = located([Import(module="probe_alone")], tmp_path)
    assert one.sha256 == hash_of([tmp_path / "probe_alone.py"])


def test_a_run_of_an_earlier_release_knows_the_module_by_its_own_file(tmp_path):
    lay(tmp_path, probe_a="import probe_b\n", probe_b="x = 1\n")
    old = hash_of([tmp_path / "probe_a.py"])
    assert old != hash_of_module("probe_a", tmp_path)
    assert has_hash("probe_a", tmp_path, old)
    assert has_hash("probe_a", tmp_path, None)
    assert not has_hash("probe_a", tmp_path, "0" * 64)
    assert not has_hash("probe_z", tmp_path, None)


def test_a_module_with_an_error_in_it_is_still_known(tmp_path):
    lay(tmp_path, probe_bad="import probe_b\nx = (\n", probe_b="")
    assert names("probe_bad", tmp_path) == ["probe_bad.py"]


# The copy that a run keeps


@pytest.fixture
def run(own_folder):
    """A run directory whose student needs `probe_net`, which imports `probe_parts`; both lie beside its recipe."""
    lay(own_folder / "detectors", probe_net="import probe_parts\n", probe_parts="x = 1\n")
    detector = own_folder / "detectors/mine.yaml"
    detector.write_text(detector.read_text() + "imports: [probe_net]\n")
    recipe = asked(own_folder)
    folder = own_folder / "runs" / run_id(recipe)
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(recipe_yaml(recipe))
    keep(recipe, folder)
    return folder


def test_a_run_keeps_the_files_of_its_modules(run, own_folder):
    copied = {file.name: file.read_text() for file in (run / "modules").iterdir()}
    assert copied == {"probe_net.py": "import probe_parts\n", "probe_parts.py": "x = 1\n"}
    recipe = read_recipe(run / "recipe.yaml")
    assert recipe == asked(own_folder)  # the files beside the recipe are as they were
    assert recipe.student.imports[0].folder == str(own_folder / "detectors")
    assert copies_used(recipe, run) == []


@pytest.mark.parametrize("change", ["gone", "module", "what it imports", "moved"])
def test_the_copy_stands_in_where_the_module_is_not_as_it_was(run, own_folder, change):
    if change in ("gone", "moved"):
        shutil.rmtree(own_folder / "detectors")
    elif change == "module":
        lay(own_folder / "detectors", probe_net="import probe_parts\ny = 2\n")
    else:
        lay(own_folder / "detectors", probe_parts="x = 2\n")
    if change == "moved":
        run = run.rename(own_folder / "elsewhere" / run.name)
    recipe = read_recipe(run / "recipe.yaml")
    (one,) = recipe.student.imports
    assert one.folder == str(run / "modules")
    assert copies_used(recipe, run) == ["probe_net"]
    assert run_id(recipe) == run.name
    # What is written next is read again, and the copy is not copied onto itself.
    (run / "recipe.yaml").write_text(recipe_yaml(recipe))
    keep(recipe, run)
    assert read_recipe(run / "recipe.yaml") == recipe
    # ... on yet another machine too.
    run = run.rename(run.with_name("moved-again"))
    assert read_recipe(run / "recipe.yaml").student.imports[0].folder == str(run / "modules")


def test_a_copy_that_was_changed_does_not_stand_in(run, own_folder):
    shutil.rmtree(own_folder / "detectors")
    (run / "modules/probe_parts.py").write_text("x = 3\n")
    assert read_recipe(run / "recipe.yaml").student.imports[0].folder == str(own_folder / "detectors")


def test_a_copy_that_can_not_be_written_is_told(run, own_folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(PkdError) as caught:
        keep_modules(asked(own_folder), RunPaths(run))
    assert caught.value.message == (
        f"can't copy the recipe's own modules to {run / 'modules'}: No space left on device."
    )
    assert caught.value.code == ExitCode.MISSING
