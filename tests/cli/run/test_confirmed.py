"""`pkd tune --confirm-seeds`: the finalists of a search on further seeds, with workers whose results are known."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

from pkdcli.runs.searches import searches_in
from pkdcli.runs.store import read_object

SEARCH = ("tune", "--weight", "10..30", "--trials", "2", "--scale", "tiny", "--no-share-teacher")
# By the search's own seed weight 30 is ahead, 33.0 to 31.0.
REACHED = {(10, 1): 33.0, (10, 2): 34.5, (30, 1): 32.0, (30, 2): 31.5}


def manners(**more: str) -> str:
    known = {f"w{weight}__2x__own-tiny__s{seed}": str(mAP) for (weight, seed), mAP in REACHED.items()}
    return ",".join(f"{part}={manner}" for part, manner in {**known, **more}.items())


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def last(said) -> dict:
    assert said.code == 0, said.err
    return lines(said.out)[-1]


@pytest.fixture
def tune(type_, own, stand_in, monkeypatch):
    """`tune(...)`: type a search whose runs end at once, with the results above."""
    monkeypatch.setenv("MANNERS", manners())
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield lambda *words: type_(*SEARCH, "--data", own, *words)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_the_best_is_chosen_by_the_mean_over_further_seeds(tune, here, type_, own):
    plain = last(tune("--json"))
    assert (plain["params"], plain["mAP"], plain["steps"]) == ({"weight": 30.0}, 33.0, 12)
    assert plain["confirmation"] is None
    # One of the four is there already, as `pkd train` makes it: it is used, and costs nothing.
    words = ("train", "--loss", "mse", "--weight", "10", "--seed", "1", "--scale", "tiny", "--data", own)
    assert type_(*words).code == 0
    (made,) = (here / "runs").glob("*mse-w10__*__s1-*")
    before = (made / "result.json").stat().st_mtime_ns
    found = last(tune("--confirm-seeds", "1,2", "--json"))
    assert (made / "result.json").stat().st_mtime_ns == before
    assert (found["params"], found["mAP"]) == ({"weight": 10.0}, 33.75)
    assert "mse-w10" in found["best"]
    assert "__s0-" in found["best"]
    assert "mse-w30" in found["runner_up"]
    assert found["lead"] == [2.0, None, None]  # these workers keep no detections
    confirmed = dict(found["confirmation"])
    seconds = confirmed.pop("seconds")
    assert seconds > 0
    rows = confirmed.pop("finalists")
    assert [(one["mAP"], one["mean"]) for one in rows] == [([33.0, 34.5], 33.75), ([32.0, 31.5], 31.75)]
    assert [one["trial"] for one in rows] == [found["best"], found["runner_up"]]
    assert rows[0]["runs"][0] == made.name
    for one in rows:
        for run, mAP in zip(one["runs"], one["mAP"], strict=True):
            assert read_object(here / "runs" / run / "result.json")["metrics"]["mAP"] == mAP
    # Differences of 1 and 3: 2 ± 12.7062 · sqrt(2) / sqrt(2).
    assert confirmed.pop("by_seeds") == pytest.approx([2 - 12.7062, 2 + 12.7062], abs=1e-3)
    assert confirmed == {"seeds": [1, 2], "steps": 18}
    assert found["steps"] == 12, "the search's own cost is none of the confirmation's"
    assert found["trials"][0]["run"] == found["best"]
    (kept,) = searches_in(here / "runs")
    assert kept.confirmed == {run: one["trial"] for one in rows for run in one["runs"]}
    again = last(tune("--confirm-seeds", "1,2", "--json"))
    assert again == found
    assert last(tune("--json")) == plain, "without it nothing is otherwise"


def test_what_it_says_and_what_it_costs(tune, here):
    plan = tune("--confirm-seeds", "1,2", "--dry-run")
    assert "\nthen the finalists on seeds 1, 2: 4 runs, 24 steps, apart from the budget.\n" in plan.out
    facts = lines(tune("--confirm-seeds", "1,2,2", "--dry-run", "--json").out)[0]
    assert (facts["confirm_seeds"], facts["confirm_runs"], facts["confirm_steps"]) == ([1, 2], 4, 24)
    assert not (here / "runs").exists()
    said = tune("--confirm-seeds", "1,2")
    assert said.code == 0, said.err
    assert "note: then the finalists on seeds 1, 2: 4 runs, 24 steps, apart from the budget" in said.err
    assert "note: the finalists of the search are trained on seeds 1, 2" in said.err
    told = said.out[said.out.index("\nbest: ") + 1 :].splitlines()
    assert told[0] == (
        "best: weight 10, mAP 33.8 over seeds 1, 2; 2.0 points above the runner-up, weight 30 "
        "(95 % over seeds: -10.7 to +14.7)"
    )
    spent = next(line for line in told if line.startswith("spent: "))
    assert spent.startswith("spent: 36 steps in 0:")
    assert ", of which confirmation 24 in 0:" in spent
    assert spent.endswith("; a full grid of 8 runs takes 48 (the search 25 % of them)")
    assert "finalists on further seeds" in said.out
    rows = [" ".join(line.replace("│", " ").split()) for line in said.out.splitlines()]
    assert "10 33.0 34.5 33.8" in rows
    assert "30 32.0 31.5 31.8" in rows


def test_a_search_that_is_over_has_no_task_for_a_cluster(tune):
    cluster = ("--launcher", "slurm", "--dry-run")
    assert "#!/bin/bash" in tune(*cluster).out
    assert tune().code == 0
    said = tune(*cluster)
    assert said.code == 0
    assert "#!/bin/bash" not in said.out


def test_what_is_not_decided_is_with_the_command_that_is_told(tune, type_):
    """Typed as it is told, time after time: the seeds that are there are used, two are added."""
    said = tune()
    for seeds in ("1,2", "1,2,3,4"):
        (told,) = (line for line in said.out.splitlines() if line.startswith("which of the two is better"))
        text, command = told.split("; two more seeds may tell: pkd ")
        assert text == "which of the two is better is not decided"
        words = shlex.split(command)
        assert words[-2:] == ["--confirm-seeds", seeds]
        assert words.count("--confirm-seeds") == 1
        said = type_(*words)
        assert said.code == 0, said.err
        assert f" over seeds {seeds.replace(',', ', ')}; " in said.out


def test_a_key_that_is_searched_is_confirmed_too(type_, own, stand_in, monkeypatch, here):
    monkeypatch.setenv("MANNERS", "")
    words = ("tune", "--grid", "loss.levels=index,stride", "--scale", "tiny", "--data", own, "--confirm-seeds", "5")
    found = last(type_(*words, "--json"))
    rows = found["confirmation"]["finalists"]
    assert found["confirmation"]["by_seeds"] is None, "one seed tells nothing of others"
    runs = [run for one in rows for run in one["runs"]]
    assert len(set(runs)) == 2
    for run in runs:
        assert "__s5-" in run
    alone = ("train", "--loss", "mse", "--set", "loss.levels=stride", "--seed", "5", "--scale", "tiny", "--data", own)
    ids = {json.loads(line)["run"] for line in type_(*alone, "--dry-run", "--json").out.splitlines() if "run" in line}
    assert len(ids & set(runs)) == 1


def test_the_search_s_own_seed_is_no_further_one(tune):
    said = tune("--confirm-seeds", "0,3", "--dry-run")
    assert said.code == 2
    assert "--confirm-seeds: 0 is the seed of the search itself, by which its finalists were chosen." in said.err
    assert "Type: --confirm-seeds 3" in said.err


def test_a_seed_on_which_a_finalist_fails_is_left_out(tune, monkeypatch):
    monkeypatch.setenv("MANNERS", manners(**{"w10__2x__own-tiny__s2": "fails"}))
    said = tune("--confirm-seeds", "1,2", "--json")
    assert said.code == 0, said.err
    confirmed = lines(said.out)[-1]["confirmation"]
    assert (confirmed["seeds"], confirmed["by_seeds"]) == ([1], None)
    notes = [one["text"] for one in lines(said.out) if one["event"] == "note"]
    (note,) = (text for text in notes if "leaves seed 2 out" in text)
    assert note.endswith(": the loss is NaN at step 3")
    monkeypatch.setenv("MANNERS", "w10__2x__own-tiny__s3=fails")
    said = tune("--confirm-seeds", "3")
    assert said.code == 1
    assert "the finalists have no seed on which all of them ended well." in said.err
    assert "the loss is NaN at step 3." in said.err


def test_a_kill_between_its_runs_costs_none_of_them(tune, here, own, monkeypatch):
    monkeypatch.setenv("MANNERS", manners(**{"w30__2x__own-tiny__s2": "waits"}))
    words = [*SEARCH, "--data", str(own), "--confirm-seeds", "1,2", "--json"]
    command = [sys.executable, "-m", "pkdcli", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "began" and "mse-w30" in event["run"] and "__s2-" in event["run"]:
                os.kill(process.pid, signal.SIGKILL)
                break
    ended = {path.parent: path.stat().st_mtime_ns for path in (here / "runs").glob("*/result.json")}
    assert sorted(path.name.split("__")[1] + path.name[-11:-9] for path in ended) == [
        "mse-w10s0", "mse-w10s1", "mse-w30s0", "mse-w30s1"]  # fmt: skip
    (waiting,) = (here / "runs").glob("*mse-w30__*__s2-*")
    end = time.monotonic() + 30
    while read_object(waiting / "status.json")["state"] == "running" and time.monotonic() < end:
        time.sleep(0.1)
    monkeypatch.setenv("MANNERS", manners())
    found = last(tune("--confirm-seeds", "1,2", "--json"))
    assert (found["params"], found["mAP"], found["confirmation"]["steps"]) == ({"weight": 10.0}, 33.75, 24)
    for folder, before in ended.items():
        assert (folder / "result.json").stat().st_mtime_ns == before
