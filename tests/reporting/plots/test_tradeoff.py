"""mAP against latency, operations or parameters: which axis, which points, and how they are drawn."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pkdcli.reporting.plots import files, svg
from pkdcli.reporting.plots.axes import beside
from pkdcli.reporting.plots.build import figures
from pkdcli.reporting.plots.terminal import print_figures
from pkdcli.reporting.plots.tradeoff import tradeoff_figures

SIZES = {"parameters": 1_000_000, "gflops": 0.5, "teacher_parameters": 4_000_000, "teacher_gflops": 2.0}


def timed(model, latency, **changes):
    about = {"device": "cpu", "device_name": "EPYC", "runtime": "pytorch", "batch": 1, "threads": 2, "image": [96, 96]}
    return {"model": model, "latency_ms": latency, **about, **changes}


@pytest.fixture
def runs(record):
    """A baseline, and pkd at two weights, one of which has two seeds; nothing timed."""
    titles = {"teacher_title": "GFL", "student_title": "FCOS", "teacher_mAP": 42.5, "baseline": "base"}
    found = [record("base", 31.0, role="baseline", student_title="FCOS", parameters=1_000_000, gflops=0.5)]
    found += [record(f"pkd-{s}", mAP, loss="pkd", seed=s, **titles, **SIZES) for s, mAP in ((0, 36.0), (1, 38.0))]
    return [*found, record("pkd-5", 33.0, loss="pkd", weight=5.0, **titles, **SIZES)]


def only(runs):
    (figure,) = tradeoff_figures(runs, runs)
    (panel,) = figure.panels
    return figure, panel, {one.name: list(zip(one.x, one.y, one.labels, strict=True)) for one in panel.series}


def test_without_latencies_it_is_drawn_against_operations(runs):
    figure, panel, points = only(runs)
    assert (figure.name, figure.title) == ("tradeoff__shapes-tiny", "mAP by GFLOPs: shapes val, scale tiny")
    assert panel.x_label == "GFLOPs"
    assert points == {
        "teacher": [(2.0, 42.5, "GFL")],
        "student, no distillation": [(0.5, 31.0, "FCOS")],
        "student, pkd": [(0.5, 37.0, "FCOS")],  # the better weight, the mean of its seeds
    }
    assert panel.series[2].error == [pytest.approx(2**0.5)]
    assert panel.marks == [(2.0, 42.5, "GFL"), (0.5, pytest.approx(37 + 2**0.5), "FCOS")]
    assert figure.caption == (
        "mAP by GFLOPs. teacher: GFL 42.5 at 2; student, no distillation: FCOS 31.0 at 0.5; "
        "student, pkd: FCOS 37.0 at 0.5."
    )


def test_where_operations_are_not_known_it_is_drawn_against_parameters(runs):
    _, panel, points = only([one | {"gflops": None, "teacher_gflops": None} for one in runs])
    assert panel.x_label == "parameters (millions)"
    assert (points["teacher"][0][0], points["student, pkd"][0][0]) == (4.0, 1.0)


def test_one_profiled_run_speaks_for_all_of_its_detectors(runs):
    runs[1]["profile"] = [timed("student", 11.0), timed("teacher", 30.0), timed("student", 5.0, batch=8)]
    runs[2]["profile"] = [timed("student", 13.0), timed("student", 2.0, runtime="onnxruntime"),
                          timed("teacher", 3.0, runtime="onnxruntime")]  # fmt: skip
    figure, panel, points = only(runs)
    assert panel.x_label == "latency (ms): PyTorch, EPYC, 2 threads, batch 1"
    assert figure.title == "mAP by latency: shapes val, scale tiny"
    assert points["teacher"] == [(30.0, 42.5, "GFL")]
    assert points["student, no distillation"] == [(12.0, 31.0, "FCOS")]  # the median of 11 and 13


def test_a_latency_of_one_detector_alone_compares_nothing(runs):
    runs[1]["profile"] = [timed("student", 11.0)]
    assert only(runs)[1].x_label == "GFLOPs"


def test_pairs_share_a_picture_and_data_sets_do_not(runs, record):
    other = {"pair": "a-b", "teacher": "a", "student": "b", "teacher_title": "A", "student_title": "B"}
    sizes = {"gflops": 0.7, "teacher_gflops": 3.0}
    runs.append(record("more", 30.0, loss="mse", teacher_mAP=40.0, **other, **sizes))
    _, _, points = only(runs)
    assert points["teacher"] == [(2.0, 42.5, "GFL"), (3.0, 40.0, "A")]
    assert points["student, mse"] == [(0.7, 30.0, "B")]
    runs[-1]["data"] = "coco"
    assert [one.group for one in tradeoff_figures(runs, runs)] == [(None, None, "shapes"), (None, None, "coco")]


def test_runs_of_unknown_size_and_smoke_runs_make_no_picture(runs, record):
    unknown = [one | dict.fromkeys(SIZES) for one in runs]
    assert tradeoff_figures(unknown, unknown) == []
    assert tradeoff_figures([], []) == []
    assert figures(runs, runs, kinds=["weights"])[0].kind == "weights"
    assert [one.kind for one in figures(runs, runs, kinds=["tradeoff"])] == ["tradeoff"]
    smoke = record("smoke", 99.0, loss="pkd", smoke="2 steps", **SIZES)
    assert only([*runs, smoke])[2]["student, pkd"] == [(0.5, 37.0, "FCOS")]


def test_it_is_drawn_in_files_on_the_page_and_in_the_terminal(runs, tmp_path):
    figure, panel, _ = only(runs)
    assert [one.suffix for one in files.write_figures([figure], tmp_path)] == [".png", ".svg", ".pdf"]
    text = (tmp_path / "tradeoff__shapes-tiny.svg").read_text()
    assert all(words in text for words in ("GFLOPs", "student, pkd", ">GFL<", ">FCOS<"))
    inline = svg.draw(panel, figure.title, figure.caption)
    assert inline.count("<circle") == 3
    assert "<title>student, pkd, FCOS: 37.0 at 0.5</title>" in inline
    assert "polyline" not in inline  # points of different detectors are no line
    # x begins at 0 and ends 18 % behind the last point: 58 to 390 in the picture.
    assert f'cx="{58 + 332 * 2.0 / (2.0 * 1.18):.1f}"' in inline
    console = Console(file=io.StringIO(), width=80)
    print_figures([figure], console)
    lines = console.file.getvalue().splitlines()
    assert lines[1].startswith("teacher: GFL at 2                     42.5 ███")
    assert lines[-2].split("  ")[0].strip() == "mAP (AP points), at GFLOPs"


def test_points_that_would_hide_each_other_stand_side_by_side(runs, record):
    runs.append(record("mse", 37.1, loss="mse", student_title="FCOS", **SIZES))
    _, panel, _ = only(runs)
    assert [one.name for one in panel.series][2:] == ["student, pkd", "student, mse"]
    assert beside(panel) == [[0.0], [0.0], [-0.5], [0.5]]
    axes = files.draw(tradeoff_figures(runs, runs)[0]).axes[0]
    low, high = axes.get_ylim()
    assert low < 31.0 < 42.5 < high
    assert axes.get_xlim() == (0, pytest.approx(2 * 1.18))
