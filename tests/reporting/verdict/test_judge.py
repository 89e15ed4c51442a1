"""Verdicts: what is called better, worse or undecided, and what is not judged."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from pkdcli.reporting.statistics import seeds_to_decide
from pkdcli.reporting.verdict.judge import GO, INCONCLUSIVE, NO_GO, NOT_JUDGED, THE_SAME, judge
from pkdcli.reporting.verdict.sequential import level_at
from pkdcli.reporting.verdict.tables import VERDICT_COLUMNS, verdict_rows, verdict_table
from pkdcli.runs.baselines import add_gains


@pytest.fixture(autouse=True)
def _where_commands_look(monkeypatch):
    monkeypatch.setenv("PKD_RUNS", "/runs")  # of the records


@pytest.fixture
def runs(record):
    """A factory of the runs of methods and their baseline, with gains: {weight: {seed: gain}}."""

    def make(gains, baseline=(0, 1, 2, 3, 4), **changes):
        found = [record(f"none-s{seed}", 30.0 + seed / 10, role="baseline", seed=seed) for seed in baseline]
        for weight, by_seed in gains.items():
            found += [record(f"mse-w{weight}-s{seed}", 30.0 + seed / 10 + gain, weight=weight, seed=seed, **changes)
                      for seed, gain in by_seed.items()]  # fmt: skip
        add_gains(found)
        return found

    return make


def of(verdicts):
    return {one.method["weight"]: one for one in verdicts}


def test_better_worse_and_undecided(runs):
    found = of(judge(*[runs({10.0: {0: 3.0, 1: 3.3, 2: 2.8}, 30.0: {0: -2.0, 1: -2.2, 2: -1.9},
                             50.0: {0: 0.4, 1: -0.3, 2: 0.2}})] * 2))  # fmt: skip
    assert {weight: one.word for weight, one in found.items()} == {10.0: GO, 30.0: NO_GO, 50.0: INCONCLUSIVE}
    expected = stats.t.interval(0.95, 2, loc=np.mean([3.0, 3.3, 2.8]), scale=stats.sem([3.0, 3.3, 2.8]))
    assert (found[10.0].interval.lower, found[10.0].interval.upper) == pytest.approx(expected)
    # Three were judged; the second smallest p-value counts twice.
    p = [stats.ttest_1samp(values, 0).pvalue for values in ([3.0, 3.3, 2.8], [-2.0, -2.2, -1.9], [0.4, -0.3, 0.2])]
    order = sorted(p[:2])
    assert sorted(found[weight].p_value for weight in (10.0, 30.0)) == pytest.approx(
        [3 * order[0], max(3 * order[0], 2 * order[1])]
    )


def test_what_one_method_alone_would_pass_many_do_not(runs):
    gains = {0: 1.2, 1: 2.2, 2: 1.4}
    p = stats.ttest_1samp(list(gains.values()), 0).pvalue
    assert 0.0125 < p < 0.05
    alone = of(judge(*[runs({10.0: gains})] * 2))
    among = of(judge(*[runs({10.0: gains, 20.0: gains, 30.0: gains, 40.0: gains})] * 2))
    assert alone[10.0].word == GO
    assert {one.word for one in among.values()} == {INCONCLUSIVE}
    more = seeds_to_decide(list(gains.values()), confidence=1 - 0.05 / 4)
    assert (among[10.0].more_seeds, more) == (1, 1)
    assert among[10.0].why == (
        "decided by itself, but not among so many methods (Holm); "
        "about 1 more seed of both would decide it, at this spread."
    )
    # By itself `--until-decided` would find it decided at once: it knows nothing of the other three.
    assert among[10.0].command.endswith(" --weights 10 --scale tiny --schedule 2x --data shapes --seeds 0,1,2,3")


def test_seeds_that_would_decide_are_counted(runs):
    (found,) = judge(*[runs({10.0: {0: 0.2, 1: 1.0, 2: 0.3}})] * 2)
    assert found.more_seeds == 3
    assert found.why == (
        "about 3 more seeds of both would decide it, at this spread; looked at after each seed, about 9."
    )
    # And the command may add as many: its own limit is ten.
    assert found.command.endswith(" --until-decided --max-seeds 12")
    values = [0.2, 1.0, 0.3]
    mean, spread = np.mean(values), np.std(values, ddof=1)
    halves = [stats.t.isf(level_at(n) / 2, n - 1) * spread / math.sqrt(n) for n in (11, 12)]
    assert halves[1] < mean <= halves[0]


def test_the_command_uses_the_seeds_that_are_there(runs):
    (found,) = judge(*[runs({10.0: {5: 0.2, 7: 1.0, 8: 0.3}}, baseline=(5, 7, 8))] * 2)
    assert found.command.endswith(" --seeds 5,7,8 --until-decided --max-seeds 12")
    (found,) = judge(*[runs({10.0: {4: 0.2}}, baseline=(4,))] * 2)
    assert found.command.endswith(" --seeds 4 --until-decided")


def test_a_hundred_seeds_in_turn_that_would_not_tell_are_not_asked_for(runs):
    """63 more would, looked at once; the command that looks after each would end undecided."""
    (found,) = judge(*[runs({10.0: {0: 1.0, 1: -0.7, 2: 0.35, 3: 0.0}})] * 2)
    assert 0 < found.more_seeds < 100
    assert found.command is None
    assert found.why == f"about {found.more_seeds} more seeds of both would decide it, at this spread."


def test_five_seeds_have_a_permutation_test(runs):
    (found,) = judge(*[runs({10.0: {0: 1.0, 1: 1.2, 2: 0.9, 3: 1.1, 4: 1.3}})] * 2)
    assert (found.word, found.permutation) == (GO, 2 / 32)


def test_one_seed_is_undecided_and_names_the_next_run(runs):
    (found,) = judge(*[runs({10.0: {0: 3.0}})] * 2)
    assert (found.word, found.interval.mean, found.interval.upper) == (INCONCLUSIVE, pytest.approx(3.0), math.inf)
    assert verdict_table([found]).notes[0] == (
        "gfl101-fcos50 mse-w10 2x shapes-tiny: one seed tells nothing of the spread. pkd sweep --pair gfl101-fcos50 "
        "--loss mse --weights 10 --scale tiny --schedule 2x --data shapes --until-decided"
    )


def test_what_many_weights_lack_is_said_once(runs):
    found = judge(*[runs({10.0: {0: 3.0}, 20.0: {0: 2.0}, 30.0: {0: 1.0, 1: 1.1, 2: 0.9}, 5.0: {0: 0.5}})] * 2)
    assert verdict_table(found).notes[:-2] == [
        "gfl101-fcos50 mse-w10, mse-w20, mse-w5 2x shapes-tiny: one seed tells nothing of the spread. pkd sweep --pair "
        "gfl101-fcos50 --loss mse --weights 10,20,5 --scale tiny --schedule 2x --data shapes --until-decided"
    ]
    alone = judge(*[runs({10.0: {0: 3.0}, 20.0: {0: 2.0}}, baseline=())] * 2)
    (note,) = verdict_table(alone).notes  # and nothing of p-values: there are none
    assert note.startswith("gfl101-fcos50 mse-w10, mse-w20 2x shapes-tiny: there is no baseline; pkd train --pair ")
    apart = judge(*[runs({10.0: {0: 3.0}, 20.0: {0: 2.0, 1: -1.0, 2: 2.5}})] * 2)
    assert len(verdict_table(apart).notes) == 4, "what differs stays apart"


def test_one_missing_baseline_among_several_seeds_is_a_command_of_its_own(runs):
    (found,) = judge(*[runs({10.0: {0: 3.0, 3: 3.1}}, baseline=(0,))] * 2)
    assert "--seed 3; or all that it takes: pkd sweep --pair gfl101-fcos50 " in verdict_table([found]).notes[0]


def test_one_pair_among_several_seeds_names_the_baseline_that_is_missing(runs):
    (found,) = judge(*[runs({10.0: {0: 3.0, 3: 3.1, 4: 2.9}}, baseline=(0,))] * 2)
    assert found.why == "one seed tells nothing of the spread; seeds 3, 4 have no baseline"
    assert found.baseline_command == (
        "pkd train --pair gfl101-fcos50 --loss none --scale tiny --schedule 2x --data shapes --seed 3"
    )


def test_what_is_left_out_and_what_would_decide_are_two_sentences(runs):
    (found,) = judge(*[runs({10.0: {0: 0.4, 1: -0.3, 2: 0.2, 7: 1.0, 8: 1.0}}, baseline=(0, 1, 2))] * 2)
    assert found.why.startswith("seeds 7, 8 have no baseline and are left out. About ")


def test_a_baseline_of_another_seed_or_budget_is_not_the_one_to_go_on_with(runs):
    """It used to be the first of that student that was not finished, whatever it was a baseline of."""
    method = [one for one in runs({10.0: {1: 3.0}}, baseline=()) if one["role"] != "baseline"]
    (none,) = [one for one in runs({}, baseline=(0,))]
    waiting = {**none, "mAP": None, "state": "interrupted"}
    others = [{**waiting, "run": "other-seed"}, {**waiting, "run": "other-length", "seed": 1, "schedule": "1x"}]
    (found,) = judge(method, method + others)
    assert found.why == "there is no baseline"
    assert found.baseline_command.endswith("--seed 1")
    done = {**none, "run": "done", "seed": 0}
    own = {**waiting, "run": "own", "seed": 1, "epoch": 3}
    (found,) = judge(method, [*method, *others, done, own])
    assert (found.word, found.why, found.baseline_command) == (
        NOT_JUDGED, "its baseline is not finished: own", "pkd resume own")  # fmt: skip


def test_nothing_to_judge_is_said():
    table = verdict_table([])
    assert table.notes == ["There is no distilled run among these, so there is nothing to judge."]


def test_seeds_without_a_baseline_are_left_out_and_said(runs):
    (found,) = judge(*[runs({10.0: {0: 3.0, 1: 3.1, 2: 2.9, 7: 50.0}}, baseline=(0, 1, 2))] * 2)
    assert list(found.gains) == [0, 1, 2]
    assert (found.word, found.why) == (GO, "seed 7 has no baseline and is left out.")


@pytest.mark.parametrize(
    ("changes", "why", "command"),
    [
        ({"batch": 16}, "its baseline was run with another batch size", "pkd train --pair gfl101-fcos50 --loss none"),
        ({"schedule": "1x"}, "its baseline was run with another schedule", "pkd train"),
        ({"data": "bccd", "scale": "paper"}, "its baseline was run with another scale and data set", "pkd train"),
        ({"student": "gfl50"}, "there is no baseline", "pkd train --pair gfl101-fcos50 --loss none"),
        ({"smoke": "2 steps"}, "a smoke run (2 steps) says nothing of a method.", None),
        ({"comparable": "another"}, "its baseline was trained in another way", "pkd train"),
    ],
)
def test_what_is_not_comparable_is_refused_with_the_reason(runs, changes, why, command):
    records = runs({10.0: {0: 3.0, 1: 3.1}}, **changes)
    if "comparable" in changes:
        for one in records:
            one["comparable"] = one["comparable"] or "ours"
        for one in records:
            one["gain"] = None
    (found,) = judge(records, records)
    assert (found.word, found.why, found.command) == (NOT_JUDGED, why, None)
    if command is None:
        assert found.baseline_command is None
    else:
        assert found.baseline_command.startswith(command)
        # People read reason and command in one line; programs have a column for each.
        assert verdict_table([found]).notes[0].endswith(f": {why}; {found.baseline_command}")
        (row,) = verdict_rows([found])
        assert (row["why"], row["baseline_command"], row["command"]) == (why, found.baseline_command, None)


def test_an_unfinished_baseline_is_named(record):
    records = [record("m", 33.0), record("b", None, role="baseline", state="interrupted")]
    (found,) = judge(records, records)
    assert (found.why, found.baseline_command) == ("its baseline is not finished: b", "pkd resume b")


def test_table_and_rows_say_the_same(runs):
    verdicts = judge(*[runs({10.0: {0: 3.0, 1: 3.3, 2: 2.8}, 30.0: {0: 1.0}})] * 2)
    table = verdict_table(verdicts)
    assert table.sections[0][0][:4] == ["gfl101-fcos50 mse-w10 2x shapes-tiny", "GO", "3", "+3.0"]
    assert table.sections[0][1][:5] == ["gfl101-fcos50 mse-w30 2x shapes-tiny", "INCONCLUSIVE", "1", "+1.0", ""]
    rows = verdict_rows(verdicts)
    assert all(tuple(row) == VERDICT_COLUMNS for row in rows)
    assert [(row["verdict"], row["seeds"], row["gain_upper"]) for row in rows] == [
        ("GO", "0 1 2", verdicts[0].interval.upper),
        ("INCONCLUSIVE", "0", None),
    ]
    assert [row["gains"] for row in rows] == ["3.00 3.30 2.80", "1.00"]


def test_of_methods_that_do_nothing_one_table_in_twenty_has_a_verdict(runs):
    random = np.random.default_rng(0)
    trials, wrong = 400, 0
    for _ in range(trials):
        drawn = {float(weight): dict(enumerate(random.normal(0, 0.7, 4))) for weight in range(1, 4)}
        wrong += any(one.word in (GO, NO_GO) for one in judge(*[runs(drawn)] * 2))
    # Three standard errors of a share of 400 around 5 %.
    assert wrong / trials < 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)
    assert wrong > 0


@pytest.mark.parametrize(("seeds", "methods"), [(2, 1), (3, 1), (5, 1), (3, 4), (5, 8)])
def test_methods_that_do_nothing_get_a_verdict_in_one_of_twenty_sweeps(runs, seeds, methods):
    """All methods of a sweep share their baseline's luck, so that their gains rise and fall together."""
    random = np.random.default_rng(seeds * 100 + methods)
    trials = 4000
    baseline = random.normal(0, 0.5, (trials, 1, seeds))
    gains = random.normal(0, 0.5, (trials, methods, seeds)) - baseline
    t = gains.mean(2) / (gains.std(2, ddof=1) / math.sqrt(seeds))
    p_values = 2 * stats.t.sf(np.abs(t), seeds - 1)
    # Any verdict at all: the smallest p, times their number, is below the level.
    wrong = (methods * p_values.min(1) < 0.05).mean()
    assert wrong < 0.05 + 4 * math.sqrt(0.05 * 0.95 / trials)
    if methods == 1:
        assert wrong > 0.05 - 4 * math.sqrt(0.05 * 0.95 / trials)
    # And that is what is said, in the trials nearest to the level on both sides.
    for trial in np.argsort(np.abs(methods * p_values.min(1) - 0.05))[:6]:
        drawn = {float(number + 1): dict(enumerate(one)) for number, one in enumerate(gains[trial].tolist())}
        words = {one.word for one in judge(*[runs(drawn)] * 2)}
        assert (words != {INCONCLUSIVE}) == (methods * p_values[trial].min() < 0.05)


def test_gains_that_are_all_the_same_are_no_evidence(runs):
    (found,) = judge(*[runs({10.0: {0: 0.5, 1: 0.5, 2: 0.5}})] * 2)
    assert (found.word, found.p_value, found.more_seeds, found.command) == (INCONCLUSIVE, 1.0, None, None)
    assert found.why == THE_SAME


def test_two_runs_of_one_seed_are_not_chosen_from(record):
    records = [record(f"b{seed}", 30.0, role="baseline", seed=seed) for seed in range(3)]
    records += [record(f"m{seed}", 31.0 + seed / 5, seed=seed) for seed in range(3)]
    copy = record("copy-of-m1", 31.2, seed=1)
    add_gains([*records, copy])
    (found,) = judge(*[[*records, copy]] * 2)
    assert (found.word, list(found.gains)) == (GO, [0, 1, 2])
    other = record("m1-again", 29.0, seed=1)
    more = [record(f"n{seed}", 32.0 + seed / 5, seed=seed, weight=20.0) for seed in range(3)]
    add_gains([*records, other, *more])
    found, clear = judge(*[[*records, other, *more]] * 2)
    assert (found.word, found.why) == (NOT_JUDGED, "two of its runs have seed 1 and other results, m1 and m1-again.")
    assert clear.p_value == pytest.approx(stats.ttest_1samp([2.0, 2.2, 2.4], 0).pvalue), "and is not corrected for it"


def test_smoke_runs_are_not_counted_among_the_methods(record):
    records = [record(f"b{seed}", 30.0, role="baseline", seed=seed, smoke=smoke) for seed in range(3)
               for smoke in (None, "2 steps")]  # fmt: skip
    records += [record(f"m{seed}", 31.0 + seed / 5, seed=seed) for seed in range(3)]
    records += [record(f"s{seed}", 33.0 + seed, seed=seed, weight=20.0, smoke="2 steps") for seed in range(3)]
    add_gains(records)
    real, smoke = judge(records, records)
    assert real.p_value == pytest.approx(stats.ttest_1samp([1.0, 1.2, 1.4], 0).pvalue)
    assert (smoke.word, smoke.p_value) == (NOT_JUDGED, None)


def test_another_training_is_named(runs):
    records = runs({10.0: {0: 3.0}}, training="own", comparable="ours")
    for one in records:
        one["gain"] = None
        one["training"] = one["training"] or "paper"
    (found,) = judge(records, records)
    assert found.word == NOT_JUDGED
    assert found.why == "its baseline was run with another training"
    assert found.baseline_command == (
        "pkd train --pair gfl101-fcos50 --loss none --scale tiny --schedule 2x --data shapes --training own --seed 0"
    )


def test_a_reason_that_speaks_of_a_command_is_no_command(runs):
    """What is said is not searched for words: the command is a field of its own."""
    (found,) = judge(*[runs({10.0: {0: 3.0}})] * 2)
    told = replace(found, why="as pkd train said", baseline_command=None)
    assert "or all that it takes" not in verdict_table([told]).notes[0]
