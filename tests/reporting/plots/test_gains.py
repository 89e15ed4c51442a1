"""Gains with their intervals: what they are of, what is drawn of them, and how."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import pytest
from rich.console import Console
from scipy import stats

from pkdcli.reporting.plots import svg
from pkdcli.reporting.plots.axes import axes
from pkdcli.reporting.plots.figure import Panel, Rule, Series
from pkdcli.reporting.plots.files import draw
from pkdcli.reporting.plots.gains import gains_figure
from pkdcli.reporting.plots.groups import groups_of
from pkdcli.reporting.plots.terminal import print_figures
from pkdcli.reporting.statistics import Interval
from pkdcli.runs.baselines import add_gains

FIVE = [1.0, 1.4, 0.6, 1.2, 0.9]


@pytest.fixture
def group(record):
    """mse with five seeds, pkd with one, and one that has no baseline of its seed."""
    runs = [record(f"base{seed}", 30.0 + seed, role="baseline", seed=seed) for seed in range(5)]
    runs += [record(f"mse{seed}", 30.0 + seed + gain, seed=seed) for seed, gain in enumerate(FIVE)]
    runs += [record("pkd0", 30.5, loss="pkd"), record("kl9", 33.0, loss="norm-kl", seed=9)]
    add_gains(runs)
    (found,) = groups_of(runs, runs)
    return found


def none(record):
    return None


def test_seeds_have_students_interval_and_one_seed_that_of_the_images(group):
    figure = gains_figure(group, lambda record: Interval(0.5, -0.7, 1.7, 200))
    (panel,) = figure.panels
    assert panel.categories == ["mse, weight 10 (5 seeds)", "pkd, weight 10 (1 seed)"]
    seeds, images = panel.series
    low, high = stats.t.interval(0.95, 4, loc=1.02, scale=stats.sem(FIVE))
    assert (seeds.name, seeds.y) == ("95 % over seeds", [pytest.approx(1.02), None])
    assert seeds.ends == [pytest.approx((low, high)), None]
    assert (images.name, images.y, images.ends) == ("95 % over images, one seed", [None, 0.5], [None, (-0.7, 1.7)])
    assert figure.caption == (
        f"mse, weight 10: +1.0, {low:+.1f} to {high:+.1f} over 5 seeds; pkd, weight 10: +0.5, -0.7 to +1.7 over 200 "
        "images. Where an interval holds 0, there may be no gain at all."
    )
    assert figure.name == "gains__gfl101-fcos50__2x__shapes-tiny"


def test_one_seed_without_detections_has_a_point_alone(group):
    (panel,) = gains_figure(group, none).panels
    assert [(one.name, one.ends) for one in panel.series][1] == ("one seed, no interval", [None, None])


def test_without_baselines_there_is_nothing_to_see(record):
    runs = [record("mse", 30.0)]
    assert gains_figure(*groups_of(runs, runs), none) is None


def test_two_seeds_do_not_stretch_the_axis_for_ever(record):
    runs = [record("base0", 30.0, role="baseline"), record("base1", 30.0, role="baseline", seed=1),
            record("mse0", 31.0), record("mse1", 33.0, seed=1)]  # fmt: skip
    add_gains(runs)
    (panel,) = gains_figure(*groups_of(runs, runs), none).panels
    (ends,) = panel.series[0].ends
    assert ends[1] == pytest.approx(2 + 12.706 * 1.0, abs=0.01)
    assert panel.y_range == pytest.approx((-6 - 0.6, 6 + 0.6))
    root = ET.fromstring(svg.draw(panel, "t"))
    (path,) = [one for one in root.findall("path") if "H" in one.get("d") and one.get("class").startswith("c")]
    assert path.get("d").count("M") == 1  # both ends lie beyond the axis, and have no caps


def test_gains_of_nothing_are_drawn_on_an_axis_that_has_an_extent(record):
    runs = [record(f"base{seed}", 0.0, role="baseline", seed=seed) for seed in (0, 1)]
    runs += [record(f"mse{seed}", 0.0, seed=seed) for seed in (0, 1)]
    add_gains(runs)
    (group,) = groups_of(runs, runs)
    figure = gains_figure(group, none)
    assert figure.panels[0].y_range == (-1.0, 1.0)
    out = io.StringIO()
    print_figures([figure], Console(file=out, width=70, no_color=True))
    assert "mse, weight 10 (2 seeds)" in out.getvalue()
    assert "nan" not in svg.draw(figure.panels[0], "", "")


def test_svg_draws_points_and_ends_where_they_belong(group):
    (panel,) = gains_figure(group, lambda record: Interval(0.5, -0.7, 1.7, 200)).panels
    root = ET.fromstring(svg.draw(panel, "t"))
    points = root.findall("circle")
    assert [one.find("title").text for one in points][1] == "pkd, weight 10 (1 seed): +0.5, -0.7 to +1.7"
    zero = next(float(one.get("d")[1:].split()[0]) for one in root.findall("path") if one.get("class") == "axis")
    low, high = panel.y_range
    scale = (svg.WIDTH - 20) / (high - low)
    assert [float(one.get("cx")) for one in points] == pytest.approx([zero + 1.02 * scale, zero + 0.5 * scale], abs=0.2)
    intervals = [one.get("d") for one in root.findall("path") if one.get("class").startswith("c")]
    assert [float(one[1:].split()[0]) for one in intervals][1] == pytest.approx(zero - 0.7 * scale, abs=0.2)
    assert all(one.count("M") == 3 for one in intervals)  # a line and two caps


def test_files_have_the_same_ends(group):
    (axes,) = draw(gains_figure(group, lambda record: Interval(0.5, -0.7, 1.7, 200))).axes
    found = [tuple(line.get_segments()[0][:, 0]) for line in axes.collections]
    low, high = stats.t.interval(0.95, 4, loc=1.02, scale=stats.sem(FIVE))
    assert found == [pytest.approx((low, high)), pytest.approx((-0.7, 1.7))]
    assert [text.get_text() for text in axes.texts] == ["+1.0", "+0.5"]


def test_the_terminal_draws_a_line_from_end_to_end(group):
    out = io.StringIO()
    figure = gains_figure(group, lambda record: Interval(0.5, -0.7, 1.7, 200))
    print_figures([figure], Console(file=out, width=70, no_color=True))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert lines[1:3] == [
        "mse, weight 10 (5 seeds)           +1.0          ┊      ├───●───┤",
        "pkd, weight 10 (1 seed)            +0.5  ├───────┼────●────────────┤",
    ]


def test_the_spread_of_a_baseline_is_a_band_and_no_bar_ends_outside():
    panel = Panel("", "loss weight", "mAP (AP points)", [Series("mse", [10.0, 30.0], [31.0, 33.5], [1.0, 4.0], "mse")],
                  [Rule("baseline", 16.75, 2.0, "baseline")], points=True)  # fmt: skip
    found = axes(panel)
    (band,) = found.bands
    ((_, rule),) = found.rules
    assert band[1] - rule == pytest.approx(rule - band[2])
    low, high = map(float, found.ends.split(",")[2:])
    assert high > 37.5
    assert low < 14.75
    rect = next(one for one in ET.fromstring(svg.draw(panel, "t")).iter() if "band" in one.get("class", ""))
    assert float(rect.get("height")) == pytest.approx(band[1] - band[2], abs=0.1)
