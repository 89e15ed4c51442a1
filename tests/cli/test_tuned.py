"""What `pkd tune` ends with, in sentences."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from pkdcli.api.tune.result import Confirmation, Tuned
from pkdcli.cli.tuned import result_lines

COMMAND = "pkd tune --runs 'my runs' --confirm-seeds 1 --weight 1..100 --confirm-seeds=7"


def found(lead, confirmation=None, seed=0):
    best, other = (SimpleNamespace(id=name, path=f"runs/{name}", recipe=SimpleNamespace(seed=seed)) for name in "ab")
    trials = [{"run": "a", "weight": 5.0}, {"run": "b", "weight": 10.0}]
    return Tuned(best, {"weight": 5.0}, 38.1, other, lead, {}, 1900, 8, 4800, 846.0, None, (600,), trials,
                 confirmation=confirmation)  # fmt: skip


def confirmed(by_seeds, seeds=(1, 2)):
    return Confirmation(seeds, {"a": ("a1", "a2"), "b": ("b1", "b2")}, {"a": (38.0, 38.2), "b": (37.0, 37.4)},
                        by_seeds, 2400, 1084.0)  # fmt: skip


def test_a_lead_above_zero_needs_no_more_seeds():
    assert result_lines(found((0.9, 0.1, 1.7)), COMMAND) == [
        "best: weight 5, mAP 38.1; 0.9 points above the runner-up, weight 10 (95 % over images: +0.1 to +1.7)",
        "spent: 1,900 steps in 14:06; a full grid of 8 runs takes 4,800 (40 %)",
        "one seed each: pkd report --verdict judges a gain over several. Its folder: runs/a",
    ]
    told = result_lines(found((0.9, 0.1, 1.7), confirmed((0.2, 1.6))), COMMAND)
    assert told == [
        "best: weight 5, mAP 38.1 over seeds 1, 2; 0.9 points above the runner-up, weight 10 "
        "(95 % over images: +0.1 to +1.7, over seeds: +0.2 to +1.6)",
        "spent: 4,300 steps in 32:10, of which confirmation 2,400 in 18:04; a full grid of 8 runs takes 4,800 "
        "(the search 40 % of them)",
        "the finalists alone: pkd report --verdict judges a gain over several. Its folder: runs/a",
    ]


@pytest.mark.parametrize(
    ("lead", "confirmation", "seed", "seeds"),
    [
        ((0.9, -0.3, 2.1), None, 0, "1,2"),
        ((0.9, None, None), None, 4, "5,6"),
        ((0.9, 0.1, 1.7), confirmed((-0.1, 1.9)), 0, "1,2,3,4"),
        ((0.9, -0.1, 1.7), confirmed((0.1, 1.9)), 9, "1,2,10,11"),
        ((0.9, 0.1, 1.7), confirmed(None, (3,)), 0, "3,4,5"),
    ],
)
def test_an_interval_that_holds_zero_names_the_seeds_that_may_tell(lead, confirmation, seed, seeds):
    told = result_lines(found(lead, confirmation, seed), COMMAND)[-2]
    assert told == (
        "which of the two is better is not decided; two more seeds may tell: "
        f"pkd tune --runs 'my runs' --weight 1..100 --confirm-seeds {seeds}"
    )


@pytest.mark.parametrize(
    ("ends", "line"),
    [
        ((3.0, 30.0), "the best weight lies between 3 and 30, the nearest tried that are worse"),
        ((3.0, None), "the best weight, 5, is at the upper end of what was tried: search on beyond it"),
        ((None, 30.0), "the best weight, 5, is at the lower end of what was tried: search on beyond it"),
        ((None, None), "beside the best weight, 5, nothing tried is known to be worse: search on beyond both ends"),
    ],
)
def test_where_the_best_value_lies(ends, line):
    assert result_lines(replace(found((0.9, 0.1, 1.7)), interval={"weight": ends}), COMMAND)[1] == line
