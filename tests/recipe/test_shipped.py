"""Every recipe that is shipped: it parses, its name is its own, and the command in its first line works."""

from __future__ import annotations

import re
import shlex

import pytest
import yaml
from typer.testing import CliRunner

from pkdcli.cli import app
from pkdcli.folders import recipes_root
from pkdcli.recipe import library

# What lies beside the folders is a table of something, not a recipe.
FILES = sorted(path for path in recipes_root().rglob("*.yaml") if path.parent != recipes_root())
NAMES = [str(path.relative_to(recipes_root())) for path in FILES]


def first_line(path):
    return path.read_text(encoding="utf-8").splitlines()[0]


def test_there_are_recipes_of_every_kind():
    assert len(FILES) >= 15
    assert {path.parent.name for path in FILES} == set(library.KINDS)
    assert {path.parent.parent for path in FILES} == {recipes_root()}


def test_names_are_unique_over_all_kinds():
    names = [path.stem for path in FILES]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_it_parses_and_its_name_is_the_files(path):
    recipe = library.load(path.parent.name, path.stem)
    assert recipe.name == path.stem
    assert path.stem in library.names(path.parent.name)
    assert library.load(path.parent.name, str(path)) == recipe


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_it_is_plain_yaml(path):
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == library.read_yaml(path)


@pytest.mark.parametrize("line", sorted({first_line(path) for path in FILES}))
def test_the_command_in_the_first_line_works(line, tmp_path, monkeypatch):
    assert line.startswith("# pkd ")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PKD_RUNS", raising=False)
    monkeypatch.delenv("PKD_COCO", raising=False)
    result = CliRunner().invoke(app, [*shlex.split(line)[2:], "--dry-run"])
    assert result.exception is None, result.exception
    assert result.exit_code == 0
    assert re.search(r"\b\d+ runs\b", result.stdout)
    files = {path.relative_to(tmp_path).parts[:2] for path in tmp_path.rglob("*") if path.is_file()}
    # What a library of mmengine's keeps of its own, where it is the first import, and what was found by looking.
    assert files <= {("cache", "YAPF"), ("cache", "levels"), ("cache", "matplotlib")}


@pytest.mark.parametrize("path", [path for path in FILES if path.parent.name == "pairs"], ids=lambda path: path.stem)
def test_a_pair_is_named_by_its_detectors(path):
    pair = library.load("pairs", path.stem)
    assert path.stem == f"{pair.teacher}-{pair.student}"
    assert pair.schedule in library.names("schedules")
    assert {pair.teacher, pair.student} <= set(library.names("detectors"))
