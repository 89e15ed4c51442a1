"""Searches of `pkd tune`: the curve of weights and the parallel coordinates are those of its trials."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from pkdcli.reporting.plots import svg
from pkdcli.reporting.plots.build import figures
from pkdcli.reporting.plots.figure import threads
from pkdcli.reporting.plots.terminal import print_figures
from pkdcli.runs.collect import collect
from pkdcli.runs.searches import Search, keep_search, searches_in
from pkdcli.runs.store import write_text

CURVES = {
    "w1": (1.0, {100: 9.0}),
    "w3": (3.0, {100: 13.0, 200: 19.0, 300: 24.0}),
    "w10": (10.0, {100: 14.0, 200: 20.0, 300: 25.0, 600: 36.3}),
    "w30": (30.0, {100: 15.0, 200: 21.0, 300: 24.5, 600: 35.8}),
    "w100": (100.0, {100: 11.0, 200: 18.0}),
}
RUNGS = (100, 200, 300, 600)


@pytest.fixture
def searched(run_folder):
    """A search as `pkd tune` leaves it: five trials, of which two were trained to the end, and a baseline."""
    run_folder.add("base", 29.0, role="baseline")
    for run, (weight, curve) in CURVES.items():
        done = 600 in curve
        run_folder.add(run, curve.get(600), state="done" if done else "interrupted", weight=weight)
        # What is compared is the mean of the weights; the evaluations of the training are none of the search.
        lines = [{"kind": "rung", "iter": step, "mAP": value} for step, value in curve.items()]
        lines += [{"kind": "val", "iter": step, "mAP": value / 2} for step, value in curve.items()]
        write_text(run_folder.root / run / "metrics.jsonl", "".join(json.dumps(one) + "\n" for one in lines))
    trials = {run: {"weight": weight} for run, (weight, _) in CURVES.items()}
    keep_search(run_folder.root, Search("mse-s0", RUNGS, {"weight": (1.0, 100.0)}, {}, trials, "rung"))
    return run_folder.root


def drawn(root, chosen=None):
    records = collect(root)
    return figures([one for one in records if chosen is None or one["run"] in chosen], records, kinds=["search"])


def test_the_curve_of_weights_has_a_line_for_each_comparison(searched):
    (figure,) = drawn(searched)
    curve, _ = figure.panels
    assert [(one.name, one.x, one.y) for one in curve.series] == [
        ("at the end", [10.0, 30.0], [36.3, 35.8]),
        ("after 300 steps", [3.0, 10.0, 30.0], [24.0, 25.0, 24.5]),
        ("after 200 steps", [3.0, 10.0, 30.0, 100.0], [19.0, 20.0, 21.0, 18.0]),
        ("after 100 steps", [1.0, 3.0, 10.0, 30.0, 100.0], [9.0, 13.0, 14.0, 15.0, 11.0]),
    ]
    assert (curve.log_x, curve.x_label) == (True, "loss weight")
    assert [(rule.name, rule.y) for rule in curve.rules] == [("baseline, no distillation", 29.0)]
    assert figure.title == "Search for the best weight: mse, GFL-Res101 → FCOS-Res50, 2x, shapes val, scale tiny"
    assert figure.caption == (
        "Best: weight 10 with 36.3 mAP; runner-up: weight 30 with 35.8. Measured: 5 after 100 steps, "
        "4 after 200 steps, 3 after 300 steps, 2 after 600 steps. One seed each."
    )
    assert (figure.name, figure.group) == ("search__mse-s0", ("gfl101-fcos50", "2x", "shapes"))


def test_a_search_of_an_older_release_is_drawn_by_what_it_compared(searched):
    """It evaluated the weights as they were, and its file does not say so."""
    file = searched / "tune" / "mse-s0.json"
    content = {key: value for key, value in json.loads(file.read_text()).items() if key != "compared"}
    write_text(file, json.dumps(content))
    (figure,) = drawn(searched)
    lines = {one.name: one.y for one in figure.panels[0].series}
    assert lines["after 200 steps"] == [9.5, 10.0, 10.5, 9.0]
    assert lines["at the end"] == [36.3, 35.8]


def test_parallel_coordinates_have_a_line_a_trial_that_ends_where_it_was_left(searched):
    _, panel = drawn(searched)[0].panels
    names = ["weight", "after 100 steps", "after 200 steps", "after 300 steps", "mAP at the end"]
    assert [one.name for one in panel.scales] == names
    assert panel.scales[0].ticks == [(1.0, "1"), (3.0, "3"), (10.0, "10"), (30.0, "30"), (100.0, "100")]
    lines = {one.name: [[value for _, value in line] for line in threads(one)] for one in panel.series}
    assert lines == {
        "best": [[10.0, 14.0, 20.0, 25.0, 36.3]],
        "runner-up": [[30.0, 15.0, 21.0, 24.5, 35.8]],
        "left behind": [[3.0, 13.0, 19.0, 24.0], [100.0, 11.0, 18.0], [1.0, 9.0]],
    }
    # Half a point between the two is not spread over the whole axis.
    assert panel.scales[-1].high - panel.scales[-1].low == pytest.approx(1.0)


def test_the_places_in_the_svg_are_those_of_the_values(searched):
    _, panel = drawn(searched)[0].panels
    text = svg.draw(panel, "t")
    found = re.findall(r'<polyline class="c(\d)" points="([^"]+)"', text)
    best = next([tuple(map(float, point.split(","))) for point in points.split()] for n, points in found if n == "0")
    # Weight 10 is in the middle of 1 to 100 by logarithm, between 96 and 386; axes are 46 apart, from 14.
    assert best[0] == (241.0, 14.0)
    assert [y for _, y in best] == [14.0, 60.0, 106.0, 152.0, 198.0]
    assert best[-1][0] == pytest.approx(96 + 290 * 0.75, abs=0.06)  # 36.3 of 35.55 to 36.55
    assert len(found) == 5
    assert found[-1][0] == "0", "the best is drawn over all others"
    assert "<title>best: weight 10, after 100 steps 14, after 200 steps 20" in text
    assert text.count('class="tick rimmed"') == sum(len(one.ticks) for one in panel.scales)


def test_in_the_terminal_it_is_a_table(searched):
    out = io.StringIO()
    print_figures(drawn(searched), Console(file=out, width=110, color_system=None))
    said = out.getvalue()
    assert re.search(r"at the end, weight 10\s+36\.3 █", said)
    rows = [line.split() for line in said.splitlines()]
    assert ["best", "10", "14", "20", "25", "36.3"] in rows
    assert ["left", "behind", "1", "9.0"] in rows


def test_a_search_that_is_not_over_says_who_is_ahead(searched):
    for run in ("w10", "w30"):
        (searched / run / "result.json").unlink()
        (searched / run / "status.json").write_text(
            (searched / run / "status.json").read_text().replace('"done"', '"interrupted"')
        )
    (figure,) = drawn(searched)
    assert figure.caption.startswith("Not over yet; ahead after 300 of 600 steps: weight 10 with 25.0 mAP.")
    assert [one.name for one in figure.panels[1].series] == ["trials so far"]
    assert [one.name for one in figure.panels[1].scales][-1] == "after 300 steps"


def test_it_is_shown_beside_its_trials_alone_and_outlives_runs_that_are_gone(searched):
    assert drawn(searched, {"base"}) == []
    assert len(drawn(searched, {"w1"})) == 1
    for path in (searched / "w10").iterdir():
        path.unlink()
    (figure,) = drawn(searched)
    assert figure.caption.startswith("Best: weight 30 with 35.8 mAP. Measured: 4 after 100 steps")


def test_values_of_keys_are_an_axis_too(run_folder):
    for run, value in {"a": 30.0, "b": 31.0}.items():
        run_folder.add(run, value, weight=10.0)
        line = json.dumps({"kind": "val", "iter": 2, "mAP": value / 2})
        write_text(run_folder.root / run / "metrics.jsonl", line + "\n")
    trials = {"a": {"loss.levels": "index"}, "b": {"loss.levels": "stride"}}
    keep_search(run_folder.root, Search("levels", (2, 4), {}, {"loss.levels": ("index", "stride")}, trials))
    (figure,) = drawn(run_folder.root)
    (panel,) = figure.panels
    assert panel.scales[0].ticks == [(0.0, "index"), (1.0, "stride")]
    assert [[value for _, value in line] for one in panel.series for line in threads(one)] == [
        [1.0, 15.5, 31.0],
        [0.0, 15.0, 30.0],
    ]
    assert "<title>best: levels stride, after 2 steps 15.5, mAP at the end 31" in svg.draw(panel, "t")


@pytest.mark.parametrize("text", ["", "[]", '{"name": "a"}', '{"ranges": {"weight": [1]}, "rungs": [2], "trials": {}}'])
def test_a_file_that_is_no_search_is_passed_over(searched, text):
    (searched / "tune" / "broken.json").write_text(text)
    assert [one.name for one in searches_in(searched)] == ["mse-s0"]
    assert searches_in(searched / "nowhere") == []


def test_finalists_that_were_confirmed_are_named_by_their_mean(searched, run_folder):
    """The runner-up of the search is the best over further seeds; a seed that only one has counts for neither."""
    reached = {("w10", 1): 34.0, ("w30", 1): 35.0, ("w10", 2): 35.0, ("w30", 2): 37.6, ("w30", 3): 10.0}
    for (trial, seed), mAP in reached.items():
        run_folder.add(f"{trial}-s{seed}", mAP, seed=seed, weight=CURVES[trial][0])
    (kept,) = searches_in(searched)
    keep_search(searched, replace(kept, confirmed={f"{trial}-s{seed}": trial for trial, seed in reached}))
    (figure,) = drawn(searched, {"w30"})
    assert figure.caption == (
        "Best over seeds 1, 2: weight 30 with 36.3 mAP; runner-up: weight 10 with 34.5. Measured: 5 after 100 steps, "
        "4 after 200 steps, 3 after 300 steps, 2 after 600 steps. One seed each but for the finalists."
    )
    _, parallel = figure.panels
    assert [(one.name, one.y[0]) for one in parallel.series[:2]] == [("best", 30.0), ("runner-up", 10.0)]
