"""The pictures of a comparison: the numbers in them are those of the tables."""

from __future__ import annotations

import dataclasses
import io
import re

import numpy as np
import pytest
from rich.console import Console

from pkdcli.recipe.resolve import Request, resolve
from pkdcli.reporting.compare.figures import MOST_CLASSES, compared_figures
from pkdcli.reporting.compare.groups import Group, against, labels
from pkdcli.reporting.plots import svg
from pkdcli.reporting.plots.figure import Figure, Panel, Series, lanes
from pkdcli.reporting.plots.terminal import print_figures
from pkdcli.reporting.statistics import Interval


@pytest.fixture(scope="module")
def groups(two):
    """A baseline, pkd, and a teacher."""
    _, a, b = two

    def group(run, loss, name):
        recipe = resolve(Request(scale="tiny", loss=loss))
        return Group(name, (dataclasses.replace(run, run=f"gfl101-fcos50__{name}__2x", recipe=recipe),))

    return group(a, "none", "baseline"), group(b, "pkd", "pkd-w10"), group(b, "none", "own")


def test_differences_errors_and_calibration(groups):
    a, b, teacher = groups
    found = against(a, b, 30)
    differences, classes, errors, calibration = compared_figures([found], teacher)
    (panel,) = differences.panels  # one pair of seeds tells nothing over seeds
    (series,) = panel.series
    assert (series.name, series.look, panel.kind) == ("pkd-w10", "pkd", "intervals")
    assert series.y == [found.metrics[name].by_images.mean for name in panel.categories]
    intervals = [found.metrics[name].by_images for name in panel.categories]
    assert series.ends == [(one.lower, one.upper) for one in intervals]
    assert panel.y_range[0] < min(0.0, *(one.lower for one in intervals))
    assert panel.y_range[1] > max(0.0, *(one.upper for one in intervals))
    assert f"mAP {series.y[0]:+.1f} (" in differences.caption
    (panel,) = classes.panels
    assert panel.series[0].y == sorted(panel.series[0].y, reverse=True)
    assert dict(zip(panel.categories, panel.series[0].y, strict=True)) == pytest.approx(
        {name: b.by_class[name] - a.by_class[name] for name in ("car", "person")}
    )
    kinds, sums = errors.panels
    assert [one.name for one in kinds.series] == ["teacher", "baseline", "pkd-w10"]
    assert [one.look for one in kinds.series] == ["teacher", "baseline", "pkd"]
    assert kinds.series[1].y == [a.errors[kind] for kind in ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")]
    assert sums.series[2].y == [b.errors["FP"], b.errors["FN"]]
    assert [one.error for one in kinds.series] == [[], [], []], "one run each"
    assert not errors.caption.endswith("to each side.")
    (panel,) = calibration.panels
    bins = [one for one in a.runs[0].calibration()["bins"] if one["count"]]
    assert panel.series[1].x == pytest.approx([100 * one["avg_confidence"] for one in bins])
    assert panel.series[1].y == pytest.approx([100 * one["avg_accuracy"] for one in bins])
    assert panel.series[-1].y == [0.0, 100.0]


def test_calibration_of_seeds_counts_every_detection_once(groups):
    a, b, _ = groups
    whole = Group("both", (*a.runs, *b.runs)).calibration
    parts = [run.calibration()["bins"] for run in (*a.runs, *b.runs)]
    expected = []
    for first, second in zip(*parts, strict=True):
        counts = np.array([first["count"], second["count"]])
        if counts.sum():
            expected.append([100 * np.average([one[key] for one in (first, second)], weights=counts)
                             for key in ("avg_confidence", "avg_accuracy")])  # fmt: skip
    assert np.array(whole) == pytest.approx(np.array(expected))


def test_errors_of_several_seeds_have_their_spread(groups):
    a, b, _ = groups
    both = Group("both", (*a.runs, *b.runs))
    found = dataclasses.replace(against(a, b, 0), a=both, b=both)
    _, _, errors, _ = compared_figures([found])
    values = [run.errors()["points"]["Loc"] for run in both.runs]
    assert errors.panels[0].series[0].error[1] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    assert errors.caption.endswith("Bars and bands: one standard deviation over seeds to each side.")


def test_of_many_classes_those_that_differ_most_are_shown(groups):
    a, b, _ = groups
    found = against(a, b, 0)
    many = {f"class {n}": Interval(float(n), n - 1.0, n + 1.0, 40) for n in range(-30, 50)}
    figure = compared_figures([dataclasses.replace(found, classes=many)])[1]
    (panel,) = figure.panels
    half = MOST_CLASSES // 2
    shown = [*range(49, 49 - half, -1), *range(-30 + half - 1, -31, -1)]
    assert panel.categories == [f"class {n}" for n in shown]
    assert figure.caption.endswith("Of 80 classes those 24 that differ most.")


def test_names_tell_groups_apart(groups):
    a, b, _ = groups
    assert labels([a, b]) == ["baseline", "pkd-w10"]
    other = Group("x", (dataclasses.replace(b.runs[0], run="retina__pkd-w10__2x"),))
    assert labels([a, b, other]) == ["gfl101-fcos50 baseline", "gfl101-fcos50 pkd-w10", "retina pkd-w10"]
    again = Group("second", (dataclasses.replace(b.runs[0], run="gfl101-fcos50__pkd-w10__1x"),))
    assert labels([b, again]) == ["pkd-w10", "second"]


def test_several_intervals_of_a_category_stand_below_each_other():
    series = [Series("a", [0.0, 1.0], [4.0, None], ends=[(2.0, 6.0), None]),
              Series("b", [0.0, 1.0], [1.0, -1.0], ends=[(-2.0, 4.0), None])]  # fmt: skip
    panel = Panel("", "points", "", series, kind="intervals", categories=["<first>", "second"], y_range=(-2.0, 6.0))
    assert lanes(panel) == (2, [[0, 1], [1]])
    drawn = svg.draw(panel, "t")
    assert re.findall(r"<title>(.*?)</title>", drawn)[1:] == [
        "&lt;first&gt;, a: +4.0, +2.0 to +6.0", "&lt;first&gt;, b: +1.0, -2.0 to +4.0", "second, b: -1.0",
    ]  # fmt: skip
    places = [tuple(map(float, one)) for one in re.findall(r'<circle class="f\d" cx="([\d.]+)" cy="([\d.]+)"', drawn)]
    # From -2 to 6 over 380 units from 10: 4 is at 295, 1 at 152.5, -1 at 57.5. Two lanes of 13, or the middle of both.
    assert places == [(295.0, 27.5), (152.5, 40.5), (57.5, 79.0)]
    out = io.StringIO()
    print_figures([Figure("n", "differences", "t", "c", [panel])], Console(file=out, width=60, color_system=None))
    lines = [line.split()[:3] for line in out.getvalue().splitlines() if "●" in line]
    assert lines == [["<first>,", "a", "+4.0"], ["<first>,", "b", "+1.0"], ["second,", "b", "-1.0"]]
