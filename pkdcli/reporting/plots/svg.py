"""A panel as inline SVG for the page: colours are the style sheet's, so that it follows the light or dark scheme."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from textwrap import wrap

from pkdcli.reporting.plots.axes import (
    BOTTOM,
    BOX,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    axes,
    beside,
    tick_label,
    ticks,
)
from pkdcli.reporting.plots.figure import DASHES, PALE, Panel, lanes, threads, told

_ROW, _LABEL, _LANE = 26, 15, 13  # of lying bars and intervals; of each of several in a row
_MARK = 2.6
_DEEP, _NAMES, _FOLD = 46, 96, 13  # from one axis of parallel coordinates to the next; its name's room; in letters


def draw(panel: Panel, title: str, description: str = "") -> str:
    """The panel as an `<svg>` element that scales with its place; everything in it that users wrote is escaped.

    Args:
        panel: What to draw.
        title: Read out for the picture.
        description: Read out after it.
    """
    draw_kind = {
        "lines": _lines,
        "points": _points,
        "bars": _bars,
        "shares": _shares,
        "intervals": _intervals,
        "parallel": _parallel,
    }[panel.kind]
    height, body, more = draw_kind(panel)
    label = escape(". ".join(filter(None, (title.rstrip("."), description))))
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}"{more}>'
        f"<title>{escape(title)}</title>{body}</svg>"
    )


def _lines(panel: Panel) -> tuple[int, str, str]:
    found = axes(panel)
    if found is None:
        return HEIGHT, "", ""
    parts = _y_axis(panel, found.y_ticks)
    for x, label in found.x_ticks:
        parts.append(f'<text class="tick" x="{_n(x)}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{label}</text>')
    parts.append(_x_label(panel, HEIGHT))
    for place, lower, upper in found.bands:
        size = f'width="{WIDTH - RIGHT - LEFT}" height="{_n(lower - upper)}"'
        parts.append(f'<rect class="f{place} band" x="{LEFT}" y="{_n(upper)}" {size}/>')
    for place, y in found.rules:
        parts.append(
            f'<line class="c{place}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{_n(y)}" y2="{_n(y)}"{_dash(place)}/>'
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


def _points(panel: Panel) -> tuple[int, str, str]:
    found = axes(panel)
    if found is None:
        return HEIGHT, "", ""
    parts = _y_axis(panel, found.y_ticks)
    parts += [_text("tick", x, HEIGHT - BOTTOM + 17, label) for x, label in found.x_ticks]
    parts.append(_x_label(panel, HEIGHT))
    low, high = (float(end) for end in found.ends.split(",")[2:])
    up = Axis(low, high, HEIGHT - BOTTOM, TOP, False)
    for (place, name, xs, ys), one, moved in zip(found.lines, panel.series, beside(panel), strict=True):
        for n, (x, y) in enumerate(zip(xs, ys, strict=True)):
            x += 4 * _MARK * moved[n]
            if one.error and one.error[n]:
                ends = (_n(up(one.y[n] + sign * one.error[n])) for sign in (-1, 1))
                parts.append(f'<path class="c{place}" d="M{_n(x)} {"V".join(ends)}"/>')
            text = escape(f"{name}, {one.labels[n]}: {one.y[n]:.1f} at {one.x[n]:.3g}")
            at = f'cx="{_n(x)}" cy="{_n(y)}" r="{2 * _MARK}"'
            parts.append(f'<circle class="f{place}" {at}><title>{text}</title></circle>')
    low, high = (float(end) for end in found.ends.split(",")[:2])
    across = Axis(low, high, LEFT, WIDTH - RIGHT, False)
    parts += [_text("value", across(a), up(b) - 9, text) for a, b, text in panel.marks]
    return HEIGHT, "".join(parts), ""


def _bars(panel: Panel) -> tuple[int, str, str]:
    tops = [
        y + e for one in panel.series for y, e in zip(one.y, _errors(one.error, one.y), strict=True) if y is not None
    ]
    high = max([*tops, 1e-9]) * 1.08
    y = Axis(0.0, high, HEIGHT - BOTTOM, TOP, False)
    parts = _y_axis(panel, [(y(tick), tick_label(tick)) for tick in ticks(0.0, high)])
    wide = (WIDTH - LEFT - RIGHT) / len(panel.categories)
    width = wide * 0.84 / len(panel.series)
    for n, category in enumerate(panel.categories):
        middle = LEFT + wide * (n + 0.5)
        text = escape(" ".join(category.split()))
        parts.append(
            f'<text class="tick" x="{_n(middle)}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{text}</text>'
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


def _intervals(panel: Panel) -> tuple[int, str, str]:
    low, high = panel.y_range or (0.0, 1.0)
    most, shown = lanes(panel)
    deep = _ROW if most == 1 else _LANE * most + 4
    bottom = 6 + (deep + _LABEL) * len(panel.categories)
    x, parts = Axis(low, high, 10, WIDTH - 10, False), []
    tops = [6 + (deep + _LABEL) * n for n in range(len(panel.categories))]
    for tick in ticks(low, high):
        at, label = _n(x(tick)), tick_label(tick)
        # Beside the intervals alone: no line goes through a name.
        lines = "".join(f"M{at} {top + _LABEL}V{top + _LABEL + deep - 4}" for top in tops)
        parts.append(f'<path class="{"axis" if tick == 0 else "grid"}" d="{lines}"/>')
        parts.append(f'<text class="tick" x="{at}" y="{bottom + 16}" text-anchor="middle">{label}</text>')
    for n, (top, category) in enumerate(zip(tops, panel.categories, strict=True)):
        parts.append(f'<text class="name" x="0" y="{top + _LABEL - 3}">{escape(category)}</text>')
        for lane, k in enumerate(shown[n]):
            place, one, value = panel.places[k], panel.series[k], panel.series[k].y[n] or 0.0
            middle = top + _LABEL + (deep - 4) * (lane + 0.5) / len(shown[n])
            ends = one.ends[n] if one.ends else None
            if ends is not None:
                left, right = (x(min(max(end, low), high)) for end in ends)
                # An end beyond the axis has no cap.
                caps = "".join(f"M{_n(at)} {_n(middle - 5)}V{_n(middle + 5)}" for at, end in
                               zip((left, right), ends, strict=True) if low <= end <= high)  # fmt: skip
                parts.append(f'<path class="c{place}" d="M{_n(left)} {_n(middle)}H{_n(right)}{caps}"/>')
            said = f"{value:+.1f}" + ("" if ends is None else f", {ends[0]:+.1f} to {ends[1]:+.1f}")
            named = category if most == 1 else f"{category}, {one.name}"
            title = f"<title>{escape(named)}: {said}</title>"
            parts.append(f'<circle class="f{place}" cx="{_n(x(value))}" cy="{_n(middle)}" r="4">{title}</circle>')
    parts.append(_text("label", WIDTH / 2, bottom + 34, panel.x_label))
    return bottom + 42, "".join(parts), ""


def _parallel(panel: Panel) -> tuple[int, str, str]:
    across = [Axis(one.low, one.high, _NAMES, WIDTH - 14, one.log) for one in panel.scales]
    down = [14 + _DEEP * n for n in range(len(panel.scales))]
    parts, words = [], []
    for one, x, y in zip(panel.scales, across, down, strict=True):
        parts.append(f'<path class="axis" d="M{_NAMES} {y}H{WIDTH - 14}"/>')
        lines = wrap(one.name, _FOLD) or [""]
        for n, line in enumerate(lines[:2]):
            at = y + 4.5 + 14 * (n - 0.5 * (min(len(lines), 2) - 1))
            parts.append(f'<text class="name" x="0" y="{_n(at)}">{escape(line)}</text>')
        for value, label in one.ticks:
            parts.append(f'<path class="axis" d="M{_n(x(value))} {y - 3}V{y + 3}"/>')
            # Written over the lines, with a rim: a line that goes through a number hides it otherwise.
            words.append(_text("tick rimmed", x(value), y + 17, label))
    for place, one in reversed(list(zip(panel.places, panel.series, strict=True))):  # the best on top
        for line in threads(one):
            at = [(_n(across[axis](value)), _n(down[axis])) for axis, value in line]
            title = f"<title>{escape(f'{one.name}: {told(panel, line)}')}</title>"
            text = " ".join(f"{x},{y}" for x, y in at)
            parts.append(f'<polyline class="c{place}" points="{text}"{_dash(place)}>{title}</polyline>')
            parts += [f'<circle class="f{place}" cx="{x}" cy="{y}" r="{_MARK}"/>' for x, y in at]
    return down[-1] + 26, "".join([*parts, *words]), ""


def _y_axis(panel: Panel, at: Sequence[tuple[float, str]]) -> list[str]:
    parts = [
        f'<path class="grid" d="M{LEFT} {_n(y)}H{WIDTH - RIGHT}"/>'
        f'<text class="tick" x="{LEFT - 5}" y="{_n(y + 4.5)}" text-anchor="end">{label}</text>'
        for y, label in at
    ]
    middle = (HEIGHT - BOTTOM + TOP) / 2
    turned = f'transform="rotate(-90 12 {middle:g})"'
    parts.append(
        f'<text class="label" x="12" y="{middle:g}" text-anchor="middle" {turned}>{escape(panel.y_label)}</text>'
    )
    parts.append(f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    return parts


def _text(kind: str, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}" text-anchor="middle">{escape(text)}</text>'


def _x_label(panel: Panel, height: int) -> str:
    middle = (LEFT + WIDTH - RIGHT) / 2
    return f'<text class="label" x="{middle:g}" y="{height - 6}" text-anchor="middle">{escape(panel.x_label)}</text>'


def _errors(errors: Sequence[float | None], values: Sequence[float | None]) -> list[float]:
    return [error or 0.0 for error in errors] or [0.0] * len(values)


def _dash(place: int) -> str:
    return f' stroke-dasharray="{" ".join(map(str, DASHES[place]))}"' if DASHES[place] else ""


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
