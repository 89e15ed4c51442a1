"""env.json: the plug-ins that made a run, in their versions."""

from __future__ import annotations

import json

import pytest

from pkdcli.engine.setup import environment
from pkdcli.plugins import GROUPS
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.plugins import changed_plugins

SCHEDULE = {"probe_pack/recipes/schedules/short.yaml": "name: short\nepochs: 3\nmilestones: [2]\n"}
GROUP = {
    GROUPS["losses"]: {"mine": "probe_losses:Mine", "other": "probe_losses:Other"},
    GROUPS["trackers"]: {"lines": "probe_track:lines"},
    GROUPS["launchers"]: {"lab": "probe_launch:Lab"},
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "describe", lambda: {"python": "3"})
    paths = RunPaths(tmp_path / "the-run")
    paths.root.mkdir()

    def write(launcher=None, **request):
        said = environment.write(paths, resolve(Request(scale="tiny", **request)), launcher)
        return said, json.loads(paths.env.read_text())

    write.paths = paths
    return write


def of(kind, name, version="0.1", distribution="pkd-probe"):
    return {"kind": kind, "name": name, "distribution": distribution, "version": version}


def test_a_run_of_pkds_own_names_none(write, install):
    install(GROUP)
    assert write(loss="mse", launcher={"name": "local", "kind": "local"}) == ([], {"python": "3", "plugins": []})


def test_all_that_a_run_uses_stand_there(write, install):
    install(GROUP, version="0.3")
    install({GROUPS["recipes"]: {"more": "probe_pack.recipes"}}, SCHEDULE, name="pkd-more")
    used = {"loss": "mine", "trackers": ("lines",), "schedule": "short", "launcher": {"name": "lab-big", "kind": "lab"}}
    _, content = write(**used)
    assert content["plugins"] == [
        of("losses", "mine", "0.3"),
        of("trackers", "lines", "0.3"),
        of("launchers", "lab", "0.3"),
        of("recipes", "more", "0.1", "pkd-more"),
    ]


def test_a_run_that_goes_on_with_another_version_says_so_and_keeps_both(write, install):
    install(GROUP)
    assert write(loss="mine")[0] == []
    install(GROUP, version="0.2")
    assert write(loss="mine")[0] == []  # nothing was trained yet: there is no state to go on from
    install(GROUP, version="0.3")
    write.paths.checkpoints.mkdir()
    (write.paths.checkpoints / "iter_3.pth").write_bytes(b"")
    text = "the plug-in pkd-probe is 0.3 here, and was 0.2 for the-run; `pip install pkd-probe==0.2` brings that back."
    for _ in range(2):
        said, content = write(loss="mine")
        assert said == [text]
        assert content["plugins"] == [of("losses", "mine", "0.3")]
        assert content["plugins_before"] == [of("losses", "mine", "0.2")]


def test_a_finished_run_of_another_version_is_told_once(write, install):
    install(GROUP)
    write(loss="mine", trackers=("lines",))
    assert changed_plugins([write.paths]) == []
    install(GROUP, version="0.2")
    assert changed_plugins([write.paths]) == []  # not finished: its worker says so
    write.paths.result.write_text("{}")
    assert changed_plugins([write.paths, write.paths]) == [
        "the plug-in pkd-probe is 0.2 here, and was 0.1 for the-run; `pip install pkd-probe==0.1` brings that back"
    ]


def test_of_several_runs_it_is_said_once(write, install, tmp_path):
    install(GROUP)
    other = RunPaths(tmp_path / "other")
    other.root.mkdir()
    write(loss="mine")
    for paths in (write.paths, other):
        other.env.write_text(write.paths.env.read_text())
        paths.result.write_text("{}")
    install(GROUP, version="0.2")
    (said,) = changed_plugins([other, write.paths])
    assert said.startswith("the plug-in pkd-probe is 0.2 here, and was 0.1 for the-run and 1 more; ")


def test_a_plug_in_that_is_gone_is_named_for_a_run_that_is_to_go_on(write, install):
    install(GROUP)
    write(loss="mine")
    content = json.loads(write.paths.env.read_text())
    write.paths.env.write_text(
        json.dumps({"plugins": [{**one, "distribution": "pkd-gone"} for one in content["plugins"]]})
    )
    assert changed_plugins([write.paths]) == [
        "the plug-in pkd-gone is not installed here, and was 0.1 for the-run; `pip install pkd-gone==0.1` brings that "
        "back"
    ]
