"""Numbers as two characters: what is packed can be read again, and what does not fit stays as it is."""

from __future__ import annotations

import json
from html import escape

import pytest

from pkdcli.reporting.page import packed
from pkdcli.reporting.page.packed import BASE, LARGEST, Charts, pack, packed_boxes, tenths
from pkdcli.reporting.plots.figure import Panel, Rule, Series


def unpack(text):
    """As charts.js does."""
    values = {digit: n for n, digit in enumerate(packed._DIGITS)}
    return [values[a] * BASE + values[b] for a, b in zip(text[::2], text[1::2], strict=True)]


def test_every_number_is_read_again_and_needs_no_escaping():
    numbers = list(range(LARGEST + 1))
    text = pack(numbers)
    assert unpack(text) == numbers
    assert len(text) == 2 * len(numbers)
    assert json.dumps(text) == f'"{text}"'
    assert escape(text) == text
    assert LARGEST >= 4000  # tenths of the 400 units of a picture


@pytest.mark.parametrize("large", [LARGEST + 1, -1])
def test_boxes_that_do_not_fit_stay_as_they_are(large):
    boxes = [[1, 2, 30, 40, 5, 0.35], [0, 0, LARGEST, 7, 79, 1.0]]
    assert unpack(packed_boxes(boxes)) == [1, 2, 30, 40, 5, 35, 0, 0, LARGEST, 7, 79, 100]
    boxes[1][2] = large
    assert packed_boxes(boxes) is boxes
    assert packed_boxes([]) == ""


def test_coordinates_are_held_within_what_can_be_written():
    assert unpack(tenths([0.04, 12.26, 400.0, -3.0, 1e6])) == [0, 123, 4000, 0, LARGEST]
    assert tenths([]) == ""


def test_what_panels_have_in_common_stands_once():
    charts = Charts()
    panels = [
        Panel("Loss", "iteration", "loss", [Series("all", [0, 5, 10], [y, 2.0, 1.0])], [Rule("teacher", 1.5)])
        for y in (3.0, 4.0)
    ]
    one, two = (charts.add(panel) for panel in panels)
    words = charts.shared()["words"]
    assert len(words) == len(set(words))
    assert one[:3] == two[:3]
    assert [words[place] for place in one[:3]] == ["Loss", "iteration", "loss"]
    ((_, name, xs, ys),) = one[9]
    assert (words[name], unpack(words[xs])) == ("all", [580, 2240, 3900])
    assert len(unpack(ys)) == 3
    assert two[9][0][2] == xs
    assert two[9][0][3] != ys
    assert charts.add(Panel("None", "x", "y", [])) == []
