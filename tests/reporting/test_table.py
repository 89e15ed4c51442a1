"""Numbers as text, and which of them are the best."""

from __future__ import annotations

import pytest

from pkdcli.reporting.table import best, metric, points, published, signed


@pytest.mark.parametrize(
    ("value", "std", "text"),
    [(41.5, None, "41.5"), (41.549, None, "41.5"), (0.0, None, "0.0"), (None, None, ""), (41.5, 0.26, "41.5 ±0.3")],
)
def test_points(value, std, text):
    assert points(value, std) == text


@pytest.mark.parametrize(
    ("value", "std", "text"),
    [
        *((2.94, None, "+2.9"), (-2.96, None, "-3.0"), (0.04, None, "0.0"), (-0.04, None, "0.0"), (0.0, None, "0.0")),
        *((None, None, ""), (2.94, 0.31, "+2.9 ±0.3"), (-0.01, 0.31, "0.0 ±0.3")),
    ],
)
def test_signed(value, std, text):
    assert signed(value, std) == text


def test_metric_takes_the_deviation_where_there_is_one():
    assert metric({"mAP": 30.0}, "mAP") == "30.0"
    assert metric({"mAP": 30.0, "mAP_std": 1.25}, "mAP") == "30.0 ±1.2"
    assert metric({"mAP": 30.0, "mAP_std": None}, "mAP") == "30.0"


def test_published_numbers_that_differ_stand_side_by_side():
    assert published(40.4) == "40.4"
    assert published([40.4, 40.3]) == "40.4 / 40.3"
    assert published(None) == ""


def test_the_best_is_by_group_and_by_what_is_printed():
    rows = [
        ("a", 0, 0, "41.5"),
        ("a", 0, 1, "42.5 ±0.3"),
        ("a", 0, 2, "42.5"),
        ("a", 0, 3, ""),
        ("b", 0, 4, "9.9"),
        ("b", 1, 0, "10.1"),
        ("alone", 2, 0, "99.0"),
    ]
    assert best(rows, 4) == {(0, 1, 4), (0, 2, 4), (1, 0, 4)}
    assert best([], 4) == set()
