"""Runs that a search has paused: several jobs at a time, and `pkd resume`. The workers learn nothing."""

from __future__ import annotations

import json

import pytest

from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_json, read_jsonl, read_object

TUNE = ("tune", "--weight", "1..100", "--trials", "5", "--scale", "tiny", "--jobs", "2", "--json", "--data")


@pytest.fixture
def searched(type_, worker, own, here):
    """A finished search over 1, 3, 10, 30 and 100 in two jobs at a time; the stand-in reaches 30 + weight / 10."""
    worker()
    said = type_(*TUNE, own)
    assert said.code == 0, said.err
    return [json.loads(line) for line in said.out.splitlines()], here / "runs"


def of_weight(runs, weight) -> RunPaths:
    (folder,) = runs.glob(f"gfl101-fcos50__mse-w{weight}__*")
    return RunPaths(folder)


def test_two_jobs_at_a_time_pause_at_every_comparison(searched):
    events, runs = searched
    found = events[-1]
    assert (found["event"], found["rungs"], found["params"]) == ("tuned", [1, 2, 3, 6], {"weight": 100.0})
    states = {one["weight"]: (one["state"], one["steps"]) for one in found["trials"]}
    assert states == {100: ("done", 6), 30: ("done", 6), 10: ("paused", 3), 3: ("paused", 2), 1: ("paused", 1)}
    rungs = [(one["step"], len(one["trials"])) for one in events if one["event"] == "rung"]
    assert rungs == [(1, 5), (2, 4), (3, 3), (6, 2)]
    measured = [one["iter"] for one in read_jsonl(of_weight(runs, 30).metrics) if one["kind"] == "rung"]
    assert measured == [1, 2, 3], "each job went on from its pause, and was measured once at each comparison"
    assert found["steps"] == 5 * 1 + 4 * 1 + 3 * 1 + 2 * 3
    together = [len(one["runs"]) for one in events if one["event"] == "sharing"]
    # One of the five went ahead: a run this short has no steps for the speed but those that are averaged.
    assert together[:2] == [2, 2], "the trials of the first comparison are shared out among two jobs"
    assert max(together) == 2


def test_resuming_all_leaves_what_a_search_has_paused_says_so_and_takes_the_others(type_, worker, searched, own):
    _, runs = searched
    paused = sorted(of_weight(runs, weight).run for weight in (1, 3, 10))
    said = type_("resume", "--all")
    left = (
        "paused by a search, and left so: 3 runs. The same `pkd tune` goes on; "
        f"`pkd resume {paused[0]}` takes one to its end.\n"
    )
    assert (said.code, said.out, said.err) == (0, f"{left}nothing to resume\n", "")
    assert type_("resume", "--all", "--quiet").out == ""
    listed = type_("resume")
    assert listed.code == 2
    assert "".join(f"  {run} (paused by a search: --all leaves it alone)\n" for run in paused) in listed.err
    worker(baseline="fails")
    assert type_("train", "--loss", "none", "--scale", "tiny", "--data", own).code == 1
    worker()
    said = type_("resume", "--all")
    assert (said.code, said.out.startswith(left)) == (0, True)
    states = {folder.name.split("__")[1]: read_json(folder / "status.json")["state"] for folder in runs.glob("*__*")}
    assert (states["baseline"], states["mse-w10"], states["mse-w1"]) == ("done", "interrupted", "interrupted")


def test_a_paused_run_that_is_named_is_taken_to_its_end_and_the_search_uses_it(type_, searched, own):
    _, runs = searched
    ten = of_weight(runs, 10)
    assert read_object(ten.job)["pause"] == {"at": 3, "measure": True, "mean": 1}
    said = type_("resume", ten.run)
    assert said.code == 0, said.err
    assert "pause" not in read_object(ten.job), "it would pause again"
    assert read_json(ten.status)["state"] == "done"
    again = [json.loads(line) for line in type_(*TUNE, own).out.splitlines()]
    assert [one for one in again if one["event"] in ("began", "ended")] == []
    assert [one["state"] for one in again[-1]["trials"]].count("done") == 3
    assert (again[-1]["params"], again[-1]["mAP"]) == ({"weight": 100.0}, 40.0)
