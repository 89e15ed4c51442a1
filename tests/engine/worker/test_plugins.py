"""What `pkd doctor` says of plug-ins: a line each, and of a broken one what is wrong with it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pkdcli.api.doctor import Finding
from pkdcli.engine.worker import plugins
from pkdcli.plugins import GROUPS

GOOD = """
import torch
class Mine(torch.nn.Module):
    def forward(self, student, teacher): ...
"""
RECIPE = {"probe_pack/recipes/schedules/short.yaml": "name: short\nepochs: 3\nmilestones: [2]\n"}
REMEDY = "Type: pip install --upgrade pkd-probe; or be rid of it: pip uninstall pkd-probe"


@pytest.fixture
def findings():
    return lambda: {finding.what: finding for finding in plugins.findings()}


def test_without_plug_ins_there_is_nothing_to_say(findings):
    assert findings() == {}


def test_good_ones_are_told_with_their_distribution(findings, install):
    groups = {
        GROUPS["losses"]: {"mine": "probe_mine:Mine"},
        GROUPS["trackers"]: {"lines": "probe_track:lines"},
        GROUPS["recipes"]: {"more": "probe_pack.recipes"},
    }
    install(groups, {"probe_mine.py": GOOD, "probe_track.py": "lines = {'type': 'a.B'}", **RECIPE}, version="1.2")
    assert list(findings().values()) == [
        Finding("plug-in loss mine", "pkd-probe 1.2", True),
        Finding("plug-in tracker lines", "pkd-probe 1.2", True),
        Finding("plug-in recipes more", "pkd-probe 1.2", True),
    ]


def test_broken_ones_are_each_a_line_and_stop_nothing(findings, install):
    groups = {
        GROUPS["losses"]: {"gone": "probe_gone:X", "mse": "probe_mine:Mine", "none-of": "probe_mine:torch"},
        GROUPS["trackers"]: {"wandb": "probe_track:lines"},
        GROUPS["recipes"]: {"absent": "probe_pack.nowhere", "empty": "probe_pack.empty", "more": "probe_pack.recipes"},
    }
    wrong = {"probe_pack/recipes/schedules/wrong.yaml": "name: other\nepochs: 3\nmilestones: []\n"}
    files = {"probe_mine.py": GOOD, "probe_pack/empty/x.txt": "", **RECIPE, **wrong}
    folder = install(groups, files)
    found = findings()
    assert {finding.ok for finding in found.values()} == {None}
    said = {what.removeprefix("plug-in "): finding.found for what, finding in found.items()}
    assert said["loss gone"] == "pkd-probe 0.1: ModuleNotFoundError: No module named 'probe_gone'."
    assert said["loss mse"].startswith(
        "pkd-probe 0.1: loss 'mse' is not clear: these have that name:\n  pkdcli itself ("
    )
    assert said["loss none-of"] == "pkd-probe 0.1: probe_mine:torch is no class of torch.nn.Module."
    assert said["tracker wandb"].startswith("pkd-probe 0.1: tracker 'wandb' is not clear")
    assert said["recipes absent"] == "pkd-probe 0.1: its package probe_pack has no folder nowhere."
    assert said["recipes empty"] == (
        f"pkd-probe 0.1: {folder}/probe_pack/empty has no recipes: they lie in folders of their kinds, such as "
        "losses/NAME.yaml."
    )
    assert said["recipes more"] == (
        f"pkd-probe 0.1: {folder}/probe_pack/recipes/schedules/wrong.yaml: name: is 'other', but a recipe's name is "
        "its file's."
    )
    assert found["plug-in loss gone"].remedy == found["plug-in recipes more"].remedy == REMEDY
    assert found["plug-in loss mse"].remedy.startswith("Be rid of one: pip uninstall pkd-probe;")


def test_the_process_that_pkd_doctor_asks_says_them_as_json(install):
    install({GROUPS["losses"]: {"mine": "probe_mine:Mine"}}, {"probe_mine.py": "print('noise', end='')" + GOOD})
    command = [sys.executable, "-m", "pkdcli.engine.worker.doctor"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert Finding("plug-in loss mine", "pkd-probe 0.1", True) in Finding.read(answer.stdout)
    assert json.loads(answer.stdout.splitlines()[-1])["ok"] is True
