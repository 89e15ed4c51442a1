"""Launchers of plug-ins: a class that has what every launcher has, and keys of its own in the recipe."""

from __future__ import annotations

import json
import sys

import pytest

from pkdcli import plugins
from pkdcli.errors import ExitCode, PkdError
from pkdcli.launch.kinds import launcher_of
from pkdcli.launch.options import LaunchOptions, launcher
from pkdcli.launch.plugin import launcher_class, launcher_of_run
from pkdcli.launch.run_state import RunState
from pkdcli.launch.status import query_all
from pkdcli.plugins import GROUPS
from pkdcli.recipe import library
from pkdcli.recipe.schema import Launcher
from pkdcli.runs.paths import RunPaths

LAB = """
from pydantic import BaseModel
from pkdcli.launch.local.launcher import LocalLauncher
from pkdcli.launch.run_state import RunState
class Lab(LocalLauncher):
    takes = ("jobs",)
    class Keys(BaseModel):
        level: int = 3
        queue: str
    def jobs_at_a_time(self):
        return self.Keys(**self.recipe.own).level
    def notes(self, recipes, *, dry_run):
        return [1 / 0]
    def status(self, paths):
        return RunState(paths, "queued", "waits for the night", "the lab")
"""
SOURCE = "launcher 'lab' of the plug-in pkd-probe 0.1 (entry point lab = probe_lab:Lab of pkdcli.launchers)"


@pytest.fixture
def lab(install):
    def lab(text: str = LAB, name: str = "lab") -> None:
        install({GROUPS["launchers"]: {name: "probe_lab:Lab"}}, {"probe_lab.py": text})

    return lab


def recipe(**content) -> Launcher:
    return library.parse(Launcher, {"name": "mine", "kind": "lab", **content}, "mine.yaml")


def refused(call, *args, **keywords) -> PkdError:
    with pytest.raises(PkdError) as caught:
        call(*args, **keywords)
    assert caught.value.code == ExitCode.USAGE
    return caught.value


def test_its_kind_is_named_by_a_recipe_with_keys_of_its_own(lab):
    lab()
    found = launcher_of(recipe(own={"level": 5, "queue": "night"}, jobs=2, threads=1))
    assert (found.jobs_at_a_time(), found.processes(), found.shares_teachers) == (5, 1, True)


def test_without_a_recipe_it_has_one_of_defaults(lab):
    lab()
    assert library.load("launchers", "lab").model_dump(exclude_unset=True) == {
        "name": "lab",
        "kind": "lab",
        "notes": "probe_lab:Lab of pkd-probe",
    }
    assert launcher(LaunchOptions(launcher="lab", jobs=4)).jobs == 4


def test_kinds_that_nobody_has(lab):
    assert refused(recipe).message == "mine.yaml: kind: should be 'local' or 'slurm', not 'lab'."
    lab()
    assert refused(recipe, kind="pbs").message == "mine.yaml: kind: should be 'local', 'slurm' or 'lab', not 'pbs'."
    assert refused(recipe, kind="local", own={"level": 3}).message == (
        "mine.yaml: (the whole): own: not for a launcher of kind local."
    )


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (
            {"own": {"queue": "a", "levle": 3}},
            "launcher mine: own: unknown key of launchers of kind lab 'levle'.",
            "Did you mean 'level'? Allowed: level, queue.",
        ),
        ({"own": {"level": 3}}, "launcher mine: own: queue: is missing.", None),
        (
            {"own": {"level": "x", "queue": "a"}},
            "launcher mine: own: level: should be a valid integer, unable to parse string as an integer, not 'x'.",
            None,
        ),
        (
            {"own": {"queue": "a"}, "retries": 2, "partition": "gpu"},
            "launcher mine: retries, partition: not for a launcher of kind lab.",
            "Of these it takes: jobs.",
        ),
    ],
)
def test_keys_that_it_does_not_take_are_refused(lab, content, message, hint):
    lab()
    error = refused(launcher_of, recipe(**content))
    assert (error.message, error.hint) == (message, hint)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("import probe_nothing", "ModuleNotFoundError: No module named 'probe_nothing'"),
        ("def Lab(recipe): ...", "probe_lab:Lab is no class"),
        (
            "class Lab:\n    def processes(self): ...\n    def run(self): ...",
            "probe_lab:Lab has no jobs_at_a_time, known, notes, describe, status, cancel, shares_teachers, as "
            "pkdcli.launch.launcher.Launcher says",
        ),
        (LAB.replace("(BaseModel)", ""), "probe_lab:Lab: Keys is no pydantic model"),
    ],
)
def test_one_without_the_promised_interface_is_told_with_its_distribution(lab, text, cause):
    lab(text)
    for call, what in ((launcher_class, plugins.offered("launchers")[0]), (launcher_of, recipe())):
        error = refused(call, what)
        assert error.message.startswith(f"{SOURCE}: {cause}")
        assert error.hint == "Type: pip install --upgrade pkd-probe; or be rid of it: pip uninstall pkd-probe"


def test_an_error_of_its_code_is_told_as_its(lab, install):
    lab()
    found = launcher_of(recipe(own={"queue": "a"}))
    error = refused(found.notes, [], dry_run=True)
    assert error.message.startswith(f"{SOURCE}: notes: ZeroDivisionError: division by zero (")
    assert error.message.endswith("probe_lab.py, line 13).")
    lab(LAB + "    def __init__(self, recipe): raise KeyError('x')\n")
    assert refused(launcher_of, recipe(own={"queue": "a"})).message.startswith(
        f"{SOURCE}: its beginning: KeyError: 'x'"
    )


def test_a_name_of_pkds_own_is_refused_where_it_is_named(lab):
    lab(name="slurm")
    assert refused(library.load, "launchers", "slurm").message.startswith("launcher 'slurm' is not clear: ")
    assert refused(launcher_of, recipe(kind="slurm")).message == (
        "launcher 'slurm' is not clear: these have that name:\n  pkdcli itself\n"
        "  pkd-probe 0.1 (entry point slurm = probe_lab:Lab of pkdcli.launchers)"
    )
    assert launcher().kind == "local"


def test_it_says_what_is_known_of_its_runs_and_without_it_their_files_do(lab, tmp_path):
    paths = RunPaths(tmp_path / "the-run")
    paths.root.mkdir()
    launched = {"name": "mine", "kind": "lab", "own": {"queue": "a"}}
    paths.job.write_text(json.dumps({"launcher": launched, "queue": {"pid": 1 << 30, "host": "elsewhere"}}))
    paths.status.write_text(json.dumps({"state": "queued"}))
    assert launcher_of_run(paths) is None
    lab()
    assert query_all([paths]) == [RunState(paths, "queued", "waits for the night", "the lab")]
    lab("raise OSError")
    sys.modules.pop("probe_lab", None)
    (found,) = query_all([paths])
    assert found.where is None
