"""The layouts of Figures 4 to 8."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple

from pkdcli.reporting.paper_figures import panels
from pkdcli.reporting.paper_figures.catalog import Look
from pkdcli.reporting.paper_figures.numbers import stage
from pkdcli.reporting.paper_figures.page import Box, Page, Tiles
from pkdcli.reporting.paper_figures.patterns import Cell, color_bars, image_panel, noise_text, pattern_panel, scales
from pkdcli.reporting.plots import style
from pkdcli.runs.features import Features

MARGIN = 0.08  # inches, as all lengths here
NARROW = 0.07  # between pictures
SIDE = 2.5  # a distribution beside patterns
BAR = 0.5  # a colour bar with its numbers and its label; with one of three lines 0.62
MIN_TILE = 1.05
BY_STAGE = {"top": 0.3, "below": 0.1, "beside": 0.27}  # the detectors' names stand beside the images


def draw(number: int, features: Features, look: Look) -> Figure:
    """A figure of the paper, 4 to 8.

    Args:
        number: Which figure.
        features: What was measured of the detectors.
        look: How the figure is drawn.
    """
    return _LAYOUTS[number](features, look)


def _aspect(features: Features) -> float:
    """Height by width of the tallest image."""
    return max(image["size"][0] / image["size"][1] for image in features.images)


def _gap(look: Look) -> float:
    """Between pictures; wide enough for a colour bar where each has its own."""
    return 0.42 if look.color_scale == "own" else NARROW


def _heights(features: Features, width: float, times: int = 1) -> list[float]:
    """Of the pictures in each row, so many rows an image."""
    sizes = [image["size"] for image in features.images for _ in range(times)]
    return [width * height / across for height, across in sizes]


def _tiles(features: Features, look: Look, width: float, columns: int, **more: Any) -> Tiles:
    """So many columns of pictures over a width.

    Args:
        features: Measured.
        look: How the figure is drawn.
        width: What there is, margins included.
        columns: The image's among them.
        more: `top`, `below`, `beside`, and `times`, rows an image.
    """
    gap = _gap(look)
    beside = more.get("beside", 0.0) + NARROW - gap
    tile = (width - 2 * MARGIN - beside - gap * (columns - (look.color_scale != "own"))) / columns
    heights = _heights(features, tile, more.get("times", 1))
    return Tiles(MARGIN, more["top"], tile, heights, gap, more["below"], beside)


def _bar(look: Look) -> float:
    return {"own": 0.25, "detector": BAR + 0.12}.get(look.color_scale, BAR)


def _bars(page: Page, features: Features, tiles: Tiles, columns: int, drawn: dict, by_cell: dict, look: Look) -> float:
    """Draw the colour bars under the patterns; returns where they end."""
    color_bars(page, features, drawn, by_cell, look, tiles.under(1, columns - 1, 0.09))
    return tiles.bottom() + _bar(look)


def _beside(page: Page, features: Features, look: Look, tiles: Tiles, noise: bool) -> float:
    """Patterns with a row for each image: the image, then at each stage the detectors side by side."""
    columns = [(one["key"], level) for level in look.levels for one in features.detectors]
    titles = {one["key"]: one["title"] for one in features.detectors}
    cells = [Cell(key, level, image) for image in range(len(features.images)) for key, level in columns]
    by_cell = scales(features, cells, look)
    drawn: dict[Cell, Axes] = {}
    for image in range(len(features.images)):
        first = page.axes(tiles.place(image, 0))
        image_panel(first, features, image)
        if image == 0:
            first.set_title("image")
        for place, (key, level) in enumerate(columns, 1):
            cell = Cell(key, level, image)
            drawn[cell] = axes = page.axes(tiles.place(image, place))
            pattern_panel(axes, features, cell, look.reduce, by_cell[cell][0])
            if noise:
                noise_text(axes, features, cell)
            if image == 0:
                axes.set_title(f"{style.folded(titles[key], tiles.width)}\n{stage(features, level)}")
    return _bars(page, features, tiles, 1 + len(columns), drawn, by_cell, look)


def _by_stage(page: Page, features: Features, look: Look, tiles: Tiles) -> float:
    """Patterns with a row for each image and detector: the image, then the stages from left to right."""
    detectors = features.detectors
    cells = [
        Cell(one["key"], level, n) for n in range(len(features.images)) for one in detectors for level in look.levels
    ]
    by_cell = scales(features, cells, look)
    drawn: dict[Cell, Axes] = {}
    for row, (image, one) in enumerate((n, one) for n in range(len(features.images)) for one in detectors):
        if one is detectors[0]:
            first = page.axes(tiles.place(row, 0))
            image_panel(first, features, image)
            if image == 0:
                first.set_title("image")
        for place, level in enumerate(look.levels, 1):
            cell = Cell(one["key"], level, image)
            drawn[cell] = axes = page.axes(tiles.place(row, place))
            pattern_panel(axes, features, cell, look.reduce, by_cell[cell][0])
            if row == 0:
                axes.set_title(stage(features, level))
            if place == 1:
                name = style.folded(one["title"], tiles.heights[row])
                axes.set_ylabel(name, fontsize=style.fitting(name, tiles.heights[row] + 0.05, 7), labelpad=2)
    return _bars(page, features, tiles, 1 + len(look.levels), drawn, by_cell, look)


def _figure4(features: Features, look: Look) -> Figure:
    columns, side = 1 + len(features.detectors) * len(look.levels), SIDE * len(look.levels)
    width = max(style.WIDTH, side + columns * (MIN_TILE + _gap(look)))
    tiles = _tiles(features, look, width - side, columns, top=0.42 + MARGIN, below=0.2)
    legend = 0.32 + 0.4 * len(features.detectors)
    page = Page(width, max(tiles.bottom() + _bar(look), legend + 1.6))
    _beside(page, features, look, tiles, noise=False)
    for number, level in enumerate(look.levels):
        left = width - side + number * SIDE + 0.6
        axes = page.axes(Box(left, legend, SIDE - 0.7, page.height - legend - 0.45))
        panels.distribution_panel(axes, features, level, whole=True)
        axes.set_ylabel("density (log scale)")
    return page.figure


def _figure5(features: Features, look: Look) -> Figure:
    side, detectors = 1.9, len(features.detectors)
    width = max(style.WIDTH, side + (1 + len(look.levels)) * (MIN_TILE + _gap(look)) + 0.27)
    tiles = _tiles(features, look, width - side, 1 + len(look.levels), times=detectors, **BY_STAGE)
    page = Page(width, max(2.4, tiles.bottom() + _bar(look)))
    _by_stage(page, features, look, tiles)
    above = 0.2 + 0.13 * detectors
    axes = page.axes(Box(width - side + 0.45, above, side - 0.55, page.height - above - 0.55))
    panels.stages_panel(axes, features, look.levels)
    return page.figure


def _figure6(features: Features, look: Look) -> Figure:
    detectors, columns = len(features.detectors), 1 + len(features.detectors) * len(look.levels)
    right, beside, below = 2.25 * detectors, 0.3 + 1.7 * len(look.channel_levels), 0.36
    # Few pictures grow until they are as high as what stands beside them.
    room = (beside - 0.5 - _bar(look)) / len(features.images) - below
    tile = min(1.5, max(MIN_TILE, room / _aspect(features)))
    left = columns * (tile + _gap(look)) + 2 * MARGIN
    tiles = _tiles(features, look, left, columns, top=0.42 + MARGIN, below=below)
    page = Page(left + right, max(tiles.bottom() + _bar(look), beside))
    _beside(page, features, look, tiles, noise=True)
    _channels(page, features, look.channel_levels, Box(left, 0.0, right, page.height))
    return page.figure


def _figure7(features: Features, look: Look) -> Figure:
    page = Page(max(style.WIDTH, 2.4 * len(features.detectors)), 0.3 + 1.8 * len(look.channel_levels))
    _channels(page, features, look.channel_levels, Box(0.0, 0.0, page.width, page.height))
    return page.figure


def _channels(page: Page, features: Features, levels: Sequence[str], within: Box) -> None:
    """Dominant channels: a row for each stage, a column for each detector, and a legend below."""
    detectors, legend, above, below, left = features.detectors, 0.25, 0.52, 0.36, 0.56
    width, height = within.width / len(detectors), (within.height - legend) / len(levels)
    bars, lines = [], []
    for row, level in enumerate(levels):
        for place, one in enumerate(detectors):
            box = Box(
                within.left + place * width + left, row * height + above, width - left - 0.1, height - above - below
            )
            bar, line = panels.channels_panel(page.axes(box), features, one["key"], level, one["title"])
            if row == 0:
                bars.append(bar)
                lines.append(line)
    middle = (within.left + within.width / 2 + left / 2) / page.width
    page.figure.legend(
        [tuple(bars), lines[0]],
        ["before normalisation (up)", "after it (down)"],
        loc="lower center",
        bbox_to_anchor=(middle, 0.0),
        ncols=2,
        frameon=False,
        columnspacing=1.2,
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0.0)},
    )


def _figure8(features: Features, look: Look) -> Figure:
    detectors, below = len(features.detectors), 2.2
    width = max(style.WIDTH, (1 + len(look.levels)) * (MIN_TILE + _gap(look)))
    tiles = _tiles(features, look, width, 1 + len(look.levels), times=detectors, **BY_STAGE)
    above = tiles.bottom() + _bar(look)
    page = Page(width, above + below)
    _by_stage(page, features, look, tiles)
    legend = 0.3 + 0.11 * detectors
    left = 0.58
    each = (width - left) / len(look.levels)
    for number, level in enumerate(look.levels):
        box = Box(left + number * each, above + legend, each - 0.4, below - legend - 0.65)
        axes = page.axes(box)
        panels.distribution_panel(axes, features, level, whole=False)
        if number == 0:
            axes.set_ylabel("density (log scale)")
            lines, names = axes.get_legend_handles_labels()[0], [one["title"] for one in features.detectors]
            page.figure.legend(lines, names, loc="lower center", ncols=detectors, frameon=False)
    return page.figure


_LAYOUTS: dict[int, Callable[[Features, Look], Figure]] = {
    4: _figure4,
    5: _figure5,
    6: _figure6,
    7: _figure7,
    8: _figure8,
}
