"""`pkd tune`: a search on real runs, killed on its way and gone on with; what it refuses, and what it plans."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

import pkdcli
from pkdcli.errors import PkdError
from pkdcli.reporting.plots.build import figures
from pkdcli.runs.collect import collect
from pkdcli.runs.liveness import held_by
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_jsonl, read_object

SEARCH = ("--weight", "10..30", "--trials", "2")


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def searched(lab, tmp_path_factory):
    """A search that was killed when its first trials had been compared: its runs, and what typing it again said."""
    runs = tmp_path_factory.mktemp("tune") / "runs"
    words = ("tune", *SEARCH, "--data", str(lab.data), *lab.knobs, "--epochs", "1", "--json", "--runs", str(runs))
    env = {**os.environ, "PKD_CACHE": str(lab.cache), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pkdcli", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, start_new_session=True) as process:
        for line in process.stdout:
            if json.loads(line)["event"] == "rung":
                os.kill(process.pid, signal.SIGKILL)
                break
    end = time.monotonic() + 120
    while any(held_by(RunPaths(folder)) for folder in runs.glob("gfl*")) and time.monotonic() < end:
        time.sleep(0.2)  # a worker that had begun goes on to its pause
    return runs, lab.pkd(*words)


def test_a_search_that_was_killed_goes_on_and_ends(searched):
    runs, answer = searched
    assert answer.code == 0, answer.err
    found = lines(answer.out)[-1]
    assert (found["event"], found["rungs"], found["steps"]) == ("tuned", [1, 2, 4], 8)
    assert (found["grid_runs"], found["grid_steps"]) == (8, 32)
    assert [one["state"] for one in found["trials"]] == ["done", "done"]
    assert {one["weight"] for one in found["trials"]} == {10.0, 30.0}
    assert found["best"] == found["trials"][0]["run"]
    assert found["runner_up"] == found["trials"][1]["run"]
    assert found["start"] > 0
    lead, low, high = found["lead"]
    assert low <= lead <= high
    assert os.path.isfile(found["storage"])
    for one in found["trials"]:
        result = read_object(runs / one["run"] / "result.json")
        assert result["metrics"]["mAP"] == one["mAP@4"]


def test_no_step_is_taken_twice(searched):
    runs, answer = searched
    for path in runs.glob("gfl*/metrics.jsonl"):
        starts = [one["iter"] for one in read_jsonl(path) if one["kind"] == "start"]
        assert starts == sorted(starts)
        assert starts[0] == 0
        steps = [one["iter"] for one in read_jsonl(path) if one["kind"] == "train"]
        assert steps == [1, 2, 3, 4]
    assert "rung" in {one["event"] for one in lines(answer.out)}


def test_typing_it_again_trains_nothing_and_says_the_same(lab, searched):
    runs, answer = searched
    words = ("tune", *SEARCH, "--data", lab.data, *lab.knobs, "--epochs", "1", "--runs", runs)
    again = lines(lab.pkd(*words, "--json").out)
    assert [one["event"] for one in again if one["event"] in ("began", "ended")] == []
    first = lines(answer.out)[-1]
    assert {key: again[-1][key] for key in ("best", "params", "steps", "trials")} == {
        key: first[key] for key in ("best", "params", "steps", "trials")
    }
    table = lab.pkd(*words, "--quiet")
    assert table.code == 0
    assert f"best: weight {first['params']['weight']:g}, mAP {first['mAP']:.1f}" in table.out
    assert "spent: 8 steps in" in table.out
    assert "a full grid of 8 runs takes 32 (25 %)" in table.out
    plan = lab.pkd(*words, "--dry-run")
    # Both of its trials are over: what they have taken is no cost any more.
    assert "the first trials have taken 8 steps already, which it need not take." in " ".join(plan.out.split())


def test_the_report_draws_the_search(searched):
    runs, answer = searched
    found = lines(answer.out)[-1]
    records = collect(runs)
    (figure,) = figures(records, records, kinds=["search"])
    best, other = (one["weight"] for one in found["trials"])
    assert figure.caption.startswith(f"Best: weight {best:g} with {found['mAP']:.1f} mAP; runner-up: weight {other:g} ")
    curve, parallel = figure.panels
    trials = sorted(found["trials"], key=lambda one: one["weight"])
    measured = [[one[f"mAP@{step}"] for one in trials] for step in (4, 2, 1)]
    assert [(one.name, one.x, one.y) for one in curve.series] == [
        (name, [10.0, 30.0], [pytest.approx(value, abs=1e-3) for value in values])
        for name, values in zip(("at the end", "after 2 steps", "after 1 step"), measured, strict=True)
    ]
    assert [one.name for one in parallel.scales] == ["weight", "after 1 step", "after 2 steps", "mAP at the end"]


def test_finalists_on_further_seeds_have_both_intervals(lab, searched, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(searched[0], runs)
    words = ("tune", *SEARCH, "--data", lab.data, *lab.knobs, "--epochs", "1", "--runs", runs)
    answer = lab.pkd(*words, "--confirm-seeds", "1,2", "--json")
    assert answer.code == 0, answer.err
    found = lines(answer.out)[-1]
    rows = found["confirmation"]["finalists"]
    assert [len(one["runs"]) for one in rows] == [2, 2]
    lead, low, high = found["lead"]
    assert low <= lead <= high
    assert lead == pytest.approx(rows[0]["mean"] - rows[1]["mean"])
    assert found["mAP"] == rows[0]["mean"] == pytest.approx(sum(rows[0]["mAP"]) / 2)
    below, above = found["confirmation"]["by_seeds"]
    assert below <= lead <= above
    assert (found["steps"], found["confirmation"]["steps"]) == (8, 16)
    (best,) = {line for line in lab.pkd(*words, "--confirm-seeds", "1,2", "--quiet").out.splitlines()
               if line.startswith("best: ")}  # fmt: skip
    assert best.endswith(f"(95 % over images: {low:+.1f} to {high:+.1f}, over seeds: {below:+.1f} to {above:+.1f})")


@pytest.fixture
def plan(monkeypatch, tmp_path, lab):
    """`plan(...)`: a dry run from Python, on the lab's data."""
    monkeypatch.setenv("PKD_CACHE", str(lab.cache))

    def plan(**keywords):
        asked = {"data": lab.data, "scale": "tiny", "batch_size": 4, "runs": tmp_path / "runs", "dry_run": True}
        return pkdcli.tune(**{**asked, "epochs": 6, **keywords})

    return plan


def test_a_plan_says_what_it_costs(plan, tmp_path):
    found = plan(weight="1..100")
    assert (found.trials, found.steps, found.grid_steps) == (6, 76, 192)  # of 24 steps a run
    assert found.rungs.steps == (4, 8, 12, 24)
    assert [one.params for one in found.first] == [{"weight": weight} for weight in (1, 3, 10, 30, 100)]
    assert found.storage.parent == tmp_path / "runs" / "tune"
    assert not (tmp_path / "runs").exists()
    assert "Recipe(" not in repr(found), "which would be pages"
    assert plan(weight="1..100", budget="3runs").trials == 5
    assert plan(weight="1..100", budget="3runs").name == found.name  # goes on with the same search
    assert plan(weight="1..10").name != found.name
    other = plan(loss="norm-kl", temperature="1..100")
    assert {one.recipe.loss.weight for one in other.first} == {10.0}
    assert [one.recipe.loss.temperature for one in other.first] == [1, 3, 10, 30, 100]
    assert (found.confirm_runs, found.confirm_steps) == (0, 0)
    confirmed = plan(weight="1..100", confirm_seeds=[1, 2, 3])
    assert (confirmed.name, confirmed.steps) == (found.name, found.steps)  # the same search, and its cost apart
    assert (confirmed.confirm_seeds, confirmed.confirm_runs, confirmed.confirm_steps) == ((1, 2, 3), 6, 144)
    keys = plan(grid=["loss.levels=index,stride"])
    assert [one.recipe.loss.levels for one in keys.first] == ["index", "stride"]


def test_a_dry_run_refuses_a_storage_as_the_search_would(lab, tmp_path):
    words = ("tune", *SEARCH, "--data", lab.data, *lab.knobs, "--epochs", "1", "--runs", tmp_path / "my runs")
    plan = lab.pkd(*words, "--dry-run", "--json")
    assert plan.code == 0, plan.err
    storage = pathlib.Path(lines(plan.out)[0]["storage"])
    storage.mkdir(parents=True)
    dry, real = lab.pkd(*words, "--dry-run"), lab.pkd(*words)
    assert dry.code == real.code == 2
    message = f"{storage}: the search's storage can't be used: it is a folder."
    assert message in dry.err
    assert next(line for line in real.err.splitlines() if not line.startswith("note")).endswith(message)
    assert f"rm -r '{storage}'" in dry.err
    assert f"rm -r '{storage}'" in real.err
    assert list((tmp_path / "my runs").rglob("*")) == [storage.parent, storage]


@pytest.mark.parametrize(
    ("keywords", "message", "hint"),
    [
        ({"weight": "100..1"}, "--weight 100..1: the range is written backwards.", "Type: --weight 1..100"),
        ({"weight": "0..10"}, "--weight 0..10: a range is searched by its logarithm, so it begins above 0.", "0.1..10"),
        ({"weight": "1..2..3"}, "--weight: '1..2..3' is no range.", "Example: --weight 1..100"),
        ({"weight": "many"}, "--weight: 'many' is no range of finite numbers of 0 or more.", "--weight 1..100"),
        ({"weight": "-1..5"}, "--weight: '-1..5' is no range of finite numbers of 0 or more.", "--weight 1..100"),
        ({"weight": "10"}, "there is nothing to search: one value of everything.", "Example: --weight 1..100"),
        ({"loss": "none"}, "loss none is the baseline: it has nothing to search.", "--loss mse"),
        ({"grid": ["loss.levls=index,stride"]}, "--grid loss.levls: loss has no key 'levls'.", "mean 'levels'?"),
        ({"grid": ["loss.weight=1,2"]}, "--grid loss.weight: it has an option of its own.", "--weight 1..100"),
        ({"grid": ["schedule.epochs=1,2"]}, "--grid: schedule.epochs change", "pkd sweep --grid"),
        ({"budget": "23steps"}, "--budget 23steps is shorter than one run: a run takes 24 steps.", "--epochs N"),
        ({"budget": "soon"}, "--budget: 'soon' is no time and no number of steps or runs.", "--budget 2h"),
        ({"seed": 3, "confirm_seeds": [3]}, "--confirm-seeds: 3 is the seed of the search", "--confirm-seeds 4"),
        ({"temperature": "1..50"}, "loss mse has no temperature.", "norm-kl"),
    ],
)
def test_what_cannot_be_searched_is_refused(plan, keywords, message, hint):
    with pytest.raises(PkdError) as error:
        plan(**keywords)
    assert error.value.message.startswith(message)
    assert hint in error.value.hint
    assert error.value.code == 2
