"""Plug-ins: listed without being imported, loaded where they are named, and told with the distribution they are of."""

from __future__ import annotations

import subprocess
import sys

import pytest
from asking import refused

from pkdcli import plugins
from pkdcli.plugins import GROUPS, Plugin

LOSSES = GROUPS["losses"]
HINT = "Type: pip install --upgrade pkd-probe; or be rid of it: pip uninstall pkd-probe"


def test_they_are_listed_without_being_imported(install):
    install(
        {LOSSES: {"mine": "probe_losses:Mine", "another": "probe_absent:X"}}, {"probe_losses.py": "raise SystemExit"}
    )
    install({LOSSES: {"third": "probe_third:X"}}, name="pkd-third", version="2.0rc1")
    assert plugins.offered("losses") == (
        Plugin("losses", "another", "probe_absent:X", "pkd-probe", "0.1"),
        Plugin("losses", "mine", "probe_losses:Mine", "pkd-probe", "0.1"),
        Plugin("losses", "third", "probe_third:X", "pkd-third", "2.0rc1"),
    )
    assert plugins.offered("trackers") == ()
    assert plugins.names("losses") == ["another", "mine", "third"]
    assert not {"probe_losses", "probe_absent", "probe_third"} & set(sys.modules)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("\nraise ValueError('not\\nso.')", "ValueError: not ({}/probe_it.py, line 2)"),
        ("x = (\n", "SyntaxError: '(' was never closed ({}/probe_it.py, line 1)"),
        ("import probe_nothing", "ModuleNotFoundError: No module named 'probe_nothing' ({}/probe_it.py, line 1)"),
        ("import sys\nsys.exit(3)", "SystemExit: 3 ({}/probe_it.py, line 2)"),
        ("", "AttributeError: module 'probe_it' has no attribute 'Mine'"),
    ],
)
def test_one_that_can_not_be_imported_is_named_with_its_distribution_and_the_cause(install, text, cause):
    folder = install({LOSSES: {"mine": "probe_it:Mine"}}, {"probe_it.py": text})
    error = refused(plugins.find("losses", "mine").load)
    assert error.message == (
        "loss 'mine' of the plug-in pkd-probe 0.1 (entry point mine = probe_it:Mine of pkdcli.losses): "
        f"{cause.format(folder)}."
    )
    assert error.hint == HINT


def test_what_one_prints_is_no_answer_of_a_command(install, capsys):
    install({LOSSES: {"mine": "probe_it:Mine"}}, {"probe_it.py": "print('hello')\nMine = 3"})
    assert plugins.find("losses", "mine").load() == 3
    assert capsys.readouterr() == ("", "hello\n")


def test_a_name_that_two_have_is_refused_where_it_is_named(install):
    for name in ("pkd-probe", "pkd-third"):
        install({LOSSES: {"mine": "probe_it:Mine", f"of-{name}": "probe_it:X"}}, name=name)
    error = refused(plugins.find, "losses", "mine")
    assert error.message == (
        "loss 'mine' is not clear: these have that name:\n"
        "  pkd-probe 0.1 (entry point mine = probe_it:Mine of pkdcli.losses)\n"
        "  pkd-third 0.1 (entry point mine = probe_it:Mine of pkdcli.losses)"
    )
    assert error.hint == (
        "Be rid of one: pip uninstall pkd-third (or pkd-probe); or install a release of it with another name."
    )
    assert plugins.find("losses", "of-pkd-third").distribution == "pkd-third"


def test_a_name_of_pkds_own_is_refused_where_it_is_named(install):
    install({GROUPS["trackers"]: {"mlflow": "probe_it:track"}})
    assert plugins.find("trackers", "wandb", ["mlflow", "wandb"]) is None
    error = refused(plugins.find, "trackers", "mlflow", ["mlflow", "wandb"])
    assert error.message == (
        "tracker 'mlflow' is not clear: these have that name:\n"
        "  pkdcli itself\n"
        "  pkd-probe 0.1 (entry point mlflow = probe_it:track of pkdcli.trackers)"
    )
    assert error.hint == "Be rid of one: pip uninstall pkd-probe; or install a release of it with another name."


def test_another_version_than_a_run_was_made_with_is_said(install):
    def record(version, distribution="pkd-probe"):
        return {"kind": "losses", "name": "mine", "distribution": distribution, "version": version}

    install({LOSSES: {"mine": "probe_it:Mine"}}, version="0.2")
    assert plugins.changes([record("0.2")], "the-run") == []
    assert plugins.changes([record("0.1"), record("0.1")], "the-run") == [
        "the plug-in pkd-probe is 0.2 here, and was 0.1 for the-run; `pip install pkd-probe==0.1` brings that back"
    ]
    assert plugins.changes([record("1.0", "pkd-gone")], "the-run") == [
        "the plug-in pkd-gone is not installed here, and was 1.0 for the-run; `pip install pkd-gone==1.0` brings "
        "that back"
    ]


def test_a_help_page_does_not_look_for_them():
    # Typer itself imports importlib.metadata, by way of pydantic, where a command has options.
    for words, absent in (
        (["--help"], {"importlib.metadata", "pkdcli.plugins"}),
        (["train", "--help"], {"pkdcli.plugins"}),
    ):
        command = [sys.executable, "-X", "importtime", "-m", "pkdcli", *words]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        imported = {line.rpartition("|")[2].strip() for line in answer.stderr.splitlines()}
        assert "typer" in imported
        assert not absent & imported
