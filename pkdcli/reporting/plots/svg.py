"""A panel as inline SVG for the page: colours are the style sheet's, so that it follows the light or dark scheme."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape

from pkdcli.reporting.plots.figure import DASHES, PALE, Panel
from pkdcli.runs.record import plain

WIDTH, HEIGHT = 400, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 10, 10, 44
_ROW, _LABEL = 26, 15  # of lying bars
_MARK = 2.6


def draw(panel: Panel, title: str, description: str = "") -> str:
    """The panel as an `<svg>` element that scales with its place; everything in it that users wrote is escaped.

    Args:
        panel: What to draw.
        title: Read out for the picture.
        description: Read out after it.
    """
    draw_kind = {"lines": _lines, "bars": _bars, "shares": _shares}[panel.kind]
    height, body, more = draw_kind(panel)
    label = escape(". ".join(filter(None, (title.rstrip("."), description))))
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}"{more}>'
        f"<title>{escape(title)}</title>{body}</svg>"
    )


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, about so many."""
    if not high > low:
        return [low]
    raw = (high - low) / count
    magnitude = 10 ** math.floor(math.log10(raw))
    step = next(m for m in (1, 2, 5, 10) if m * magnitude >= raw * 0.999) * magnitude
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten from `low` to `high`; powers alone over many decades."""
    few = high / low > 1e4
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [m * 10.0**n for n in decades for m in ((1,) if few else (1, 2, 5))]
    return [value for value in found if low * 0.999 <= value <= high * 1.001]


@dataclass(frozen=True)
class Axes:
    """Where the lines of a panel are drawn; coordinates in units of the picture, rounded to a tenth where written.

    Attributes:
        ends: The values at the left, right, bottom and top ends of the axes, as text.
        x_ticks: (x, label) of each.
        y_ticks: (y, label) of each.
        rules: (place of its look, y) of each.
        lines: (place of its look, name, x, y) of each.
        errors: (place of its look, x, lower y, upper y) of each.
    """

    ends: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    rules: list[tuple[int, float]]
    lines: list[tuple[int, str, list[float], list[float]]]
    errors: list[tuple[int, float, float, float]]


BOX = f"{_LEFT},{WIDTH - _RIGHT},{HEIGHT - _BOTTOM},{_TOP}"
"""The axes' left, right, bottom and top."""


def axes(panel: Panel) -> Axes | None:
    """The places of all that a panel of lines shows; None where it shows nothing."""
    # The lines of a panel mostly have one list of x in common.
    xs = [x for one in {id(one.x): one.x for one in panel.series}.values() for x in one]
    known = [[y for y in one.y if y is not None] for one in panel.series]
    ys = [*itertools.chain.from_iterable(known), *(rule.y for rule in panel.rules)]
    if not xs or not ys:
        return None
    low, high = panel.y_range or _padded(min(ys), max(ys), panel.log_y)
    left, right = _ends(min(xs), max(xs), panel)
    x = _Axis(left, right, _LEFT, WIDTH - _RIGHT, panel.log_x)
    y = _Axis(low, high, HEIGHT - _BOTTOM, _TOP, panel.log_y)
    weights = panel.points and panel.x_label == "loss weight"
    at = tuple(sorted(set(xs))) if weights and len(set(xs)) <= 8 else None
    lines, errors = [], []
    across: dict[tuple[float, ...], list[float]] = {}
    places = panel.places
    for place, one, at_y in zip(places, panel.series, known, strict=False):
        at_x = one.x
        if len(at_y) < len(one.y):
            at_x = [a for a, b in zip(one.x, one.y, strict=True) if b is not None]
        key = tuple(at_x)
        if key not in across:
            across[key] = x.all(at_x)
        lines.append((place, one.name, across[key], y.all(at_y)))
        errors += [
            (place, x(a), y(b - error), y(b + error))
            for a, b, error in zip(one.x, one.y, one.error, strict=False)
            if b is not None and error
        ]
    return Axes(
        ends=",".join(f"{value:.6g}" for value in (left, right, low, high)),
        x_ticks=_x_ticks(left, right, panel.log_x, at),
        y_ticks=[(y(tick), _t(tick)) for tick in (log_ticks(low, high) if panel.log_y else ticks(low, high))],
        rules=[(n, y(rule.y)) for n, rule in zip(places[len(panel.series) :], panel.rules, strict=True)],
        lines=lines,
        errors=errors,
    )


@lru_cache(maxsize=256)
def _x_ticks(left: float, right: float, log: bool, at: tuple[float, ...] | None) -> list[tuple[float, str]]:
    # Most runs of a page are as long as the others.
    x = _Axis(left, right, _LEFT, WIDTH - _RIGHT, log)
    return [(x(tick), _t(tick)) for tick in (ticks(left, right) if at is None else at)]


def _lines(panel: Panel) -> tuple[int, str, str]:
    found = axes(panel)
    if found is None:
        return HEIGHT, "", ""
    parts = _y_axis(panel, found.y_ticks)
    for x, label in found.x_ticks:
        parts.append(f'<text class="tick" x="{_n(x)}" y="{HEIGHT - _BOTTOM + 17}" text-anchor="middle">{label}</text>')
    parts.append(_x_label(panel, HEIGHT))
    for place, y in found.rules:
        parts.append(
            f'<line class="c{place}" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{_n(y)}" y2="{_n(y)}"{_dash(place)}/>'
        )
    for place, name, xs, ys in found.lines:
        points = [(_n(x), _n(y)) for x, y in zip(xs, ys, strict=True)]
        text = " ".join(f"{x},{y}" for x, y in points)
        parts.append(f'<polyline class="c{place}" data-name="{escape(name)}" points="{text}"{_dash(place)}/>')
        if panel.points:
            parts += [f'<circle class="f{place}" cx="{x}" cy="{y}" r="{_MARK}"/>' for x, y in points]
    for place, x, lower, upper in found.errors:
        parts.append(f'<path class="c{place}" d="M{_n(x)} {_n(lower)}V{_n(upper)}"/>')
    logs = f"{int(panel.log_x)},{int(panel.log_y)}"
    return HEIGHT, "".join(parts), f' data-axes="{found.ends}" data-box="{BOX}" data-log="{logs}"'


def _bars(panel: Panel) -> tuple[int, str, str]:
    tops = [
        y + e for one in panel.series for y, e in zip(one.y, _errors(one.error, one.y), strict=True) if y is not None
    ]
    high = max([*tops, 1e-9]) * 1.08
    y = _Axis(0.0, high, HEIGHT - _BOTTOM, _TOP, False)
    parts = _y_axis(panel, [(y(tick), _t(tick)) for tick in ticks(0.0, high)])
    wide = (WIDTH - _LEFT - _RIGHT) / len(panel.categories)
    width = wide * 0.84 / len(panel.series)
    for n, category in enumerate(panel.categories):
        middle = _LEFT + wide * (n + 0.5)
        text = escape(" ".join(category.split()))
        parts.append(
            f'<text class="tick" x="{_n(middle)}" y="{HEIGHT - _BOTTOM + 17}" text-anchor="middle">{text}</text>'
        )
        for k, (place, one) in enumerate(zip(panel.places, panel.series, strict=True)):
            value = one.y[n]
            if value is None:
                continue
            at = middle - wide * 0.42 + width * k
            parts.append(
                f'<rect class="f{place}" x="{_n(at + 0.5)}" y="{_n(y(value))}" width="{_n(width - 1)}" '
                f'height="{_n(y(0.0) - y(value))}"><title>{escape(one.name)}: {value:.1f}</title></rect>'
            )
            if width > 15:
                top = y(value + _errors(one.error, one.y)[n]) - 3
                parts.append(_text("value", at + width / 2, top, f"{value:.1f}"))
            if one.error and one.error[n]:
                error = one.error[n] or 0.0
                parts.append(
                    f'<path class="error" d="M{_n(at + width / 2)} {_n(y(value - error))}V{_n(y(value + error))}"/>'
                )
    parts.append(_x_label(panel, HEIGHT))
    return HEIGHT, "".join(parts), ""


def _shares(panel: Panel) -> tuple[int, str, str]:
    height = 6 + (_ROW + _LABEL) * len(panel.categories) + 30
    parts = []
    for n, category in enumerate(panel.categories):
        top = 6 + (_ROW + _LABEL) * n
        parts.append(f'<text class="name" x="0" y="{top + _LABEL - 3}">{escape(category)}</text>')
        left = 0.0
        for place, one in zip(panel.places, panel.series, strict=True):
            value = one.y[n] or 0.0
            at, width = left * WIDTH / 100, value * WIDTH / 100
            size = f'width="{_n(max(width - 1, 0))}" height="{_ROW - 4}"'
            parts.append(
                f'<rect class="f{place}" x="{_n(at)}" y="{top + _LABEL}" {size}>'
                f"<title>{escape(one.name)}: {value:.0f} %</title></rect>"
            )
            if value >= 7:
                pale = " on-pale" if place in PALE else ""
                parts.append(
                    f'<text class="inside{pale}" x="{_n(at + width / 2)}" y="{top + _LABEL + 16}" '
                    f'text-anchor="middle">{value:.0f}</text>'
                )
            left += value
    parts.append(
        f'<text class="label" x="{WIDTH / 2:g}" y="{height - 8}" text-anchor="middle">{escape(panel.x_label)}</text>'
    )
    return height, "".join(parts), ""


def _y_axis(panel: Panel, at: Sequence[tuple[float, str]]) -> list[str]:
    parts = [
        f'<path class="grid" d="M{_LEFT} {_n(y)}H{WIDTH - _RIGHT}"/>'
        f'<text class="tick" x="{_LEFT - 5}" y="{_n(y + 4.5)}" text-anchor="end">{label}</text>'
        for y, label in at
    ]
    middle = (HEIGHT - _BOTTOM + _TOP) / 2
    turned = f'transform="rotate(-90 12 {middle:g})"'
    parts.append(
        f'<text class="label" x="12" y="{middle:g}" text-anchor="middle" {turned}>{escape(panel.y_label)}</text>'
    )
    parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{HEIGHT - _BOTTOM}H{WIDTH - _RIGHT}"/>')
    return parts


def _text(kind: str, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}" text-anchor="middle">{escape(text)}</text>'


def _x_label(panel: Panel, height: int) -> str:
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    return f'<text class="label" x="{middle:g}" y="{height - 6}" text-anchor="middle">{escape(panel.x_label)}</text>'


class _Axis:
    """From values to places between `start` and `end`."""

    def __init__(self, low: float, high: float, start: float, end: float, log: bool) -> None:
        self.low, high = (math.log10(low), math.log10(high)) if log else (low, high)
        self.span = high - self.low or 1.0
        self.start, self.end, self.log = start, end, log

    def __call__(self, value: float) -> float:
        return self.all([value])[0]

    def all(self, values: Sequence[float]) -> list[float]:
        """The places of many values."""
        start, length, low, span = self.start, self.end - self.start, self.low, self.span
        if self.log:
            values = list(map(math.log10, values))
        return [start + length * (value - low) / span for value in values]


def _padded(low: float, high: float, log: bool) -> tuple[float, float]:
    if log:
        return low / 1.15, high * 1.15
    pad = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
    return (0.0 if 0 <= low <= 0.3 * high else low - pad), high + pad


def _ends(low: float, high: float, panel: Panel) -> tuple[float, float]:
    if high == low:
        return 0.0, high * 1.1 or 1.0
    if not panel.points:
        return low, high
    if panel.log_x:
        return low / 1.3, high * 1.3
    pad = 0.06 * (high - low)
    return low - pad, high + pad


def _errors(errors: Sequence[float | None], values: Sequence[float | None]) -> list[float]:
    return [error or 0.0 for error in errors] or [0.0] * len(values)


def _dash(place: int) -> str:
    return f' stroke-dasharray="{" ".join(map(str, DASHES[place]))}"' if DASHES[place] else ""


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _t(value: float) -> str:
    return plain(float(f"{value:.4g}")) if abs(value) >= 1e-4 or value == 0 else f"{value:.0e}"
