"""Panels of activation patterns: features over the image, the objects' boxes, colour bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Stroke

from pkdcli.reporting.paper_figures.catalog import Look
from pkdcli.reporting.paper_figures.numbers import percent
from pkdcli.reporting.paper_figures.page import Box, Page
from pkdcli.reporting.plots import style
from pkdcli.runs.features import Features

OPACITY = 0.8  # of the features over the image
REDUCED = {
    "max": "largest feature value of the channels",
    "mean": "mean feature value of the channels",
    "norm": "Euclidean norm of the channels' feature values",
}


SHORT = {"max": "largest value", "mean": "mean value", "norm": "norm"}


class Cell(NamedTuple):
    """One pattern: of a detector, at a stage, on an image."""

    detector: str
    level: str
    image: int


def image_panel(axes: Axes, features: Features, image: int) -> None:
    """The image as the detectors see it, and the boxes of its objects.

    Args:
        axes: Where it is drawn.
        features: What was measured of the detectors.
        image: The place of an image, from 0.
    """
    height, width = features.images[image]["size"]
    axes.imshow(features.pixels(image), extent=(0, width, height, 0), interpolation="antialiased")
    _boxes(axes, features, image)
    _frame(axes, width, height)
    axes.set_xlabel(f"{width} × {height} pixels", fontsize=6.5, labelpad=2)


def pattern_panel(axes: Axes, features: Features, cell: Cell, reduce: str, scale: Normalize) -> None:
    """A pattern over the image in grey; each square is one position of the feature map.

    Args:
        axes: Where it is drawn.
        features: What was measured of the detectors.
        cell: Which pattern.
        reduce: How the channels became one number: `max`, `mean` or `norm`.
        scale: From values to colours.
    """
    height, width = features.images[cell.image]["size"]
    axes.imshow(blended(features, cell, reduce, scale), extent=(0, width, height, 0), interpolation="antialiased")
    _boxes(axes, features, cell.image)
    _frame(axes, width, height)


def blended(features: Features, cell: Cell, reduce: str, scale: Normalize) -> np.ndarray:
    """A pattern's colours over the image in grey, (height, width, 3), 0 to 1; a position covers `stride` pixels.

    Blended here, since the formats' own ways of laying one picture over another differ in colour.

    Args:
        features: What was measured of the detectors.
        cell: Which pattern.
        reduce: How the channels became one number: `max`, `mean` or `norm`.
        scale: From values to colours.
    """
    grey = features.pixels(cell.image).mean(axis=2)[:, :, None] / 255
    found = np.repeat(grey, 3, axis=2)
    stride = features.stride(cell.level)
    colors = colormaps[style.COLORMAP](scale(features.pattern(*cell, reduce)))[:, :, :3]
    colors = colors.repeat(stride, axis=0).repeat(stride, axis=1)[: grey.shape[0], : grey.shape[1]]
    part = found[: colors.shape[0], : colors.shape[1]]
    part[:] = OPACITY * colors + (1 - OPACITY) * part
    return found


def _frame(axes: Axes, width: int, height: int) -> None:
    axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _boxes(axes: Axes, features: Features, image: int) -> None:
    # White inside black is seen on every colour.
    under = [Stroke(linewidth=1.6, foreground="black"), Stroke(linewidth=0.8, foreground="white")]
    for x1, y1, x2, y2 in features.images[image]["boxes"] or ():
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, lw=0.8, snap=False, path_effects=under))


def noise_text(axes: Axes, features: Features, cell: Cell) -> None:
    """Below a pattern: what share of the activation, and of the area, lies outside the boxes.

    Args:
        axes: Where it is drawn.
        features: What was measured of the detectors.
        cell: Which pattern.
    """
    row = features.noise(*cell)
    if row is not None and row["share"] is not None:
        axes.set_xlabel(f"off objects: {percent(row['share'])}\n(of the area: {percent(row['area'])})", fontsize=6.5)


def scales(features: Features, cells: Sequence[Cell], look: Look) -> dict[Cell, tuple[Normalize, str]]:
    """The colour scale of each pattern: one for all, one a detector, or one each.

    Args:
        features: What was measured of the detectors.
        cells: Which patterns.
        look: How the figure is drawn.
    """
    groups = {"shared": lambda _: None, "detector": lambda cell: cell.detector, "own": lambda cell: cell}
    group = groups[look.color_scale]
    members: dict[Any, list[np.ndarray]] = {}
    for cell in cells:
        members.setdefault(group(cell), []).append(features.pattern(*cell, look.reduce))
    found = {key: style.norm(arrays) for key, arrays in members.items()}
    return {cell: found[group(cell)] for cell in cells}


def color_bars(
    page: Page,
    features: Features,
    panels: Mapping[Cell, Axes],
    by_cell: Mapping[Cell, tuple[Normalize, str]],
    look: Look,
    below: Box,
) -> None:
    """A bar for every colour scale: below all panels, or beside each where each has its own.

    Args:
        page: Where the panels are.
        features: Measured.
        panels: The axes of each pattern.
        by_cell: From `scales`.
        look: How the figure is drawn.
        below: The place below the panels.
    """
    if look.color_scale == "own":
        for cell, axes in panels.items():
            _bar(page, axes.inset_axes((1.03, 0.0, 0.05, 1.0)), *by_cell[cell], "vertical")
        middle = (below.left + below.width / 2) / page.width
        page.figure.text(middle, 1 - (below.top + 0.15) / page.height, REDUCED[look.reduce], ha="center", fontsize=7)
        return
    titles = {one["key"]: one["title"] for one in features.detectors}
    keys = list(titles) if look.color_scale == "detector" else [None]
    gap = 0.25
    width = (below.width - gap * (len(keys) - 1)) / len(keys)
    for number, key in enumerate(keys):
        cell = next(cell for cell in panels if key in (None, cell.detector))
        place = below._replace(left=below.left + number * (width + gap), width=width)
        bar = _bar(page, page.axes(place), *by_cell[cell], "horizontal")
        label = REDUCED[look.reduce]
        if key is not None:
            one_line = f"{titles[key]}: {SHORT[look.reduce]}"
            whole = style.folded(one_line, width) == one_line
            label = one_line if whole else f"{style.folded(titles[key], width)}:\n{SHORT[look.reduce]}"
        bar.set_label(label, fontsize=7, labelpad=1)


def _bar(page: Page, axes: Axes, norm: Normalize, ends: str, orientation: str) -> Colorbar:
    bar = page.figure.colorbar(ScalarMappable(norm, style.COLORMAP), cax=axes, orientation=orientation, extend=ends)
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(labelsize=6.5, length=2, width=0.5, pad=1)
    # Three numbers of six digits stand beside each other in an inch.
    bar.ax.locator_params(nbins=4 if max(axes.get_window_extent().size) > 1.3 * axes.figure.dpi else 3)
    return bar


def caption_of_reduction(look: Look) -> str:
    """What the colours are."""
    scale = {
        "own": ", each panel with its own scale",
        "detector": ", one scale a detector",
        "shared": ", one scale for all",
    }
    return f"Colours: {REDUCED[look.reduce]}{scale[look.color_scale]}."
