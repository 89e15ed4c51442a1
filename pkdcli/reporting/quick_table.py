"""rich's table, drawn in a twentieth of the time where no cell needs a second line: thousands of runs in a blink."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.table import Column, Table
from rich.text import Text


class _Cells(NamedTuple):
    """A column of single lines: texts and styles from the heading down, and how wide the column has to be."""

    texts: list[str]
    styles: list[Style]
    width: int
    left: int
    right: int
    pad_left: bool


class QuickTable(Table):
    """A `rich.table.Table` with a heading and without a footer, whose cells are `Text` of one style each.

    It looks as rich draws it, to the character. Where the table is wider than the console, or a cell is anything else,
    rich draws it.
    """

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        columns = self._columns(console) if self._is_plain() else None
        widths = [one.left + one.width + one.right for one in columns or []]
        if columns and sum(widths) + self._extra_width <= options.max_width:
            yield from self._drawn(console, options, columns, widths)
        else:
            yield from super().__rich_console__(console, options)

    def _is_plain(self) -> bool:
        others = (self.title, self.caption, self.show_footer, self.show_lines, self.leading, self.expand, self.width,
                  self.min_width, self.row_styles, self.collapse_padding, self.padding[0], self.padding[2])  # fmt: skip
        return bool(self.box and self.show_header and self.show_edge and self.rows) and not any(others)

    def _columns(self, console: Console) -> list[_Cells] | None:
        """The columns as lines; None where one has to be drawn by rich."""
        found = [self._column(console, number, column) for number, column in enumerate(self.columns)]
        return None if None in found else found

    def _column(self, console: Console, number: int, column: Column) -> _Cells | None:
        if column.width or column.max_width or column.ratio or column.justify not in ("left", "right"):
            return None
        heading = Text(column.header) if isinstance(column.header, str) and "[" not in column.header else column.header
        cells = [heading, *column.cells]
        if not all(type(cell) is Text and not cell.spans and not cell.justify for cell in cells):
            return None
        texts = [cell.plain for cell in cells]
        if not all(text.isprintable() and not text.endswith(" ") for text in texts):
            return None
        kinds = {style: console.get_style(style) for style in {cell.style for cell in cells}}
        base, head = (console.get_style(style or "") for style in (column.style, column.header_style))
        top = console.get_style(self.header_style or "") + head + kinds[heading.style]
        styles = [top, *(base + kinds[cell.style] for cell in cells[1:])]
        _, right, _, left = self.padding
        left = left if self.pad_edge or number else 0
        right = right if self.pad_edge or number < len(self.columns) - 1 else 0
        width = max(column.min_width or 0, *map(cell_len, texts)) or 1
        return _Cells(texts, styles, width, left, right, column.justify == "right")

    def _drawn(
        self, console: Console, options: ConsoleOptions, columns: list[_Cells], widths: list[int]
    ) -> Iterator[Segment]:
        box = self.box.substitute(options, safe=self.safe_box if self.safe_box is not None else console.safe_box)
        border = console.get_style(self.style or "") + console.get_style(self.border_style or "")
        last = len(self.rows)
        ends = [True, *(row.end_section for row in self.rows)]
        columns_of_cells = [list(_padded(column)) for column in columns]
        plain = [not any(styles) for styles in zip(*(column.styles for column in columns), strict=True)]
        yield Segment(box.get_top(widths) + "\n", border)
        for number, cells in enumerate(zip(*columns_of_cells, strict=True)):
            part = "head" if number == 0 else "foot" if number == last else "mid"
            left, divider, right = (getattr(box, f"{part}_{side}") for side in ("left", "vertical", "right"))
            if plain[number] and not border:
                yield Segment(f"{left}{divider.join(cells)}{right}\n")
            else:
                segments = [Segment(text, column.styles[number]) for text, column in zip(cells, columns, strict=True)]
                between = [Segment(left, border), *[Segment(divider, border)] * (len(cells) - 1)]
                yield from chain.from_iterable(zip(between, segments, strict=True))
                yield Segment(f"{right}\n", border)
            if number == 0 or (ends[number] and number < last):
                yield Segment(box.get_row(widths, "head" if number == 0 else "row") + "\n", border)
        yield Segment(box.get_bottom(widths) + "\n", border)


def _padded(column: _Cells) -> Iterator[str]:
    """The cells of a column, each as wide as it."""
    left, right = " " * column.left, " " * column.right
    for text in column.texts:
        space = " " * (column.width - (len(text) if text.isascii() else cell_len(text)))
        yield f"{left}{space}{text}{right}" if column.pad_left else f"{left}{text}{space}{right}"
