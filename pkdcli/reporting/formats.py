"""Tables as Rich, Markdown and LaTeX text; records as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pkdcli.reporting.table import Table
from pkdcli.runs.record import Record, plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

_WIDE = 200  # characters of a line that goes to a pipe or a file
_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}"},
    **{">": r"\textgreater{}", "|": r"\textbar{}", "−": "$-$", "α": r"$\alpha$", "\n": " "},
}


def to_csv(records: list[Record], columns: Sequence[str]) -> str:
    """A heading and one line per record, numbers in full precision, None as nothing.

    Args:
        records: The rows.
        columns: The keys to show, in order.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(key, record.get(key)) for key in columns] for record in records)
    return out.getvalue()


def to_json(records: list[Record], columns: Sequence[str]) -> str:
    """A list of objects with the keys of the CSV; what is not known is null.

    Args:
        records: The rows.
        columns: The keys to show, in order.
    """
    data = [{key: _weight(key, record.get(key)) for key in columns} for record in records]
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_markdown(tables: list[Table], notes: list[str]) -> str:
    """GitHub's tables, the best of a group in bold.

    Args:
        tables: In this order.
        notes: Below all of them.
    """
    blocks = []
    for table in tables:
        lines = [f"**{_markdown(table.title)}**", ""]
        lines.append("| " + " | ".join(_markdown(name) for name in table.columns) + " |")
        lines.append("|" + "|".join(" --- " if n < table.words else " ---: " for n in range(len(table.columns))) + "|")
        for section, row, cells in _rows(table):
            texts = [_markdown(text) for text in cells]
            texts = [f"**{t}**" if (section, row, n) in table.bold else t for n, t in enumerate(texts)]
            lines.append("| " + " | ".join(texts) + " |")
        blocks.append("\n".join(lines))
        blocks += ["\n".join(f"- {_markdown(note)}" for note in table.notes)] if table.notes else []
    blocks += ["\n".join(f"- {_markdown(note)}" for note in notes)] if notes else []
    return "\n\n".join(blocks) + "\n"


def to_latex(tables: list[Table], notes: list[str]) -> str:
    """Tables for `\\usepackage{booktabs}`, the best of a group in bold, notes as comments.

    Args:
        tables: In this order.
        notes: Below all of them.
    """
    blocks = ["% needs \\usepackage{booktabs}"]
    for table in tables:
        lines = [r"\begin{table}", r"\centering", rf"\caption{{{_latex(table.title)}}}"]
        align = "l" * table.words + "r" * (len(table.columns) - table.words)
        lines += [rf"\begin{{tabular}}{{{align}}}", r"\toprule"]
        lines.append(" & ".join(_latex(name) for name in table.columns) + r" \\")
        last = None
        for section, row, cells in _rows(table):
            if section != last:
                lines.append(r"\midrule")
            last = section
            texts = [_latex(text) for text in cells]
            texts = [rf"\textbf{{{t}}}" if (section, row, n) in table.bold else t for n, t in enumerate(texts)]
            lines.append(" & ".join(texts) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
        lines += [f"% {' '.join(note.split())}" for note in table.notes]
        blocks.append("\n".join(lines))
    blocks += ["\n".join(f"% {' '.join(note.split())}" for note in notes)] if notes else []
    return "\n\n".join(blocks) + "\n"


def print_rich(tables: list[Table], notes: list[str]) -> None:
    """Print to the terminal; where the output is a pipe, wide enough that nothing is folded.

    Args:
        tables: In this order.
        notes: Below all of them.
    """
    from rich.console import Console

    _print(Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDE), tables, notes)


def to_text(tables: list[Table], notes: list[str]) -> str:
    """The tables as the terminal shows them, without colours and wide enough that nothing is folded.

    Args:
        tables: In this order.
        notes: Below all of them.
    """
    from rich.console import Console

    text = io.StringIO()
    _print(Console(file=text, width=_WIDE, no_color=True), tables, notes)
    return text.getvalue()


def _print(console: Console, tables: list[Table], notes: list[str]) -> None:
    from rich.text import Text

    for table in tables:
        console.print(Text(table.title, "bold"), soft_wrap=True)
        console.print(to_rich(table), crop=False)
        for note in table.notes:
            console.print(note, markup=False, highlight=False, soft_wrap=True)
        if table.notes:
            console.print()
    for note in notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)


def to_rich(table: Table) -> RichTable:
    """The table for the terminal. Where it is too narrow words are broken over lines, never numbers cut."""
    from rich.box import SIMPLE_HEAD
    from rich.text import Text

    from pkdcli.reporting.quick_table import QuickTable

    rich = QuickTable(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for n, name in enumerate(table.columns):
        texts = [name, *(cells[n] for _, _, cells in _rows(table))]
        widest = max(len(word) for text in texts for word in (text.split() or [""]))
        justify, least = ("left", min(widest, 12)) if n < table.words else ("right", widest)
        rich.add_column(Text(name), justify=justify, overflow="fold", min_width=least)
    last = None
    for section, row, cells in _rows(table):
        if last is not None and section != last:
            rich.add_section()
        last = section
        styles = ["bold green" if (section, row, n) in table.bold else "" for n in range(len(cells))]
        rich.add_row(*map(Text, cells, styles))
    return rich


def _rows(table: Table) -> list[tuple[int, int, list[str]]]:
    return [(s, r, cells) for s, rows in enumerate(table.sections) for r, cells in enumerate(rows)]


def _cell(key: str, value: Any) -> str:
    if isinstance(value, list):
        return " / ".join(plain(item) for item in value)
    return plain(_weight(key, value)) if key in _COUNTS else "" if value is None else str(value)


_COUNTS = ("weight", "temperature")


def _weight(key: str, value: Any) -> Any:
    # A weight of 10.0 is written 10, so that one weight has one spelling however the recipe gave it.
    return int(value) if key in _COUNTS and isinstance(value, float) and value.is_integer() else value


def _markdown(text: str) -> str:
    return re.sub(r"([\\|*<>`])", r"\\\1", " ".join(text.split()))


def _latex(text: str) -> str:
    return re.sub(r"± ?", r"$\\pm$ ", "".join(_LATEX.get(character, character) for character in text))
