"""The same figure as characters, as SVG for the page, and as files."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from rich.console import Console

from pkdcli.reporting.plots import axes, svg
from pkdcli.reporting.plots.figure import Figure, Panel, Rule, Series
from pkdcli.reporting.plots.terminal import bar, print_figures, spark

LINES = Panel("", "loss weight", "mAP (AP points)", [Series("mse", [10.0, 30.0], [31.0, 33.5], [1.0, None], "mse")],
              [Rule("baseline", 16.75, 1.0, "baseline")], points=True)  # fmt: skip
CURVES = Panel("Loss", "iteration", "loss", [Series("a <b>", [0, 10, 20], [100.0, 10.0, 1.0])], log_y=True)
_BARS = [Series("t", [0, 1], [40.0, None]), Series("s", [0, 1], [20.0, 30.0], [1.0, 2.0])]
BARS = Panel("", "size", "AP (AP points)", _BARS, kind="bars", categories=["small\n(x)", "large"])  # fmt: skip
SHARES = Panel("Gradient", "share (%)", "", [Series("P3", [0, 1], [75.0, 5.0]), Series("P4", [0, 1], [25.0, 95.0])],
               kind="shares", categories=["mse", "pkd"], y_range=(0.0, 100.0))  # fmt: skip
FIGURES = [Figure(f"figure{n}", "kind", f"Title {n}", "A caption.", [panel]) for n, panel in
           enumerate((LINES, CURVES, BARS, SHARES))]  # fmt: skip


def printed(figures, width=60):
    out = io.StringIO()
    print_figures(figures, Console(file=out, width=width, no_color=True))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_a_sweep_in_the_terminal():
    assert (
        printed([FIGURES[0]])
        == """\
Title 0
baseline        16.8 ███████████████████
mse, weight 10  31.0 ███████████████████████████████████▏
mse, weight 30  33.5 ██████████████████████████████████████
mAP (AP points)
"""
    )


def test_the_other_kinds_in_the_terminal():
    assert (
        printed(FIGURES[2:], 44)
        == """\
Title 2
small, t       40.0 ███████████████████████
small, s       20.0 ███████████▌
large, s       30.0 █████████████████▎
AP (AP points)

Title 3
Gradient
mse █████████████ 75 ████████████▓▓▓ 25 ▓▓▓
pkd ██▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓ 95 ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
%   █ P3  ▓ P4
"""
    )


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width):
    assert max(len(line) for line in printed(FIGURES, width).splitlines()) <= width


def test_bars_and_sparks():
    assert bar(1.0, 2.0, 10) == "█████"
    assert bar(1.0, 16.0, 10) == "▋"
    assert bar(0.0, 0.0, 10) == ""
    assert bar(3.0, 2.0, 4) == "████"
    assert spark([0.0, 1.0, 2.0, 7.0], 10) == "▁▂▃█"
    assert spark([5.0, 5.0], 10) == "▁▁"
    assert spark([float(n) for n in range(100)], 8) == "▁▂▃▄▅▆▇█"


@pytest.mark.parametrize("panel", [LINES, CURVES, BARS, SHARES])
def test_svg_is_whole_and_says_what_it_shows(panel):
    root = ET.fromstring(svg.draw(panel, "The title", "A & description"))
    assert root.tag == "svg"
    assert root.get("role") == "img"
    assert root.get("aria-label") == "The title. A & description"
    assert root.find("title").text == "The title"
    numbers = [
        float(value) for one in root.iter() for key, value in one.attrib.items() if key in ("x", "y", "cx", "cy")
    ]
    assert min(numbers) >= 0
    assert max(numbers) <= axes.WIDTH


def test_svg_places_points_where_they_belong():
    root = ET.fromstring(svg.draw(CURVES, "t"))
    line = root.find("polyline")
    assert line.get("data-name") == "a <b>"
    points = [tuple(map(float, point.split(","))) for point in line.get("points").split()]
    assert [x for x, _ in points] == [58.0, 224.0, 390.0]
    gaps = [b[1] - a[1] for a, b in itertools.pairwise(points)]
    assert gaps[0] == pytest.approx(gaps[1], abs=0.2)  # equal factors, equal steps
    assert [one.text for one in root.findall("text[@class='tick']")][:7] == ["1", "2", "5", "10", "20", "50", "100"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (3, 47, [10, 20, 30, 40]), (5, 5, [5]), (-1.2, 0.9, [-1, -0.5, 0, 0.5])],
)
def test_ticks_are_round(low, high, expected):
    assert axes.ticks(low, high) == pytest.approx(expected)


def test_ticks_of_a_logarithmic_axis():
    assert axes.log_ticks(0.3, 7) == pytest.approx([0.5, 1, 2, 5])
    assert axes.log_ticks(1e-3, 1e6) == pytest.approx([10.0**n for n in range(-3, 7)])


def test_files_are_pictures_and_the_same_again(tmp_path):
    from pkdcli.reporting.plots.files import write_figures

    paths = write_figures(FIGURES[:1], tmp_path / "a")
    assert [path.name for path in paths] == ["figure0.png", "figure0.svg", "figure0.pdf"]
    assert [path.read_bytes()[:4] for path in paths] == [b"\x89PNG", b"<?xm", b"%PDF"]
    text = (tmp_path / "a" / "figure0.svg").read_text()
    for word in ("Title 0", "mAP (AP points)", "loss weight", "baseline", "mse"):
        assert f">{word}<" in text
    again = write_figures(FIGURES[:1], tmp_path / "b")
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    assert (tmp_path / "a" / "captions.md").read_text() == "# Captions\n\n## Title 0\n\n`figure0`: A caption.\n"


def test_every_kind_can_be_drawn(tmp_path):
    from pkdcli.reporting.plots.files import write_figures

    assert all(path.stat().st_size > 5000 for path in write_figures(FIGURES[1:], tmp_path, ("png",)))


def test_matplotlib_is_only_imported_to_write_files():
    code = "import sys, pkdcli.reporting.plots.build, pkdcli.reporting.plots.terminal\n"
    code += "import pkdcli.reporting.page.build as p\n"
    code += "p.render([], [], [], [], '.')\n"
    code += "print([m for m in ('matplotlib', 'torch', 'pandas', 'cv2', 'mmengine') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
