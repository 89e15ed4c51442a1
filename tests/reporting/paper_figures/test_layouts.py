"""The pictures: everything that must stand there does, nothing is cut off, and no two texts overlap."""

from __future__ import annotations

import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.image import AxesImage
from matplotlib.text import Text

from pkdcli.reporting.paper_figures.catalog import FIGURES, Look, look
from pkdcli.reporting.paper_figures.layouts import draw
from pkdcli.reporting.paper_figures.patterns import OPACITY, Cell, scales
from pkdcli.reporting.plots import style


def drawn(number, features, reduce="max", color_scale=None, levels=()):
    how = look(number, reduce, color_scale, levels, features.levels_of_all())
    with rc_context(style.RC):
        return draw(number, features, how)


def texts(figure):
    """Every text that is drawn, with its place in pixels."""
    found = []

    def record(text, renderer):
        if text.get_visible() and text.get_text().strip():
            found.append((text.get_text(), text.get_window_extent(renderer)))
        return DRAW(text, renderer)

    with pytest.MonkeyPatch.context() as patch, rc_context(style.RC):
        patch.setattr(Text, "draw", record)
        figure.canvas.draw()
    return found


DRAW = Text.draw
LOOK = Look(("P3",), (), "max", "shared")
LONG = ("MaskRCNN-Swin (untrained)", "FasterRCNN-Res50 (untrained)", "FasterRCNN-Res50, norm-kl")
CASES = {
    "as in the paper": {},
    "one image": {"sizes": ((128, 160),)},
    "tall and wide images": {"sizes": ((160, 90), (90, 160), (128, 128))},
    "three detectors": {"detectors": 3},
    "many channels": {"channels": 256, "factors": (40.0, 0.001, 1.0)},
    "long names": {"detectors": 3, "titles": LONG},
    "no boxes": {"boxes": False},
}


@pytest.mark.parametrize("number", FIGURES)
@pytest.mark.parametrize("case", CASES)
def test_nothing_is_cut_off_and_no_texts_overlap(make_features, number, case):
    figure = drawn(number, make_features(**CASES[case]))
    page = figure.bbox
    found = texts(figure)
    for text, box in found:
        inside = box.x0 >= page.x0 - 1 and box.y0 >= page.y0 - 1 and box.x1 <= page.x1 + 1 and box.y1 <= page.y1 + 1
        assert inside, f"cut off: {text!r}"
    for (one, a), (other, b) in itertools.combinations(found, 2):
        wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert not (wide > 2 and high > 2), f"{one!r} overlaps {other!r}"


@pytest.mark.parametrize(
    ("number", "color_scale"), [(4, "own"), (4, "detector"), (5, "own"), (5, "shared"), (6, "own"), (8, "detector")]
)
def test_other_colour_scales_fit_too(make_features, number, color_scale):
    figure = drawn(number, make_features(), "mean", color_scale)
    page = figure.bbox.padded(1)
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 for _, box in texts(figure))


def labels(figure):
    return {text for text, _ in texts(figure)}


def panels(figure):
    """Axes that show a pattern or an image."""
    return [axes for axes in figure.axes if axes.findobj(AxesImage)]


def test_figure_4_has_image_patterns_and_distribution(make_features):
    figure = drawn(4, make_features())
    assert len(panels(figure)) == 2 * 3
    found = labels(figure)
    assert {"image", "GFL-Res101\nP3 (stride 8)", "FCOS-Res50\nP3 (stride 8)", "160 × 128 pixels", "160 × 96 pixels",
            "largest feature value of the channels", "feature value", "density (log scale)",
            "values at P3 (stride 8)"} <= found  # fmt: skip
    (legend,) = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    names = [text.get_text().splitlines()[0] for text in legend.get_texts()]
    assert names == ["GFL-Res101", "FCOS-Res50"]


def test_figure_5_has_the_stages_from_left_to_right_and_their_shares(make_features):
    features = make_features()
    figure = drawn(5, features)
    assert len(panels(figure)) == 2 * (1 + 2 * 4)
    titles = ["P3 (stride 8)", "P4 (stride 16)", "P5 (stride 32)", "P6 (stride 64)"]
    places = {text: box.x0 for text, box in texts(figure)}
    assert sorted(titles, key=places.get) == titles
    assert {"GFL-Res101: largest value", "FCOS-Res50: largest value", "stage"} <= labels(figure)
    (bars,) = [axes for axes in figure.axes if axes.patches and axes.get_ylabel() == "stage"]
    powers = [features.statistics("teacher", level)["mean_square"] for level in ("P3", "P4", "P5", "P6")]
    widths = [patch.get_width() for patch in bars.patches[:4]]
    assert widths == pytest.approx([100 * power / sum(powers) for power in powers])


def test_figure_6_has_noise_and_the_dominant_channels_of_p3_and_p6(make_features):
    features = make_features()
    figure = drawn(6, features)
    assert len(panels(figure)) == 2 * 3
    noise = features.noise("teacher", "P3", 0)
    found = labels(figure)
    assert f"off objects: {100 * noise['share']:.0f} %\n(of the area: {100 * noise['area']:.0f} %)" in found
    titles = [axes.get_title().rstrip() for axes in figure.axes if axes.get_xlabel() == "channel"]
    names = ("GFL-Res101", "FCOS-Res50")
    assert titles == [f"{name}\n{stage}" for stage in ("P3 (stride 8)", "P6 (stride 64)") for name in names]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["before normalisation (up)", "after it (down)"]


def test_figure_7_draws_the_counts_before_upwards_and_after_downwards(make_features):
    features = make_features()
    figure = drawn(7, features)
    assert not panels(figure)
    assert len(figure.axes) == 4
    first = figure.axes[0]
    before = sum(features.numbers("teacher", "P3", n, False) for n in (0, 1))
    after = sum(features.numbers("teacher", "P3", n, True) for n in (0, 1))
    up, down = (patch.get_data().values for patch in first.patches)
    np.testing.assert_array_equal(up, before)
    np.testing.assert_array_equal(down, -after)
    assert first.get_ylabel() == f"positions (of {20 * 16 + 20 * 12})"
    (note,) = [text for text in labels(figure) if text.startswith(f"most: {before.argmax()} (")][:1]
    assert f"after: {after.argmax()} (" in note


def test_figure_8_has_patterns_and_below_them_distributions(make_features):
    figure = drawn(8, make_features())
    assert len(panels(figure)) == 2 * (1 + 2 * 4)
    densities = [axes for axes in figure.axes if axes.get_xlabel() == "feature value"]
    assert len(densities) == 4
    assert all(axes.get_yscale() == "log" for axes in densities)
    assert max(axes.get_position().y1 for axes in densities) < min(axes.get_position().y0 for axes in panels(figure))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["GFL-Res101", "FCOS-Res50"]


def test_a_distribution_is_a_density(make_features):
    """The drawn steps hold the share of the values that lies in their range."""
    figure = drawn(4, make_features(detectors=1))
    (axes,) = [axes for axes in figure.axes if axes.get_xlabel() == "feature value"]
    step = axes.patches[-1].get_data()
    assert float((step.values * np.diff(step.edges)).sum()) == pytest.approx(1, abs=0.002)


def test_boxes_are_drawn_on_the_image_and_on_every_pattern(make_features):
    figure = drawn(4, make_features())
    for axes in panels(figure):
        (box,) = axes.patches
        assert box.get_bbox().bounds == (10.0, 20.0, 50.0, 50.0)
    assert all(not axes.patches for axes in panels(drawn(4, make_features(boxes=False))))


def test_a_pattern_lies_over_the_image_position_by_position(make_features):
    """A position of stride 8 covers 8 pixels, so a map that is larger than the image does not shrink into it."""
    features = make_features(sizes=((100, 150),))
    axes = panels(drawn(4, features))[1]
    (image,) = axes.findobj(AxesImage)
    assert image.get_extent() == [0, 150, 100, 0]
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 150), (100, 0))
    pattern, pixels = features.pattern("teacher", "P3", 0, "max"), features.pixels(0)
    (scale, _) = scales(features, [Cell(key, "P3", 0) for key in ("teacher", "student")], LOOK)[
        Cell("teacher", "P3", 0)
    ]
    found = image.get_array()
    for y, x in ((0, 0), (7, 8), (99, 149), (50, 20)):
        color = np.array(matplotlib.colormaps["viridis"](scale(pattern[y // 8, x // 8]))[:3])
        expected = OPACITY * color + (1 - OPACITY) * pixels[y, x].mean() / 255
        np.testing.assert_allclose(found[y, x], expected, atol=1e-6)


@pytest.mark.parametrize(("color_scale", "groups"), [("shared", 1), ("detector", 2), ("own", 4)])
def test_colour_scales_are_shared_as_asked(make_features, color_scale, groups):
    features = make_features()
    cells = [Cell(key, "P3", image) for key in ("teacher", "student") for image in (0, 1)]
    how = look(4, "max", color_scale, (), features.levels_of_all())
    found = scales(features, cells, how)
    assert len({id(norm) for norm, _ in found.values()}) == groups
    for cell, (norm, _) in found.items():
        same = [other for other in cells if found[other][0] is norm]
        flat = np.concatenate([features.pattern(*other, "max").ravel() for other in same])
        assert (norm.vmin, norm.vmax) == pytest.approx(tuple(np.quantile(flat, [0.005, 0.995]))), cell


def test_constant_maps_have_a_colour_scale():
    norm, ends = style.norm([np.full((3, 3), 2.0)])
    assert norm.vmin < norm.vmax
    assert ends == "neither"


def test_an_outlier_points_the_bar_instead_of_bleaching_the_rest():
    flat = np.linspace(0, 1, 1000)
    norm, ends = style.norm([np.append(flat, 1e6).reshape(7, -1)])
    assert norm.vmax < 1.01
    assert ends == "both"


def test_drawing_leaves_matplotlib_s_settings_alone(make_features):
    before = dict(matplotlib.rcParams)
    drawn(7, make_features())
    assert dict(matplotlib.rcParams) == before
