"""Values of a record as text and as numbers, and the order of records."""

from __future__ import annotations

import pytest

from pkdcli.runs.record import COLUMNS, number_of, order, plain, smoke, text_of


@pytest.mark.parametrize(
    ("value", "text"),
    [(10.0, "10"), (0.5, "0.5"), (10, "10"), (None, ""), ("2x", "2x"), (1e-7, "1e-07"), (True, "true"), (0, "0")],
)
def test_plain(value, text):
    assert plain(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("pkd", "pkd"), (2, "2"), ([[0, 1]], "[[0,1]]"), (0.5, None), (True, None), (None, None), ([], None)],
)
def test_a_name_is_text_and_never_a_float_or_a_flag(value, text):
    assert text_of(value) == text


@pytest.mark.parametrize(("value", "number"), [(1.5, 1.5), (3, 3), (True, None), ("3", None), (10**400, None)])
def test_a_number_is_no_flag_no_text_and_not_beyond_a_float(value, number):
    assert number_of(value) == number


def test_a_smoke_run_says_to_what_it_was_cut_down():
    assert smoke({"max_iters": 1, "val_images": 8}) == "1 step, 8 images"
    assert smoke({"max_iters": 20}) == "20 steps"
    assert smoke({"max_iters": None}) is None


def test_schedules_are_in_the_order_of_their_numbers():
    blank = dict.fromkeys(COLUMNS)
    records = [{**blank, "schedule": name} for name in ("10x", "2x", "1x", "2x+ms")]
    assert [record["schedule"] for record in sorted(records, key=order)] == ["1x", "2x", "2x+ms", "10x"]
