"""The numbers behind the figures: CSV rows, summaries, captions, files."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from pkdcli.reporting.paper_figures.catalog import FIGURES, look
from pkdcli.reporting.paper_figures.numbers import (
    COLUMNS,
    central_range,
    channel_numbers,
    mean_square_shares,
    outside,
    overview,
    percent,
    rebinned,
    rows,
    top_channel,
)
from pkdcli.reporting.paper_figures.write import caption, write
from pkdcli.reporting.plots.style import folded, short


def how(number, features, **more):
    return look(number, more.get("reduce", "max"), None, (), features.levels_of_all())


def test_rows_have_their_columns_and_no_others_are_needed(make_features):
    features = make_features()
    for number in FIGURES:
        for kind, records in rows(features, how(number, features)).items():
            assert records
            assert all(set(COLUMNS[kind]) <= set(record) for record in records), (number, kind)


@pytest.mark.parametrize(
    ("number", "kinds"),
    [
        (4, {"statistics", "patterns", "noise", "distribution"}),
        (6, {"statistics", "patterns", "noise", "distribution", "channels"}),
        (7, {"statistics", "channels"}),
    ],
)
def test_each_figure_has_the_numbers_of_what_it_shows(make_features, number, kinds):
    features = make_features()
    assert set(rows(features, how(number, features))) == kinds


def test_pattern_rows_are_the_pattern(make_features):
    features = make_features()
    found = rows(features, how(4, features, reduce="norm"))["patterns"]
    again = np.full((12, 20), np.nan)
    for row in found:
        if (row["detector"], row["image"]) == ("student", 1):
            again[row["row"], row["column"]] = float(row["value"])
    np.testing.assert_allclose(again, features.pattern("student", "P3", 1, "norm"), rtol=1e-5)


def test_channel_rows_sum_to_the_positions_of_each_image_and_stage(make_features):
    features = make_features()
    found = rows(features, how(6, features))["channels"]
    for key in ("teacher", "student"):
        for level in ("P3", "P6"):
            for image, (height, width) in enumerate(((128, 160), (96, 160))):
                stride = features.stride(level)
                positions = -(-height // stride) * -(-width // stride)
                own = [row for row in found if (row["detector"], row["level"], row["image"]) == (key, level, image)]
                assert [row["channel"] for row in own] == list(range(8))
                assert sum(row["before"] for row in own) == positions
                assert sum(row["after"] for row in own) == positions


def test_distribution_rows_hold_every_value(make_features):
    features = make_features()
    found = rows(features, how(4, features))["distribution"]
    for key in ("teacher", "student"):
        own = [row for row in found if row["detector"] == key]
        assert sum(row["count"] for row in own) == features.statistics(key, "P3")["values"]
        widths = [float(row["density"]) * (float(row["to"]) - float(row["from"])) for row in own]
        assert sum(widths) == pytest.approx(1, rel=1e-3)


def test_shares_of_mean_square_add_up(make_features):
    features = make_features()
    levels = ["P3", "P4", "P5", "P6"]
    shares = mean_square_shares(features, "teacher", levels)
    powers = [features.statistics("teacher", level)["mean_square"] for level in levels]
    assert shares == pytest.approx([power / sum(powers) for power in powers])
    table = rows(features, how(5, features))["statistics"]
    assert [row["share_of_mean_square"] for row in table if row["detector"] == "teacher"] == pytest.approx(shares)


def test_the_top_channel_is_that_of_all_images_together(make_features):
    features = make_features()
    counts = features.numbers("teacher", "P4", 0, True) + features.numbers("teacher", "P4", 1, True)
    np.testing.assert_array_equal(channel_numbers(features, "teacher", "P4", True), counts)
    assert top_channel(features, "teacher", "P4", True) == (int(counts.argmax()), counts.max() / counts.sum())


def test_outside_is_the_mean_over_the_images_with_boxes(make_features):
    features = make_features()
    found = [features.noise("student", "P3", image) for image in (0, 1)]
    expected = tuple(np.mean([row[key] for row in found]) for key in ("share", "area"))
    assert outside(features, "student", "P3") == pytest.approx(expected)
    assert outside(make_features(boxes=False), "student", "P3") is None


def test_rebinning_keeps_the_counts():
    counts, edges = np.arange(10), np.linspace(0, 10, 11)
    wide, at = rebinned(counts, edges, 0, 10, 5)
    assert (wide.tolist(), at.tolist()) == ([1, 5, 9, 13, 17], [0, 2, 4, 6, 8, 10])
    part, at = rebinned(counts, edges, 3.5, 7.2, 3)
    assert (part.tolist(), at.tolist()) == ([3 + 4, 5 + 6, 7 + 8], [3, 5, 7, 9])
    rest, at = rebinned(counts, edges, 0, 10, 4)
    assert (rest.tolist(), at.tolist()) == ([3, 12, 21, 9], [0, 3, 6, 9, 10])
    one, at = rebinned(counts, edges, 9.5, 9.6, 80)
    assert (one.tolist(), at.tolist()) == ([9], [9, 10])


def test_the_central_range_leaves_the_outermost_values_out(make_features):
    features = make_features(factors=(3.0, 1.0, 0.2))
    low, high = central_range(features, "P3")
    counts, edges = features.histogram("teacher", "P3")
    inside = counts[(edges[:-1] >= low) & (edges[1:] <= high)].sum() / counts.sum()
    assert 0.998 <= inside < 1
    assert (edges[0] < low, high < edges[-1]) == (True, True)


def test_overview_has_a_row_for_each_detector_and_stage(make_features):
    features = make_features()
    table = overview(features)
    assert table.title == "Features of gfl101-fcos50, micro, scale tiny, 2 images"
    cells = [row for section in table.sections for row in section]
    assert [row[:2] for row in cells] == [
        [title, f"P{n} (stride {2**n})"] for title in ("GFL-Res101", "FCOS-Res50") for n in (3, 4, 5, 6, 7)
    ]
    assert all(len(row) == len(table.columns) for row in cells)


def test_captions_name_weights_images_numbers_and_what_the_paper_leaves_open(make_features):
    features = make_features()
    text = caption(6, features, how(6, features))
    assert text.startswith("# Figure 6: Noise and dominant channels of GFL-Res101 and FCOS-Res50\n")
    for part in (
        "- GFL-Res101: run teacher", "- image 1: /images/1.png", "Stages: P3 (stride 8), P6 (stride 64).",
        "drawn here of gfl101-fcos50 instead of maskswin-faster50", "channel 210 of P6", "(x - mean) / (std + 1e-6)",
    ):  # fmt: skip
        assert part in text
    channel, share = top_channel(features, "teacher", "P6")
    assert f"GFL-Res101, P6: channel {channel} is the largest in {percent(share)} of the positions" in text
    own = caption(5, features, how(5, features))
    assert "Note:" not in own
    assert own.endswith("\n")


@pytest.mark.parametrize("number", FIGURES)
def test_every_file_of_a_figure_is_written(make_features, tmp_path, number):
    features = make_features()
    files = write(number, features, how(number, features), tmp_path / "new", ("png", "pdf", "svg"))
    stem = f"figure{number}"
    kinds = rows(features, how(number, features))
    names = [*(f"{stem}.{end}" for end in ("png", "pdf", "svg")), *(f"{stem}-{kind}.csv" for kind in kinds)]
    assert sorted(path.name for path in files) == sorted([*names, f"{stem}.md"])
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(path.name for path in files)
    png, pdf, svg = (path.read_bytes() for path in files[:3])
    assert png.startswith(b"\x89PNG\r\n")
    assert (pdf[:5], pdf.rstrip()[-5:]) == (b"%PDF-", b"%%EOF")
    assert b"Type3" not in pdf  # fonts that printers refuse
    assert svg.rstrip().endswith(b"</svg>")
    assert b"<text" in svg  # text, not its outline
    assert b"GFL-Res101" in svg
    for path in files[3:-1]:
        with open(path, newline="") as file:
            records = list(csv.DictReader(file))
        kind = path.stem.partition("-")[2]
        assert tuple(records[0]) == COLUMNS[kind]
        assert len(records) == len(kinds[kind])


def test_a_png_has_as_many_dots_as_asked(make_features, tmp_path):
    features = make_features()
    (path, *_) = write(7, features, how(7, features), tmp_path, ("png",), 100)
    width, height = (int.from_bytes(path.read_bytes()[at : at + 4], "big") for at in (16, 20))
    assert (width, height) == (720, 390)


def test_the_same_features_make_the_same_files(make_features, tmp_path):
    features = make_features()
    first, again = (write(7, features, how(7, features), tmp_path / name, ("png", "pdf", "svg")) for name in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


def test_numbers_of_another_look_do_not_stay_beside_a_figure(make_features, tmp_path):
    with_boxes, without = make_features(), make_features(boxes=False)
    write(4, with_boxes, how(4, with_boxes), tmp_path, ("png",))
    assert (tmp_path / "figure4-noise.csv").is_file()
    write(4, without, how(4, without), tmp_path, ("png",))
    assert not (tmp_path / "figure4-noise.csv").exists()


@pytest.mark.parametrize(("share", "text"), [(0.414, "41 %"), (1.0, "100 %"), (0.004, "0.4 %"), (0.0, "0 %")])
def test_percent(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("value", "like", "text"),
    [(1.714, 1, "1.71"), (-0.0001, 1, "0.00"), (-0.36, 1, "−0.36"), (14.29, 1, "14.3"), (0.00312, 0.003, "0.0031")],
)
def test_short_numbers(value, like, text):
    assert short(value, like) == text


def test_titles_are_folded_at_a_blank_or_else_a_hyphen():
    assert folded("GFL-Res101", 2) == "GFL-Res101"
    assert folded("FCOS-Res50, pkd", 0.7) == "FCOS-Res50,\npkd"
    assert folded("FasterRCNN-Res50", 0.7) == "FasterRCNN-\nRes50"
    assert folded("detector", 0.1) == "detector"
