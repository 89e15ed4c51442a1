"""Plug-ins on the command line: listed, shown, named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pkdcli.plugins import GROUPS
from pkdcli.runs.store import write_json

LOSSES = GROUPS["losses"]


def rows(answer) -> dict[str, dict]:
    assert answer.code == 0, answer.err
    return {row["name"]: row for row in map(json.loads, answer.out.splitlines())}


def test_a_list_shows_them_with_their_distribution(type_, install):
    before = rows(type_("list", "losses", "--json"))
    assert not any("from" in row for row in before.values())
    assert " from " not in type_("list", "losses").out
    install({LOSSES: {"mine": "probe_absent:Mine", "mse": "probe_absent:Mine"}}, version="1.2")
    after = rows(type_("list", "losses", "--json"))
    assert after["mine"] == {
        **{"list": "losses", "name": "mine", "title": "probe_absent:Mine of pkd-probe", "weight": 1.0},
        **{"temperature": None, "from": "pkd-probe 1.2"},
    }
    # A name that pkd has is still pkd's in the list; the plug-in that can't have it stands there too.
    assert after["mse"] == {"list": "losses", "name": "mse", "from": "pkd-probe 1.2; it can't be used: see pkd doctor"}
    assert {name: row for name, row in after.items() if name not in ("mine", "mse")} == {
        name: row for name, row in before.items() if name != "mse"
    }
    table = type_("list", "losses").out
    assert "from" in table.splitlines()[2]
    assert "pkd-probe 1.2" in table


def test_show_says_where_one_comes_from(type_, install):
    install({LOSSES: {"mine": "probe_absent:Mine"}})
    answer = type_("show", "mine")
    assert (answer.code, answer.out) == (
        0,
        "# pkd-probe 0.1 (entry point mine = probe_absent:Mine of pkdcli.losses)\nname: mine\n"
        "title: probe_absent:Mine of pkd-probe\nsummary: A plug-in's loss with its own defaults.\ntype: mine\n"
        "weight:\n  default: 1.0\n",
    )


def test_one_is_named_as_any_other(type_, install):
    install({LOSSES: {"mine": "probe_absent:Mine"}})
    answer = type_("train", "--loss", "mine", "--scale", "tiny", "--dry-run", "--json")
    assert answer.code == 0, answer.err
    record = json.loads(answer.out.splitlines()[-1])
    assert record["run"].startswith("gfl101-fcos50__mine-w1__2x__shapes-tiny__s0-")
    assert (record["recipe"]["loss"]["type"], record["recipe"]["loss"]["imports"]) == ("mine", [])
    assert type_("train", "--loss", "mime", "--scale", "tiny").err.startswith(
        "error: unknown loss 'mime'.\nDid you mean 'mine'? Allowed: at, center-only, cwd, l1, l2, mgd, mine, "
    )


@pytest.mark.parametrize("name", ["mine", "mse"])
def test_a_broken_one_is_no_matter_where_it_is_not_named(type_, install, name):
    install({LOSSES: {name: "probe_absent:Mine"}, GROUPS["recipes"]: {"more": "probe_absent.recipes"}})
    answer = type_("train", "--loss", "pkd", "--scale", "tiny", "--dry-run")
    assert (answer.code, "error" in answer.err) == (0, False)


def test_a_taken_name_is_an_error_where_it_is_named(type_, install, here):
    install({LOSSES: {"mse": "probe_absent:Mine"}})
    answer = type_("train", "--loss", "mse", "--scale", "tiny")
    assert (answer.code, answer.out) == (2, "")
    first, _, third, remedy = answer.err.splitlines()
    assert first == "error: loss 'mse' is not clear: these have that name:"
    assert third == "  pkd-probe 0.1 (entry point mse = probe_absent:Mine of pkdcli.losses)"
    assert remedy == "Be rid of one: pip uninstall pkd-probe; or install a release of it with another name."
    assert not (here / "runs").exists()


def test_a_broken_loss_is_found_before_its_teacher_is_trained(pkd, install, micro, tmp_path):
    folder = install({LOSSES: {"mine": "probe_mine:Mine"}}, {"probe_mine.py": "import probe_nothing\n"})
    answer = pkd("train", "--loss", "mine", "--scale", "tiny", "--data", micro)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        "error: loss 'mine' of the plug-in pkd-probe 0.1 (entry point mine = probe_mine:Mine of pkdcli.losses): "
        f"ModuleNotFoundError: No module named 'probe_nothing' ({folder}/probe_mine.py, line 1).\n"
        "Type: pip install --upgrade pkd-probe; or be rid of it: pip uninstall pkd-probe\n"
    )
    assert not (tmp_path / "cache" / "teachers").exists()
    assert not (tmp_path / "runs").exists()


def test_a_broken_tracker_is_found_before_anything_is_made(type_, install, own, here):
    install({GROUPS["trackers"]: {"lines": "probe_absent:lines"}})
    answer = type_("train", "--scale", "tiny", "--data", own, "--tracker", "lines")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(
        "error: tracker 'lines' of the plug-in pkd-probe 0.1 (entry point lines = probe_absent:"
    )
    assert not (here / "runs").exists()


@pytest.fixture
def finished(type_, own, install):
    """A finished baseline on a plug-in's schedule, with the words of its command and its folder."""
    files = {"probe_pack/recipes/schedules/short.yaml": "name: short\nepochs: 3\nmilestones: [2]\n"}

    def release(version: str) -> None:
        install({GROUPS["recipes"]: {"more": "probe_pack.recipes"}}, files, version=version)

    release("0.1")
    words = ("train", "--loss", "none", "--schedule", "short", "--scale", "tiny", "--data", own)
    answer = type_(*words, "--dry-run", "--json")
    assert answer.code == 0, answer.err
    folder = Path(json.loads(answer.out.splitlines()[0])["dir"])
    metrics = {"mAP": 20.0, "AP50": 40.0, "AP75": 21.0, "AP_S": None, "AP_M": 20.0, "AP_L": 25.0}
    write_json(folder / "status.json", {"state": "done", "run": folder.name, "role": "baseline"})
    write_json(folder / "result.json", {"run": folder.name, "student_title": "FCOS-Res50", "metrics": metrics})
    (folder / "student.pth").touch()
    used = {"kind": "recipes", "name": "more", "distribution": "pkd-probe", "version": "0.1"}
    write_json(folder / "env.json", {"plugins": [used]})
    return words, folder, release


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_finished_run_of_another_version_is_told(type_, finished, more):
    words, folder, release = finished
    assert "plug-in" not in type_(*words, *more).err
    release("0.2")
    answer = type_(*words, *more)
    assert answer.code == 0, answer.err
    back = "`pip install pkd-probe==0.1` brings that back"
    text = f"the plug-in pkd-probe is 0.2 here, and was 0.1 for {folder.name}; {back}"
    assert answer.err.splitlines().count(f"note: {text}.") == 1
    lines = [json.loads(line) for line in type_(*words, *more, "--json").out.splitlines()]
    assert [line for line in lines if line.get("event") == "note"] == [{"event": "note", "text": text}]
    assert text not in type_(*words, *more, "-q").err


def test_a_run_whose_launcher_is_gone_is_resumed_with_the_remedy(type_, finished):
    words, folder, _ = finished
    (folder / "result.json").unlink()
    answer = type_(*words, "--dry-run", "--json")
    recipe = json.loads(answer.out.splitlines()[0])["recipe"]
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    write_json(folder / "job.json", {"cache": "/nowhere", "launcher": {"name": "lab", "kind": "lab"}})
    write_json(folder / "status.json", {"state": "interrupted", "run": folder.name, "role": "baseline"})
    gone = {"kind": "launchers", "name": "lab", "distribution": "pkd-gone", "version": "3.1"}
    write_json(folder / "env.json", {"plugins": [gone]})
    answer = type_("resume", folder.name)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"error: {folder}/job.json: kind: should be 'local' or 'slurm', not 'lab'.\n"
        f"The plug-in pkd-gone is not installed here, and was 3.1 for {folder.name}; `pip install pkd-gone==3.1` "
        "brings that back.\n"
    )
