"""Samples by turns, and ratios from them."""

from __future__ import annotations

import time

import pytest
import torch

from pkdcli.engine.bench import measure
from pkdcli.engine.bench.measure import Section, extra_memory, interleaved, quartiles


def test_pieces_take_turns_and_the_warm_up_does_not_count():
    calls = []
    samples = interleaved(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, repeat=3, warmup=2, wait=lambda: None
    )
    assert "".join(calls) == "ababababab"
    assert list(samples) == ["a", "b"]
    assert [len(seconds) for seconds in samples.values()] == [3, 3]
    assert all(second >= 0 for seconds in samples.values() for second in seconds)


def test_what_the_device_still_has_to_do_is_waited_for():
    told = []
    interleaved({"a": lambda: told.append("a")}, repeat=1, warmup=0, wait=lambda: told.append("wait"))
    assert told == ["wait", "a", "wait"]


def test_the_clock_is_the_one_asked_for(monkeypatch):
    ticks = iter(range(100))
    assert interleaved({"a": lambda: None}, 2, 0, lambda: None, read=lambda: next(ticks)) == {"a": [1, 1]}
    monkeypatch.setattr(measure, "clock", "cpu")
    assert interleaved({"a": lambda: time.sleep(0.1)}, 1, 0)["a"][0] < 0.09


def section():
    made = Section("step", "A step")
    made.time({"a": [1.0, 2.0, 9.0], "b": [2.0, 8.0, 3.0], "c": [2.0, 2.0, 1.5]})
    return made


def test_medians_and_ratios_are_made_of_the_samples_round_by_round():
    made = section()
    assert [timing["median"] for timing in made.timings] == [2.0, 3.0, 2.0]
    # By rounds 1/2, 2/8 and 9/3: their median, which is not the medians' 2/3.
    assert made.ratio("a by b", ["a"], ["b"]) == 0.5
    assert made.ratios[0] == {
        "name": "a by b", "of": ["a"], "by": ["b"], "times": 1.0, "less": 0.0,
        "value": 0.5, "low": 0.375, "high": 1.75, "at_least": None, "at_most": None, "ok": None,
    }  # fmt: skip


def test_sums_factors_and_what_is_taken_off():
    made = section()
    # (2 + 2) / 1, (8 + 2) / 2, (3 + 1.5) / 9
    assert made.ratio("overhead", ["b", "c"], ["a"], less=1.0) == 3.0
    # twice (1 + 1) / 2, (2 + 2) / 8, (9 + 9) / 3: a name may come more than once
    assert made.ratio("share", ["a", "a"], ["b"], times=2.0) == 2.0


@pytest.mark.parametrize(
    ("bounds", "ok"),
    [({"at_least": 0.5}, True), ({"at_least": 0.6}, False), ({"at_most": 0.5}, True), ({"at_most": 0.4}, False)],
)
def test_bounds_are_held_against_the_value(bounds, ok):
    made = section()
    made.ratio("a by b", ["a"], ["b"], **bounds)
    made.number("memory", 0.5, "MiB", **bounds)
    assert [made.ratios[0]["ok"], made.numbers[0]["ok"]] == [ok, ok]


def test_quartiles():
    assert quartiles([4.0]) == (4.0, 4.0, 4.0)
    assert quartiles([5.0, 1.0, 2.0, 4.0, 3.0]) == (2.0, 3.0, 4.0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="of the CPU's allocator")
def test_extra_memory_is_the_most_at_a_time():
    def piece():
        for _ in range(3):
            a = torch.empty(1 << 18)  # 1 MiB
            b = torch.empty(1 << 19)  # 2 MiB beside it
            del a, b

    piece()
    assert extra_memory(piece) == pytest.approx(3, abs=0.01)
    assert extra_memory(lambda: None) == 0
