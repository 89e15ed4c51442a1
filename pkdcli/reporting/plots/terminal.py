"""Figures as small charts of characters, for a terminal without a display."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pkdcli.reporting.plots.figure import Figure, Panel, lanes, threads
from pkdcli.reporting.table import points, signed
from pkdcli.runs.record import plain

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_STEPS = "▁▂▃▄▅▆▇█"
_FILLS = "█▓▒░▚▞"
_STYLES = ("blue", "red", "green", "magenta", "cyan", "yellow")


def print_figures(figures: Sequence[Figure], console: Console) -> None:
    """Print every figure under its title, no wider than the console.

    Args:
        figures: What to draw.
        console: Where to print.
    """
    for figure in figures:
        console.print(Text(figure.title, "bold"))
        for panel in figure.panels:
            if panel.title:
                console.print(Text(panel.title))
            console.print(_chart(panel, console.width))
        console.print()


def bar(value: float, most: float, width: int) -> str:
    """A bar whose length is to `width` as `value` is to `most`, to an eighth of a character.

    Args:
        value: Of the bar.
        most: Of the longest bar.
        width: Of the longest bar, in characters.
    """
    eighths = round(8 * width * max(0.0, min(value / most, 1.0))) if most > 0 else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def spark(values: Sequence[float], width: int) -> str:
    """A line of blocks between the smallest and the largest value.

    Args:
        values: In order; brought down to means where there are more than characters.
        width: In characters.
    """
    if len(values) > width:
        edges = [round(n * len(values) / width) for n in range(width + 1)]
        values = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    low, high = min(values), max(values)
    scale = (len(_STEPS) - 1) / (high - low) if high > low else 0
    return "".join(_STEPS[round((value - low) * scale)] for value in values)


def _chart(panel: Panel, width: int) -> Table | Text:
    if panel.kind in ("bars", "intervals") and all(y is None for one in panel.series for y in one.y):
        return Text("nothing is known to be drawn", "dim")  # no image has an object, say
    if panel.kind == "shares":
        return _shares(panel, width)
    if panel.kind == "intervals":
        return _intervals(panel, width)
    if panel.kind == "parallel":
        return _parallel(panel)
    if panel.kind == "bars":
        rows = [
            (f"{category.splitlines()[0]}, {one.name}", y, place)
            for n, category in enumerate(panel.categories)
            for place, one in enumerate(panel.series)
            if (y := one.y[n]) is not None
        ]
        return _bars(rows, width, panel.y_label)
    if panel.kind == "points":
        unit = panel.x_label.partition(":")[0]
        rows = [
            (f"{one.name}: {label} at {x:.3g}", y, place)
            for place, one in enumerate(panel.series)
            for x, y, label in zip(one.x, one.y, one.labels, strict=True)
            if y is not None
        ]
        return _bars(rows, width, f"{panel.y_label}, at {unit}")
    if panel.points and panel.x_label == "loss weight":
        rows = [(rule.name, rule.y, len(panel.series) + n) for n, rule in enumerate(panel.rules)]
        rows += [
            (f"{one.name}, weight {plain(x)}", y, place)
            for place, one in enumerate(panel.series)
            for x, y in zip(one.x, one.y, strict=True)
            if y is not None
        ]
        return _bars(rows, width, panel.y_label)
    return _sparks(panel, width)


def _bars(rows: list[tuple[str, float, int]], width: int, unit: str) -> Table:
    wide = _names([*(name for name, _, _ in rows), unit], width)
    numbers = max(len(points(value)) for _, value, _ in rows)
    table = _grid(wide, numbers)
    room, most = max(4, width - wide - numbers - 3), max(value for _, value, _ in rows)
    for name, value, place in rows:
        table.add_row(Text(name), points(value), Text(bar(value, most, room), _STYLES[place % len(_STYLES)]))
    table.add_row(Text(unit, "dim"))
    return table


def _shares(panel: Panel, width: int) -> Table:
    wide = _names(panel.categories, width)
    table, room = _grid(wide), max(8, width - wide - 2)
    for n, category in enumerate(panel.categories):
        ends, total = [0], 0.0
        for one in panel.series:
            total += one.y[n] or 0.0
            ends.append(round(room * min(total, 100.0) / 100))
        text = Text()
        for place, (a, b) in enumerate(itertools.pairwise(ends)):
            label = f"{panel.series[place].y[n] or 0:.0f}"
            fill = _FILLS[place % len(_FILLS)]
            text.append(f" {label} ".center(b - a, fill) if b - a > len(label) + 2 else fill * (b - a),
                        _STYLES[place % len(_STYLES)])  # fmt: skip
        table.add_row(Text(category), text)
    legend = Text()
    for place, one in enumerate(panel.series):
        legend.append(f"{_FILLS[place % len(_FILLS)]} {one.name}  ", _STYLES[place % len(_STYLES)])
    table.add_row(Text("%", "dim"), legend)
    return table


def _intervals(panel: Panel, width: int) -> Table:
    """A line an interval: its number, and the interval from end to end beside the place of zero."""
    several = lanes(panel)[0] > 1
    names = [[f"{category}, {one.name}" if several else category for one in panel.series]
             for category in panel.categories]  # fmt: skip
    wide = _names([*itertools.chain.from_iterable(names), panel.x_label], width)
    numbers = max(len(signed(y)) for one in panel.series for y in one.y if y is not None)
    table, room = _grid(wide, numbers), max(8, width - wide - numbers - 3)
    low, high = panel.y_range or (0.0, 1.0)

    def place(value: float) -> int:
        return round((room - 1) * (min(max(value, low), high) - low) / (high - low))

    for n in range(len(panel.categories)):
        for look, one in enumerate(panel.series):
            value = one.y[n]
            if value is None:
                continue
            cells = [" "] * room
            if one.ends[n] is not None:
                left, right = map(place, one.ends[n])
                cells[left : right + 1] = "├" + "─" * (right - left - 1) + "┤" if right > left else "│"
            cells[place(0.0)] = "┊" if cells[place(0.0)] == " " else "┼"
            cells[place(value)] = "●"
            track = Text("".join(cells).rstrip(), _STYLES[look % len(_STYLES)])
            table.add_row(Text(names[n][look]), signed(value), track)
    table.add_row(Text(panel.x_label, "dim"))
    return table


def _parallel(panel: Panel) -> Table:
    """A row for each line, a column for each axis."""
    table = Table.grid(padding=(0, 2))
    for n in range(len(panel.scales) + 1):
        table.add_column(justify="right" if n else "left")
    table.add_row(Text(""), *(Text(scale.name, "dim") for scale in panel.scales))
    for place, one in enumerate(panel.series):
        for line in threads(one):
            at = dict(line)
            cells = [dict(scale.ticks).get(at[n]) or points(at[n]) if n in at else ""
                     for n, scale in enumerate(panel.scales)]  # fmt: skip
            table.add_row(Text(one.name, _STYLES[place % len(_STYLES)]), *map(Text, cells))
    return table


def _sparks(panel: Panel, width: int) -> Table:
    shown = [(place, one) for place, one in enumerate(panel.series) if one.y]
    wide = _names([*(one.name for _, one in shown), *(rule.name for rule in panel.rules), panel.y_label], width)
    table, room = _grid(wide), max(4, min(60, width - wide - 25))
    for place, one in shown:
        values = [y for y in one.y if y is not None]
        ends = f"{values[0]:.4g} → {values[-1]:.4g}"
        table.add_row(Text(one.name), Text(spark(values, room), _STYLES[place % len(_STYLES)]), ends)
    for rule in panel.rules:
        table.add_row(Text(rule.name), Text(""), f"{rule.y:.4g}")
    table.add_row(Text(panel.y_label, "dim"))
    return table


def _names(names: Sequence[str], width: int) -> int:
    """The width of the column of names: of the longest, at most half of all."""
    return min(max(len(name) for name in names), width // 2)


def _grid(names: int, numbers: int = 0) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, overflow="ellipsis", width=names)
    if numbers:
        table.add_column(justify="right", no_wrap=True, width=numbers)
    table.add_column(no_wrap=True, overflow="crop")
    return table
