"""Finding the run that a word means: by its id, the beginning of it, or its folder; and what is said where none is."""

from __future__ import annotations

import os
import shlex

import pytest

from pkdcli.errors import PkdError
from pkdcli.runs.find import all_runs, chosen, find_run, named, one_named, only, run_at, runs_in, word_of
from pkdcli.runs.paths import MARKS, RunPaths
from pkdcli.runs.store import write_json

NAMES = ["gfl101-fcos50__mse-w1", "gfl101-fcos50__mse-w10", "gfl101-fcos50__pkd", "fcos50__baseline", "mine/fcos"]


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("PKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PKD_RUNS", str(tmp_path / "runs"))
    for name in ("alpha-1", "alpha-2", "beta", ".hidden"):
        write_json(tmp_path / "runs" / name / "status.json", {"run": name})
    (tmp_path / "runs" / "notes").mkdir()
    write_json(tmp_path / "cache" / "teachers" / "alpha__teacher" / "result.json", {})
    write_json(tmp_path / "elsewhere" / "gamma" / "status.json", {})
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("gfl101-fcos50__mse-w1", ["gfl101-fcos50__mse-w1"]),  # itself, though another begins so
        ("gfl101-fcos50__mse", ["gfl101-fcos50__mse-w1", "gfl101-fcos50__mse-w10"]),
        ("runs/fcos50__baseline", ["fcos50__baseline"]),
        ("/anywhere/fcos50__b", ["fcos50__baseline"]),
        ("mine/f", ["mine/fcos"]),  # an imported run's name has a slash of its own
        ("fcos50__baselines", []),
        ("", []),
        ("/", []),
    ],
)
def test_a_word_is_a_name_its_beginning_or_a_path(word, found):
    assert named(word, NAMES) == found


def test_one_name_or_an_error_with_the_nearest_or_with_all():
    assert one_named("gfl101-fcos50__p", NAMES) == "gfl101-fcos50__pkd"
    with pytest.raises(PkdError) as none:
        one_named("fcos50_baseline", NAMES, "--compare")
    assert none.value.message == "--compare: no run begins with 'fcos50_baseline'."
    assert none.value.hint == "Did you mean fcos50__baseline? `pkd status` lists the runs; see --runs DIR."
    with pytest.raises(PkdError) as several:
        one_named("gfl101-fcos50__mse", NAMES)
    listed = "\n  gfl101-fcos50__mse-w1\n  gfl101-fcos50__mse-w10"
    assert several.value.message == f"2 runs begin with 'gfl101-fcos50__mse':{listed}"
    assert several.value.hint == "Give more of its name."
    with pytest.raises(PkdError, match="300 runs begin with 'r':" + r"(\n  r\d+){10}\n  \.\.\.\n"):
        one_named("r", [f"r{n}" for n in range(300)])


def test_runs_are_folders_with_a_file_of_a_run(root):
    assert [paths.run for paths in runs_in(root)] == ["alpha-1", "alpha-2", "beta"]
    assert [paths.run for paths in all_runs(None)] == ["alpha__teacher", "alpha-1", "alpha-2", "beta"]
    assert runs_in(root / "absent") == []


def test_the_runs_that_words_mean_each_once(root):
    among = all_runs(root)
    assert [one.run for one in chosen(["alpha-2", "alpha-"], among)] == ["alpha-2", "alpha-1"]
    assert chosen([], among) == among
    assert [one.root for one in chosen([str(root.parent / "elsewhere" / "gamma")], among)] == [
        root.parent / "elsewhere" / "gamma"
    ]
    with pytest.raises(PkdError, match=r"no run begins with 'bete'\.\nDid you mean beta"):
        chosen(["alpha-1", "bete"], among)


def test_the_folder_of_a_run_is_found_wherever_it_is(root, monkeypatch):
    among = all_runs(root)
    monkeypatch.chdir(root.parent)
    assert only("elsewhere/gamma/", among).root == root.parent / "elsewhere" / "gamma"
    assert only("elsewhere/../runs/beta", among).root == root / "beta"
    assert only("beta", among).root == root / "beta"
    assert run_at("runs") is None
    assert run_at("") is None
    monkeypatch.chdir(root)
    assert run_at("beta").root == root / "beta"
    monkeypatch.setenv("HOME", str(root.parent))
    assert run_at(f"~{os.sep}runs{os.sep}beta").root == root / "beta"


def test_a_run_or_a_file_of_weights(root):
    weights = root.parent / "weights.pth"
    weights.touch()
    (root / "beta" / "recipe.yaml").touch()
    assert find_run(str(weights), root) is None
    assert find_run("be", root).root == root / "beta"
    with pytest.raises(PkdError) as none:  # alpha-1 has no recipe to evaluate it by
        find_run("alpha-1x", root)
    assert none.value.message == "there is no run and no checkpoint file 'alpha-1x'."
    with pytest.raises(PkdError, match="give a run or a checkpoint file: this is an empty word"):
        find_run("", root)


def test_a_folder_that_is_no_runs_is_called_so(root, tmp_path):
    """The work directory of a stock training, and one of anything else; a name with a slash is still a name."""
    stock = tmp_path / "work dirs" / "fcos"
    (stock / "20240101_000000" / "vis_data").mkdir(parents=True)
    with pytest.raises(PkdError) as told:
        only(str(stock), all_runs(None))
    assert told.value.message == f"{stock} is a work directory of mmengine, not a run of pkd: it has no recipe.yaml."
    assert told.value.hint == f"Its numbers beside those of runs: pkd report --import '{stock}'"
    with pytest.raises(PkdError) as told:
        only(str(root / "notes"), all_runs(None))
    assert told.value.message == f"{root / 'notes'} is a folder, but no run's: it has none of {', '.join(MARKS)}."
    (tmp_path / "other" / "beta").mkdir(parents=True)
    assert only(str(tmp_path / "other" / "beta"), all_runs(None)).root == root / "beta"
    with pytest.raises(PkdError, match="no run begins with 'notes'"):
        only("notes", all_runs(None))


def test_a_run_is_named_by_its_id_where_runs_are_looked_for_and_by_its_folder_elsewhere(root, tmp_path):
    for paths in all_runs(None):
        assert word_of(paths) == paths.run
        assert only(word_of(paths), all_runs(None)).root == paths.root
    (tmp_path / "elsewhere").rename(tmp_path / "else where")
    gamma = tmp_path / "else where" / "gamma"
    assert word_of(RunPaths(gamma)) == f"'{gamma}'"
    assert only(shlex.split(word_of(RunPaths(gamma)))[0], []).root == gamma
