"""Trackers of plug-ins: a config of mmengine, or a function that makes one of a run."""

from __future__ import annotations

import pytest
from asking import refused

from pkdcli.config import trackers
from pkdcli.config.build import build_config
from pkdcli.experiment.groups import groups
from pkdcli.experiment.plan import PlannedRun
from pkdcli.plugins import GROUPS
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.runs.paths import RunPaths

MODULE = """
whole = {"type": "probe_backend.Lines", "color": "red"}
def track(run_dir, facts):
    return {"type": "probe_backend.Lines", "save_dir": str(run_dir / "lines"), "loss": facts["loss"]}
def nothing(run_dir, facts):
    return ["lines"]
class Lines: ...
text = "Lines"
"""


@pytest.fixture
def lines(install):
    def lines(attribute: str, name: str = "lines", text: str = MODULE) -> None:
        install({GROUPS["trackers"]: {name: f"probe_track:{attribute}"}}, {"probe_track.py": text})

    return lines


@pytest.mark.parametrize(
    ("attribute", "made"),
    [
        ("whole", {"type": "probe_backend.Lines", "save_dir": "/runs/x/trackers/lines", "color": "red"}),
        ("track", {"type": "probe_backend.Lines", "save_dir": "/runs/x/lines", "loss": "pkd"}),
    ],
)
def test_a_run_tells_it_beside_the_others(lines, attribute, made):
    lines(attribute)
    assert trackers.named(["lines,tensorboard"]) == ["lines", "tensorboard"]
    trackers.require(["lines"])
    recipe = resolve(Request(scale="tiny", trackers=("tensorboard", "lines")))
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"classes": ["a"], "train_images": 8})})
    config = build_config(recipe, "/runs/x")
    first, second = config["visualizer"]["vis_backends"]
    assert first == {"type": "TensorboardVisBackend", "save_dir": "/runs/x/trackers/tensorboard"}
    assert second == made
    assert {"type": "PkdTrackerHook"} in config["custom_hooks"]


def test_runs_that_have_one_share_no_process(lines, tmp_path):
    lines("whole")
    recipes = [resolve(Request(scale="tiny", loss="mse", weight=w, trackers=("lines",))) for w in (10.0, 30.0)]
    assert len(groups([PlannedRun(recipe, RunPaths(tmp_path / run_id(recipe))) for recipe in recipes])) == 2


@pytest.mark.parametrize(
    ("attribute", "cause"),
    [
        ("text", "probe_track:text is no tracker: it should be a dict with a `type`, or a function (run_dir, facts)"),
        ("Lines", "probe_track:Lines is a class, and should be a dict with a `type`, or a function (run_dir, facts) "
                  "that returns one, such as {'type': 'probe_track.Lines'}."),
        ("absent", "AttributeError: module 'probe_track' has no attribute 'absent'"),
    ],
)  # fmt: skip
def test_one_without_the_promised_interface_is_told_before_anything_runs(lines, attribute, cause):
    lines(attribute)
    error = refused(trackers.require, ["lines"])
    entry = f"entry point lines = probe_track:{attribute} of pkdcli.trackers"
    assert error.message.startswith(f"tracker 'lines' of the plug-in pkd-probe 0.1 ({entry}): {cause}")
    assert error.hint == "Type: pip install --upgrade pkd-probe; or be rid of it: pip uninstall pkd-probe"


def test_a_function_that_returns_no_config_is_told(lines):
    lines("nothing")
    error = refused(trackers.backends, ["lines"], "/runs/x", {})
    assert error.message.endswith(": probe_track:nothing returned ['lines'], and should return a dict with a `type`.")


def test_a_name_that_pkd_has_is_refused(lines):
    lines("whole", name="wandb")
    error = refused(trackers.named, ["wandb"])
    assert error.message == (
        "tracker 'wandb' is not clear: these have that name:\n  pkdcli itself\n"
        "  pkd-probe 0.1 (entry point wandb = probe_track:whole of pkdcli.trackers)"
    )
    assert trackers.named(["mlflow"]) == ["mlflow"]


def test_an_unknown_one_lists_those_of_plug_ins(lines):
    lines("whole")
    assert refused(trackers.named, ["line"]).hint.startswith(
        "Did you mean 'lines'? Allowed: aim, clearml, dvclive, lines"
    )
