"""GO, NO-GO or INCONCLUSIVE for each method among the runs of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pkdcli.reporting.select import same_but_for_seed
from pkdcli.reporting.statistics import (
    Interval,
    all_the_same,
    holm,
    permutation_test,
    seeds_to_decide,
    t_interval,
    t_test,
)
from pkdcli.reporting.verdict.commands import baseline_command, more_seeds_command, resume_command, seeds_command
from pkdcli.reporting.verdict.sequential import FIRST, MOST, level_at
from pkdcli.reporting.verdict.unlike import unlike_recipes
from pkdcli.runs.record import Record

GO, NO_GO, INCONCLUSIVE, NOT_JUDGED = "GO", "NO-GO", "INCONCLUSIVE", "NOT JUDGED"
LEVEL = 0.05
"""The share of false verdicts that is taken: one of twenty tables in which nothing works."""
THE_SAME = "its gains are all the same, so nothing is known of their spread; are these runs of their own?"
ONE_SEED = "one seed tells nothing of the spread"
_BUDGET = {"schedule": "schedule", "batch": "batch size", "scale": "scale", "data": "data set", "split": "split",
           "epoch": "length", "training": "training", "smoke": "smoke run's size"}  # fmt: skip
_ASKED = ("schedule", "batch", "scale", "data", "training")
"""What is known of a run's budget from the beginning."""


@dataclass(frozen=True)
class Verdict:
    """What is to be said of one method.

    Attributes:
        method: One of its runs, as `runs.collect` gives it.
        word: `GO`: better than its baseline. `NO-GO`: worse. `INCONCLUSIVE`: the runs so far do not tell.
            `NOT JUDGED`: there is nothing it can be held against.
        gains: AP points over the baseline, by seed.
        interval: 95 % of the mean gain over seeds, by itself, not corrected for other methods; None without gains.
        p_value: Of the t-test, corrected by Holm's method for how many were judged; None below two seeds.
        permutation: p-value of the sign-flip test, not corrected; None below five seeds.
        more_seeds: How many further seeds would part the interval from zero, at the spread so far; None where that
            can't be told.
        why: What speaks against a verdict, or how to come to one.
        baseline_command: What makes the baseline that is missing, or that of the next seed; None where none is.
        command: What adds seeds of the method and its baseline until it is decided; None where nothing would.
    """

    method: Record
    word: str
    gains: dict[int, float] = field(default_factory=dict)
    interval: Interval | None = None
    p_value: float | None = None
    permutation: float | None = None
    more_seeds: int | None = None
    why: str = ""
    baseline_command: str | None = None
    command: str | None = None

    @property
    def corrected(self) -> bool:
        """Whether there was a p-value to be corrected."""
        return self.p_value is not None


def judge(chosen: Sequence[Record], everything: Sequence[Record]) -> list[Verdict]:
    """A verdict for each method among some runs.

    A method is GO or NO-GO where the corrected p-value of its gains over seeds is below 0.05.

    Args:
        chosen: The runs to judge; baselines and teachers among them are passed over.
        everything: Every run there, to say what is missing.
    """
    groups: dict[tuple, list[Record]] = {}
    for record in chosen:
        if record["role"] not in ("baseline", "teacher") and record["mAP"] is not None:
            groups.setdefault(same_but_for_seed(record), []).append(record)
    gains = {key: _gains(members) for key, members in groups.items()}
    known = {str(number): list(gains[key].values()) for number, key in enumerate(groups)}
    without = {str(number) for number, members in enumerate(groups.values()) if members[0]["smoke"] or _twice(members)}
    tested = {number: t_test(values) for number, values in known.items() if len(values) > 1 and number not in without}
    corrected = holm(tested)
    # What a method that is not decided would have to fall below.
    level = LEVEL / max(1, sum(value >= LEVEL for value in corrected.values()))
    return [_one(members, gains[key], corrected.get(str(number)), level, everything)
            for number, (key, members) in enumerate(groups.items())]  # fmt: skip


def _gains(members: Sequence[Record]) -> dict[int, float]:
    found = {one["seed"]: one["gain"] for one in members if one["gain"] is not None and one["seed"] is not None}
    return dict(sorted(found.items()))


def _twice(members: Sequence[Record]) -> str | None:
    """Why nothing can be said where two runs of one seed came out differently, as runs of another toolbox may."""
    seen: dict[int, Record] = {}
    for one in members:
        if one["gain"] is not None and one["seed"] is not None:
            first = seen.setdefault(one["seed"], one)
            if first["gain"] != one["gain"]:  # a copy in another folder tells nothing new, and does no harm
                return f"two of its runs have seed {one['seed']} and other results, {first['run']} and {one['run']}."
    return None


def _one(
    members: Sequence[Record], gains: dict[int, float], p_value: float | None, level: float, runs: Sequence[Record]
) -> Verdict:
    method = members[0]
    if method["smoke"]:
        return Verdict(method, NOT_JUDGED, why=f"a smoke run ({method['smoke']}) says nothing of a method.")
    if not gains:
        missing, makes = _missing(members, runs)
        return Verdict(method, NOT_JUDGED, why=missing, baseline_command=makes)
    if twice := _twice(members):
        return Verdict(method, NOT_JUDGED, why=twice)
    values = list(gains.values())
    interval = t_interval(values)
    if p_value is None:
        alone = _alone(members)
        why = ONE_SEED + (f"; {_listed(alone)} no baseline" if alone else ".")
        return Verdict(
            method,
            INCONCLUSIVE,
            gains,
            interval,
            why=why,
            baseline_command=baseline_command(method, alone[0]) if alone else None,
            command=more_seeds_command(method, list(gains)),
        )
    more = seeds_to_decide(values, confidence=1 - level)
    word = INCONCLUSIVE if p_value >= LEVEL else GO if interval.mean > 0 else NO_GO
    by_itself = t_test(values) < LEVEL
    why = _next(word, more, members, by_itself=by_itself)
    command = None
    if word == INCONCLUSIVE and more:
        in_turn = _in_turn(gains)
        if by_itself:  # a sweep of it alone would find it decided: it knows nothing of the other methods
            last = max(gains)
            command = seeds_command(method, [*gains, *range(last + 1, last + 1 + more)])
        elif in_turn is not None:
            command = more_seeds_command(method, list(gains), len(values) + in_turn)
        if command and not by_itself and in_turn != more:
            why = f"{why.rstrip('.')}; looked at after each seed, about {in_turn}."
    permutation = permutation_test(values)
    return Verdict(method, word, gains, interval, p_value, permutation, more, why, command=command)


def _in_turn(gains: dict[int, float]) -> int | None:
    """How many more seeds decide it where one looks after each, as `--until-decided` does; None for too many."""
    count = len(gains)
    first = FIRST if list(gains) == list(range(count)) else max(FIRST, count)  # it looks first at those it is given
    return seeds_to_decide(
        list(gains.values()), MOST - count, lambda seeds: 1 - (level_at(seeds, first) if seeds >= first else 0.0)
    )


def _alone(members: Sequence[Record]) -> list[int]:
    """Seeds of a method that have no baseline."""
    return sorted(one["seed"] for one in members if one["gain"] is None and one["seed"] is not None)


def _next(word: str, more: int | None, members: Sequence[Record], *, by_itself: bool) -> str:
    """What would decide it, and which of its runs were left out."""
    alone = _alone(members)
    left = f"{_listed(alone)} no baseline and {'are' if len(alone) > 1 else 'is'} left out. " if alone else ""
    if word != INCONCLUSIVE:
        return left.strip()
    by = "decided by itself, but not among so many methods (Holm); " if by_itself else ""
    why = f"{by}about {more} more seed{'s' * (more != 1)} of both would decide it, at this spread."
    if all_the_same([one["gain"] for one in members if one["gain"] is not None]):
        why = THE_SAME
    elif more is None:
        why = "a hundred further seeds would not tell at this spread: the difference is too small."
    return f"{left}{why[0].upper()}{why[1:]}" if left else why


def _listed(seeds: Sequence[int]) -> str:
    return f"seeds {', '.join(map(str, seeds))} have" if len(seeds) > 1 else f"seed {seeds[0]} has"


def _missing(members: Sequence[Record], runs: Sequence[Record]) -> tuple[str, str]:
    """Why none of a method's runs has a baseline: the nearest one and in what it differs; and the command for one."""
    method = members[0]
    alone = [one for one in runs if one["role"] == "baseline" and one["student"] == method["student"]]
    finished = [one for one in alone if one["mAP"] is not None]
    seeds, own = {one["seed"] for one in finished}, {one["seed"] for one in members}
    # Of one that is not finished the length is not known, nor what it was evaluated on.
    waiting = [one for one in alone if one["mAP"] is None and one["seed"] in own
               and all(one[key] == method[key] for key in _ASKED)]  # fmt: skip
    if waiting:
        return f"its baseline is not finished: {waiting[0]['run']}", resume_command(waiting[0])
    if finished:
        nearest = min(finished, key=lambda one: len(_unlike(method, one)))
        unlike = _unlike(method, nearest)
        command = baseline_command(method, method["seed"], unlike)
        if unlike:
            return f"its baseline was run with another {' and '.join(_BUDGET[key] for key in unlike)}", command
        if method["seed"] not in seeds:
            known = ", ".join(map(str, sorted(seeds, key=str)))
            return f"the baselines have seeds {known}, and none of its own", command
        keys = unlike_recipes(method, nearest)
        how = f" ({', '.join(keys)})" if keys else ""
        return f"its baseline was trained in another way{how}", command
    return "there is no baseline", baseline_command(method, method["seed"])


def _unlike(method: Record, baseline: Record) -> list[str]:
    return [key for key in _BUDGET if method[key] != baseline[key]]
