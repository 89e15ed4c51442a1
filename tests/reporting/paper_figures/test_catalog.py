"""Which figures there are, and what a user may ask of them."""

from __future__ import annotations

import pytest

from pkdcli.engine.analysis.activations import REDUCTIONS as MEASURED
from pkdcli.errors import PkdError
from pkdcli.recipe import library
from pkdcli.reporting.paper_figures import catalog
from pkdcli.reporting.paper_figures.catalog import FIGURES, look, numbers
from pkdcli.reporting.paper_figures.patterns import REDUCED, SHORT

ALL = ["P2", "P3", "P4", "P5", "P6"]


def test_the_figures_of_the_appendix():
    assert {number: figure.pair for number, figure in FIGURES.items()} == {
        4: "fcosx101-retina50", 5: "gfl101-fcos50", 6: "maskswin-faster50", 7: "retinax101-retina50",
        8: "gfl101-fcos50",
    }  # fmt: skip
    assert {figure.pair for figure in FIGURES.values()} <= set(library.names("pairs"))


def test_reductions_are_those_that_are_measured_and_named():
    assert set(catalog.REDUCTIONS) == set(MEASURED) == set(REDUCED) == set(SHORT)


@pytest.mark.parametrize(
    ("text", "expected"), [("all", [4, 5, 6, 7, 8]), ("4", [4]), ("8, 5,8", [5, 8]), ("4,all", [4, 5, 6, 7, 8])]
)
def test_numbers(text, expected):
    assert numbers(text) == expected


@pytest.mark.parametrize("text", ["9", "four", "", "4,x", "4.5", ","])
def test_other_numbers_are_refused(text):
    with pytest.raises(PkdError, match="unknown figure") as caught:
        numbers(text)
    assert caught.value.hint.endswith("Allowed: 4, 5, 6, 7, 8, all.")


def test_each_figure_has_the_stages_of_the_paper():
    looks = {number: look(number, "max", None, (), ALL) for number in FIGURES}
    assert {number: (one.levels, one.channel_levels) for number, one in looks.items()} == {
        4: (("P3",), ()),
        5: (("P3", "P4", "P5", "P6"), ()),
        6: (("P3",), ("P3", "P6")),
        7: ((), ("P3", "P6")),
        8: (("P3", "P4", "P5", "P6"), ()),
    }
    assert [one.color_scale for one in looks.values()] == ["shared", "detector", "detector", "detector", "shared"]


def test_chosen_stages_stand_for_the_figure_s_own_in_the_order_of_the_detectors():
    assert look(6, "norm", "own", ("P5", "P2"), ALL) == catalog.Look(("P2", "P5"), ("P2", "P5"), "norm", "own")
    assert look(7, "max", None, ("P4",), ["P4"]).levels == ()
    assert look(7, "max", None, ("P4",), ["P4"]).channel_levels == ("P4",)


def test_stages_that_are_not_in_common_are_left_out():
    assert look(5, "max", None, (), ["P3", "P4"]).levels == ("P3", "P4")


def test_a_stage_that_is_not_there_is_refused():
    with pytest.raises(PkdError) as caught:
        look(4, "max", None, ("P7",), ALL)
    assert caught.value.message == "--levels: unknown stage 'P7'."
    assert "Allowed: P2, P3, P4, P5, P6." in caught.value.hint


def test_a_figure_without_a_stage_left_says_so():
    with pytest.raises(PkdError, match="figure 4 shows P3, which the detectors don't have in common") as caught:
        look(4, "max", None, (), ["P4", "P5"])
    assert caught.value.hint == "Choose some with --levels; they have P4, P5."


def test_figure_6_tells_of_the_conflict_and_4_of_its_pair():
    assert "channel 210 of P6" in FIGURES[6].notes[0]
    assert "caption of Figure 6" in FIGURES[6].notes[0]
    assert "does not name Figure 4's pair" in FIGURES[4].notes[0]
