"""Figures as PNG, SVG and PDF files, by matplotlib without a display."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import ScaledTranslation

from pkdcli.reporting.plots import style
from pkdcli.reporting.plots.axes import beside
from pkdcli.reporting.plots.figure import COLOURS, DASHES, MARKERS, PALE, Figure, Panel, lanes, threads
from pkdcli.runs.record import plain

FORMATS = ("png", "svg", "pdf")
LYING = ("shares", "intervals")
"""Kinds of panels whose categories stand one below the other."""
_PANEL_WIDTH, _HEIGHT, _BAR = 3.6, 2.9, 0.28  # inches
_MARKER = 6.5  # points from one marker to the next beside it


def write_figures(figures: Sequence[Figure], folder: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write every figure in every format, and what it shows as `captions.md`.

    Args:
        figures: What to draw.
        folder: Where to write.
        formats: Of `FORMATS`.

    Returns:
        The pictures, in order.

    Raises:
        PkdError: The folder can't be written.
    """
    from pkdcli.runs.store import write_text

    written: list[Path] = []
    for figure in figures:
        paths = {format: folder / f"{figure.name}.{format}" for format in formats}
        style.save(lambda figure=figure: draw(figure), paths)
        written += paths.values()
    captions = "".join(f"## {one.title}\n\n`{one.name}`: {one.caption}\n\n" for one in figures)
    write_text(folder / "captions.md", "# Captions\n\n" + captions.rstrip() + "\n")
    return written


def draw(figure: Figure) -> Canvas:
    """The figure, its panels side by side (two in a row where there are four)."""
    count = len(figure.panels)
    columns = 2 if count == 4 else min(count, 3)
    rows = -(-count // columns)
    shares = figure.panels[0].kind in LYING
    height = _HEIGHT * rows + 0.35
    if shares:
        deep = _BAR * max(1.0, 0.6 * lanes(figure.panels[0])[0]) if figure.panels[0].kind == "intervals" else _BAR
        height = 1.5 + deep * len(figure.panels[0].categories)
    width = max(style.WIDTH if count > 1 else 5.4, _PANEL_WIDTH * columns)
    canvas = Canvas(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(canvas)
    canvas.suptitle(style.folded(figure.title, width))
    grid = canvas.subplots(rows, columns, squeeze=False, sharey="row" if shares else False)
    for place, axes in enumerate(grid.flat):
        if place < count:
            _draw_panel(axes, figure.panels[place])
        else:
            axes.set_axis_off()
    _legends(canvas, list(grid.flat)[:count], figure)
    return canvas


def _draw_panel(axes: Axes, panel: Panel) -> None:
    axes.set_title(panel.title)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    draw = {
        "lines": _lines,
        "points": _points,
        "bars": _bars,
        "shares": _shares,
        "intervals": _intervals,
        "parallel": _parallel,
    }[panel.kind]
    draw(axes, panel)
    if panel.kind == "parallel":
        return
    if panel.kind in LYING:
        axes.set_xlim(*(panel.y_range or (None, None)))
        return
    axes.grid(axis="y", linewidth=0.4, color="#dddddd")
    axes.set_axisbelow(True)
    if panel.y_range:
        axes.set_ylim(*panel.y_range)


def _lines(axes: Axes, panel: Panel) -> None:
    for place, one in zip(panel.places, panel.series, strict=False):
        look = _look(place)
        marker = MARKERS[place] if panel.points else None
        axes.plot(one.x, _numbers(one.y), label=one.name, marker=marker, markersize=3.5, linewidth=1.3, **look)
        if one.error:
            errors = [error or 0.0 for error in one.error]
            axes.errorbar(one.x, _numbers(one.y), errors, fmt="none", ecolor=look["color"], capsize=2, linewidth=0.8)
    for place, rule in zip(panel.places[len(panel.series) :], panel.rules, strict=True):
        look = _look(place)
        axes.axhline(rule.y, label=rule.name, linewidth=1.1, **look)
        if rule.error:
            axes.axhspan(rule.y - rule.error, rule.y + rule.error, color=look["color"], alpha=0.12, linewidth=0)
    if panel.log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    if panel.log_x:
        axes.set_xscale("log")
    if panel.log_x or (panel.points and panel.x_label == "loss weight"):
        ticks = sorted({x for one in panel.series for x in one.x})
        axes.set_xticks(ticks, [plain(tick) for tick in ticks])
        axes.xaxis.set_minor_formatter(NullFormatter())
    elif not panel.log_x:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _points(axes: Axes, panel: Panel) -> None:
    for place, one, moved in zip(panel.places, panel.series, beside(panel), strict=False):
        errors = [error or 0.0 for error in one.error] or [None] * len(one.x)
        for n, (x, y) in enumerate(zip(one.x, _numbers(one.y), strict=True)):
            aside = ScaledTranslation(moved[n] * _MARKER / 72, 0, axes.figure.dpi_scale_trans)
            axes.errorbar([x], [y], errors[n], fmt=MARKERS[place], label="" if n else one.name, color=COLOURS[place],
                          markersize=5, capsize=2, elinewidth=0.8, transform=axes.transData + aside)  # fmt: skip
        # What is moved aside is not looked at for the axes' ends.
        ends = [y + sign * (error or 0.0) for y, error in zip(_numbers(one.y), errors, strict=True) for sign in (-1, 1)]
        axes.update_datalim([(one.x[0], end) for end in ends])
    right = max(x for one in panel.series for x in one.x)
    axes.set_xlim(0, right * 1.18)
    for x, y, text in panel.marks:
        axes.annotate(text, (x, y), (0, 6), textcoords="offset points", ha="center", fontsize=7)
    axes.margins(y=0.14)


def _bars(axes: Axes, panel: Panel) -> None:
    width = 0.8 / len(panel.series)
    for n, (place, one) in enumerate(zip(panel.places, panel.series, strict=True)):
        at = [category - 0.4 + width * (n + 0.5) for category in range(len(panel.categories))]
        errors = [error or 0.0 for error in one.error] or None
        look = {"color": COLOURS[place], "hatch": "////" if n % 2 else None, "edgecolor": "white", "linewidth": 0.4}
        bars = {"yerr": errors, "capsize": 2, "error_kw": {"linewidth": 0.8}}
        axes.bar(at, _numbers(one.y), width * 0.92, label=one.name, **look, **bars)
        for x, y, error in zip(at, one.y, errors or [0.0] * len(at), strict=True):
            if y is not None:
                axes.annotate(f"{y:.1f}", (x, y + error), (0, 1), textcoords="offset points", ha="center", fontsize=5.5)
    axes.set_xticks(range(len(panel.categories)), panel.categories)
    axes.tick_params(axis="x", length=0)


def _shares(axes: Axes, panel: Panel) -> None:
    left = [0.0] * len(panel.categories)
    for place, one in zip(panel.places, panel.series, strict=True):
        colour = COLOURS[place]
        values = [y or 0.0 for y in one.y]
        axes.barh(
            range(len(values)), values, 0.78, left, label=one.name, color=colour, edgecolor="white", linewidth=0.5
        )
        for n, value in enumerate(values):
            if value >= 8:
                axes.text(left[n] + value / 2, n, f"{value:.0f}", ha="center", va="center", fontsize=6,
                          color="black" if place in PALE else "white", fontweight="bold")  # fmt: skip
        left = [a + b for a, b in zip(left, values, strict=True)]
    axes.set_yticks(range(len(panel.categories)), panel.categories)
    if not axes.yaxis_inverted():
        axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)


def _intervals(axes: Axes, panel: Panel) -> None:
    axes.axvline(0.0, color="#888888", linewidth=0.8)
    most, shown = lanes(panel)
    for k, (place, one) in enumerate(zip(panel.places, panel.series, strict=True)):
        known = [(y, n + 0.7 * ((shown[n].index(k) + 0.5) / len(shown[n]) - 0.5), ends)
                 for n, (y, ends) in enumerate(zip(one.y, one.ends, strict=True)) if y is not None]  # fmt: skip
        reach = [[0.0 if ends is None else abs(end - y) for y, _, ends in known for end in [ends and ends[side]]]
                 for side in (0, 1)]  # fmt: skip
        at, rows = [y for y, _, _ in known], [n for _, n, _ in known]
        look = {"color": COLOURS[place], "marker": MARKERS[place], "markersize": 4.5}
        axes.errorbar(at, rows, xerr=reach, fmt="none", ecolor=COLOURS[place], capsize=3, linewidth=1.2)
        axes.plot(at, rows, linestyle="none", label=one.name, **look)
        for y, n, _ in known if most == 1 else ():
            axes.annotate(f"{y:+.1f}", (y, n), (0, 5), textcoords="offset points", ha="center", fontsize=6)
    axes.set_yticks(range(len(panel.categories)), panel.categories)
    axes.set_ylim(len(panel.categories) - 0.4, -0.7)
    axes.grid(axis="x", linewidth=0.4, color="#dddddd")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)


def _parallel(axes: Axes, panel: Panel) -> None:
    def across(place: int, value: float) -> float:
        one = panel.scales[place]
        low, high, value = (math.log(each) if one.log else each for each in (one.low, one.high, value))
        return (value - low) / ((high - low) or 1.0)

    for n, one in enumerate(panel.scales):
        axes.axhline(-n, color="#888888", linewidth=0.8, zorder=1)
        for value, label in one.ticks:
            axes.annotate(label, (across(n, value), -n), (0, -9), textcoords="offset points", ha="center", fontsize=6,
                          zorder=4, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4})  # fmt: skip
    for place, one in zip(panel.places, panel.series, strict=True):
        for k, line in enumerate(threads(one)):
            axes.plot([across(n, value) for n, value in line], [-n for n, _ in line], marker=MARKERS[place],
                      markersize=3, linewidth=1.2, zorder=3 - place / 10, label="" if k else one.name,
                      **_look(place))  # fmt: skip
    axes.set_yticks([-n for n in range(len(panel.scales))], [one.name for one in panel.scales])
    axes.set_xticks([])
    axes.set_ylim(0.5 - len(panel.scales), 0.3)
    axes.tick_params(axis="y", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _legends(canvas: Canvas, axes: list[Axes], figure: Figure) -> None:
    """One legend below all panels where they share it, else one in each."""
    if all(panel.names == figure.panels[0].names for panel in figure.panels):
        names = figure.panels[0].names
        if len(names) > 1:
            longest = max(len(name) for name in names)
            columns = max(1, min(len(names), int(canvas.get_figwidth() * 15 // (longest + 8))))
            handles = axes[0].get_legend_handles_labels()
            canvas.legend(*handles, loc="outside lower center", ncols=columns, frameon=False, handlelength=2.8)
        return
    crowded = any(panel.kind == "parallel" for panel in figure.panels)
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16), "ncols": 3} if crowded else {}
    for one, panel in zip(axes, figure.panels, strict=True):
        if len(panel.names) > 1:
            one.legend(frameon=False, **below)


def _look(place: int) -> dict:
    dashes = DASHES[place]
    return {"color": COLOURS[place], "linestyle": (0, dashes) if dashes else "-"}


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]
