"""`pkd sweep --until-decided` around a worker that reaches what it is told: which seeds are run, and what is said."""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import pytest

import pkdcli
from pkdcli.reporting.statistics import t_interval
from pkdcli.reporting.verdict.sequential import MOST, level_at, sequential_interval, sequential_p
from pkdcli.runs.store import read_json

WORDS = ("sweep", "--until-decided", "--scale", "tiny", "--data")
BASELINE = [20.0, 20.4, 19.7, 20.1, 20.3, 19.9, 20.2]
CLEAR = [3.0, 3.3, 2.9, 3.1, 3.2, 3.0, 3.1]
"""Gains that three seeds decide."""
SLOW = [1.0, 1.9, 1.2, 1.5, 1.3, 1.6, 1.4]
"""Gains that the t-test would call real at three seeds, and the look after three does not."""
NOTHING = [0.4, -0.3, 0.2, -0.4, 0.1, 0.3, -0.2]


@pytest.fixture
def reaches(worker, monkeypatch):
    """`reaches(**{"mse-w10": gains})`: runs of each seed end with the baseline's mAP and their gain, or as told."""

    def reaches(**gains):
        worker()
        told = {"baseline": [0.0] * len(BASELINE), **gains}
        words = []
        for name, by_seed in told.items():
            for seed, gain in enumerate(by_seed):
                manner = gain if isinstance(gain, str) else f"{BASELINE[seed] + gain:.6}"
                words.append(f"{name.replace('_', '-')}__2x__own-tiny__s{seed}-={manner}")
        monkeypatch.setenv("MANNERS", ",".join(words))

    return reaches


def seeds(folder, name):
    """The seeds of a method or a baseline that have run, in order."""
    found = [read_json(path) for path in folder.glob(f"*{name}__*/result.json")]
    return sorted(one["seed"] for one in found)


def after(said):
    """What was said after each look."""
    return [line for line in said.err.splitlines() if line.startswith("after ")]


def test_the_spreads_are_such_as_the_tests_below_need():
    assert sequential_p(CLEAR[:3]) < 0.025
    assert t_interval(SLOW[:3]).lower > 0  # which is what fools
    assert sequential_interval(SLOW[:3]).lower < 0
    assert next(n for n in range(3, 8) if sequential_p(SLOW[:n]) < 0.05) == 4
    assert all(sequential_p(NOTHING[:n]) > 0.5 for n in range(3, 8))


def test_seeds_are_added_until_it_is_decided_and_what_is_known_is_said_after_each(type_, reaches, own, here):
    reaches(mse_w10=SLOW)
    said = type_(*WORDS, own, "--loss", "mse")
    assert said.code == 0, said.err
    assert seeds(here / "runs", "mse-w10") == seeds(here / "runs", "baseline") == [0, 1, 2, 3]
    three, four = (sequential_interval(SLOW[:n]) for n in (3, 4))
    name = "gfl101-fcos50 mse-w10 2x own-tiny"
    assert after(said) == [
        f"after 3 seeds: {name}: +1.4 ({three.lower:+.1f} to {three.upper:+.1f}), INCONCLUSIVE; "
        "about 1 more seed would decide it, at this spread",
        f"after 4 seeds: {name}: +1.4 ({four.lower:+.1f} to {four.upper:+.1f}), GO",
    ]
    above, verdict = said.out.split("Is the gain real?")
    assert "mean ± standard deviation over seeds 0 1 2 3" in above
    row = next(line for line in verdict.splitlines() if " GO " in line)
    assert row.split("GO")[1].split() == ["4", "+1.4", f"{four.lower:+.1f}", "to", f"{four.upper:+.1f}",
                                          f"{sequential_p(SLOW[:4]):.3f}"]  # fmt: skip
    assert "Interval and p allow for a look after every seed." in verdict


def test_a_decided_method_gets_no_further_seeds_and_the_other_goes_on_to_the_limit(type_, reaches, own, here):
    reaches(pkd_w10=CLEAR, mse_w10=NOTHING)
    said = type_(*WORDS, own, "--loss", "pkd,mse", "--max-seeds", "5", "--json")
    assert said.code == 0, said.err
    assert seeds(here / "runs", "pkd-w10") == [0, 1, 2]
    assert seeds(here / "runs", "mse-w10") == seeds(here / "runs", "baseline") == [0, 1, 2, 3, 4]
    lines = [json.loads(line) for line in said.out.splitlines()]
    looks = [one for one in lines if one["event"] == "look"]
    assert [one["seeds"] for one in looks] == [3, 4, 5]
    assert [[row["verdict"] for row in one["verdicts"]] for one in looks] == [["GO", "INCONCLUSIVE"]] * 3
    decided, undecided = [one for one in lines if one["event"] == "verdict"]
    assert (decided["loss"], decided["seeds"]) == ("pkd", "0 1 2")
    # Two methods: the smaller p counts twice (Holm).
    assert decided["p_value"] == pytest.approx(2 * sequential_p(CLEAR[:3]), rel=1e-3)
    assert undecided["why"].startswith("5 seeds is what --max-seeds allows; ")
    expected = sequential_interval(NOTHING[:5])
    assert (undecided["gain_lower"], undecided["gain_upper"]) == pytest.approx((expected.lower, expected.upper))
    assert len([one for one in lines if one["event"] == "result"]) == 3 + 5 + 5


def test_worse_is_decided_too(type_, reaches, own):
    reaches(mse_w10=[-gain for gain in CLEAR])
    said = type_(*WORDS, own, "--loss", "mse", "-q")
    assert (said.code, said.err) == (0, "")
    assert "NO-GO" in said.out


def test_finished_runs_are_used_and_a_second_call_goes_on_and_says_the_same(type_, reaches, own, here):
    reaches(mse_w10=NOTHING)
    first = type_(*WORDS, own, "--loss", "mse", "--max-seeds", "4")
    times = {path: path.stat().st_mtime_ns for path in (here / "runs").glob("*/result.json")}
    assert len(times) == 8
    second = type_(*WORDS, own, "--loss", "mse", "--max-seeds", "6")
    assert seeds(here / "runs", "mse-w10") == [0, 1, 2, 3, 4, 5]
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert after(second)[0] == after(first)[0]
    assert [line.split(":")[0] for line in after(second)] == [f"after {n} seeds" for n in (3, 4, 5, 6)]
    third = type_(*WORDS, own, "--loss", "mse", "--max-seeds", "6")
    assert after(third) == after(second)
    assert "done before" not in third.err  # nothing was carried out
    assert "started" not in third.err


def test_what_more_seeds_said_later_does_not_undo_a_verdict(type_, reaches, own, here):
    reaches(mse_w10=[*CLEAR[:3], -5.0, -5.0])
    type_("sweep", "--scale", "tiny", "--data", own, "--loss", "mse", "--seeds", "0,1,2,3,4", "-q")
    said = type_(*WORDS, own, "--loss", "mse")
    assert [line.split(", ")[-1] for line in after(said)] == ["GO"]
    assert "95 %, all looks" in said.out


def test_it_starts_with_the_seeds_that_are_given(type_, reaches, own, here):
    reaches(mse_w10=NOTHING)
    said = type_(*WORDS, own, "--loss", "mse", "--seeds", "2,3,4,5", "--max-seeds", "5")
    assert seeds(here / "runs", "mse-w10") == [2, 3, 4, 5, 6]
    found = sequential_interval(NOTHING[2:7], first=4)
    assert f"({found.lower:+.1f} to {found.upper:+.1f})" in after(said)[-1]
    assert len(after(said)) == 2


def test_a_failed_run_stops_its_method_alone_and_is_named(type_, reaches, own, here):
    reaches(pkd_w10=NOTHING, mse_w10=[NOTHING[0], NOTHING[1], NOTHING[2], "fails"])
    said = type_(*WORDS, own, "--loss", "pkd,mse", "--max-seeds", "5")
    assert said.code == 1
    assert seeds(here / "runs", "pkd-w10") == [0, 1, 2, 3, 4]
    assert seeds(here / "runs", "mse-w10") == [0, 1, 2]
    run = next((here / "runs").glob("*mse-w10*__s3-*")).name
    assert f"INCONCLUSIVE; {run} has not ended well, and without it no seed follows" in after(said)[3]
    reaches(pkd_w10=NOTHING, mse_w10=NOTHING)
    again = type_(*WORDS, own, "--loss", "pkd,mse", "--max-seeds", "5")
    assert again.code == 0
    assert seeds(here / "runs", "mse-w10") == [0, 1, 2, 3, 4]


def test_ctrl_c_stops_and_the_same_command_goes_on(type_, reaches, own, here):
    reaches(mse_w10=[*NOTHING[:3], "waits"])

    def press():
        end = time.monotonic() + 60
        while time.monotonic() < end:
            runs = [read_json(path) or {} for path in (here / "runs").glob("*mse*__s3-*/status.json")]
            if any(one.get("iter") for one in runs):
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.02)

    thread = threading.Thread(target=press, daemon=True)
    thread.start()
    said = type_(*WORDS, own, "--loss", "mse", "--max-seeds", "4")
    thread.join()
    assert said.code == 130
    assert said.err.splitlines()[-1] == "stopped; type the same command again to go on."
    assert len(after(said)) == 1
    reaches(mse_w10=NOTHING)
    assert type_(*WORDS, own, "--loss", "mse", "--max-seeds", "4").code == 0
    assert seeds(here / "runs", "mse-w10") == [0, 1, 2, 3]


def test_gains_that_are_all_the_same_decide_nothing(type_, reaches, own):
    reaches(mse_w10=[2.0] * 4)
    said = type_(*WORDS, own, "--loss", "mse", "--max-seeds", "4")
    assert after(said)[-1].endswith(
        "INCONCLUSIVE; 4 seeds is what --max-seeds allows; its gains are all the same, so nothing is known of their "
        "spread; are these runs of their own?"
    )


def test_a_dry_run_says_what_it_costs_at_least_and_at_most(type_, own, here):
    said = type_(*WORDS, own, "--loss", "pkd,mse", "--max-seeds", "5", "--dry-run")
    assert said.code == 0, said.err
    assert "16 runs" in said.out  # a teacher, then baseline and two methods for each seed
    assert said.out.splitlines()[-2:] == [
        "At least 3 seeds: 10 runs to do, 62 steps.",
        "At most 5 seeds: 16 runs to do, 98 steps.",
    ]
    assert not (here / "runs").exists()
    told = type_(*WORDS, own, "--loss", "pkd,mse", "--max-seeds", "5", "--dry-run", "--json")
    assert json.loads(told.out.splitlines()[-1]) == {
        "event": "until_decided", "seeds": [0, 1, 2, 3, 4], "first_look": 3,
        "least": {"runs": 10, "steps": 62, "seconds": None}, "most": {"runs": 16, "steps": 98, "seconds": None},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--no-baseline",), "error: --until-decided: a gain needs its baseline.\nLeave --no-baseline out.\n"),
        (("--loss", "none"), "error: --until-decided: there is no method to judge.\nName one: --loss pkd\n"),
        (("--max-iters", "2"), "error: --until-decided: a smoke run (max_iters) says nothing of a method.\n"),
        (("--set", "val_images=4"), "error: --until-decided: a smoke run (val_images) says nothing of a method.\n"),
        (("--seeds", "0,1,2,3", "--max-seeds", "3"), "error: --max-seeds 3: it starts with 4 seeds.\n"),
    ],
)
def test_what_can_not_be_judged_is_refused_before_anything_runs(type_, own, here, words, error):
    said = type_(*WORDS, own, *words)
    assert said.code == 2
    assert said.err.startswith(error)
    assert not (here / "runs").exists()


def test_a_limit_that_limits_nothing_is_refused(type_, own):
    said = type_("sweep", "--scale", "tiny", "--data", own, "--max-seeds", "5")
    assert (said.code, said.err) == (
        2, "error: --max-seeds: nothing adds seeds.\nGive --until-decided too, or leave it out.\n")  # fmt: skip
    assert type_(*WORDS, own, "--max-seeds", MOST + 1).code == 2


def test_the_same_from_python(reaches, own, here):
    reaches(mse_w10=SLOW)
    runs = pkdcli.sweep(losses="mse", data=own, scale="tiny", until_decided=True, runs=here / "runs")
    assert sorted((run.result["role"], run.result["seed"]) for run in runs) == sorted(
        (role, seed) for role in ("baseline", "distill") for seed in range(4)
    )
    (found,) = runs.verdicts
    assert (found["verdict"], found["seeds"]) == ("GO", "0 1 2 3")
    expected = t_interval(SLOW[:4], 1 - level_at(4))
    assert (found["gain_lower"], found["gain_upper"]) == pytest.approx((expected.lower, expected.upper))
    planned = pkdcli.sweep(losses="mse", data=own, scale="tiny", until_decided=True, max_seeds=12, dry_run=True,
                           runs=here / "runs")  # fmt: skip
    assert len(planned.planned) == 1 + 2 * 12


def test_a_clusters_jobs_are_waited_for(own, here):
    from pkdcli.api.sweep import plan_decided
    from pkdcli.launch.options import LaunchOptions
    from pkdcli.launch.outcome import Watcher
    from pkdcli.options import OutputOptions
    from pkdcli.recipe.options import RecipeOptions, SweepOptions, TeacherOptions
    from pkdcli.recipe.seeds import SeedOptions

    found = plan_decided(
        SweepOptions(losses=("pkd", "mse"), scale="tiny", data=str(own)), SeedOptions(until_decided=True),
        RecipeOptions(), TeacherOptions(), LaunchOptions(launcher="slurm"), OutputOptions(runs=here / "runs"),
        watcher=Watcher(), command="",
    )  # fmt: skip
    assert found.least.wait  # what is added to has to be known
    assert [len(found.least.planned), len(found.whole.planned)] == [1 + 3 * 3, 1 + 10 * 3]
