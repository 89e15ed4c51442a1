"""Estimates of time from the steps that finished runs measured."""

from __future__ import annotations

import pytest

from pkdcli.runs.estimate import measured, seconds_for
from pkdcli.runs.store import write_json, write_text

WANTED = {"student": "fcos50", "scale": "tiny", "data": "shapes", "role": "distill", "teacher": "gfl101"}


def result(rate, seconds=None, train_seconds=None, **changes):
    return {**WANTED, "images_per_second": rate, "seconds": seconds, "train_seconds": train_seconds,
            "max_iters": None, **changes}  # fmt: skip


def test_images_over_the_median_rate_and_what_start_and_evaluation_took():
    results = [result(10.0, 130.0, 100.0), result(40.0, 110.0, 100.0), result(20.0, 120.0, 100.0)]
    assert seconds_for(results, WANTED, 4000) == 4000 / 20 + 20


def test_another_student_or_scale_says_nothing():
    assert seconds_for([result(10.0, student="retina50"), result(10.0, scale="paper")], WANTED, 100) is None
    assert seconds_for([], WANTED, 100) is None


@pytest.mark.parametrize(
    "worse",
    [{"role": "baseline", "teacher": None}, {"teacher": "maskswin"}, {"max_iters": 4}, {"data": "bccd"}],
)
def test_the_closest_runs_count_and_others_only_where_there_are_none(worse):
    assert seconds_for([result(10.0), result(50.0, **worse)], WANTED, 100) == 10.0
    assert seconds_for([result(50.0, **worse)], WANTED, 100) == 2.0


def test_a_resumed_run_of_which_only_the_end_was_timed_takes_no_time_away():
    assert seconds_for([result(10.0, 5.0, 100.0)], WANTED, 100) == 10.0


def test_only_results_that_measured_steps_are_read(tmp_path):
    write_json(tmp_path / "a" / "a" / "result.json", result(10.0))
    write_json(tmp_path / "b" / "b" / "result.json", result(20.0))
    for name, content in (("c", '{"images_per_second": null}'), ("d", "[1]"), ("e", "{half"), ("f", "{}")):
        write_text(tmp_path / "a" / name / "result.json", content)
    write_json(tmp_path / "a" / "g" / "result.json", result(True))
    found = measured([tmp_path / "a", tmp_path / "b", tmp_path / "absent"])
    assert [one["images_per_second"] for one in found] == [10.0, 20.0]
