"""The quick way to draw a table against rich's own: the same characters in the same styles."""

from __future__ import annotations

import io

import pytest
from rich.box import HEAVY_HEAD, SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from pkdcli.reporting import quick_table
from pkdcli.reporting.quick_table import QuickTable

ROWS = [
    ("gfl101-fcos50__pkd-w10", "done", "31.5"),
    ("", "failed", ""),
    ("学生 [bold]no markup[/]", ":smile: running", "-1.0"),
    ("last", "", "100.25"),
]
SHAPES = {
    "paper": {"box": SIMPLE_HEAD, "pad_edge": False, "padding": (0, 1, 0, 0)},
    "status": {"box": HEAVY_HEAD},
}


def table(kind, shape, rows=ROWS, sections=(1,)):
    made = kind(**SHAPES[shape])
    made.add_column(Text("run"), overflow="fold", min_width=8)
    made.add_column("state", overflow="fold")
    made.add_column("mAP", justify="right", min_width=5)
    for number, (name, state, value) in enumerate(rows):
        made.add_row(Text(name), Text(state, "bold red" if state == "failed" else ""), Text(value))
        if number in sections:
            made.add_section()
    return made


def printed(made, width, color=None):
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=color is not None, color_system=color).print(made)
    return out.getvalue()


def looks(text):
    """Every character with its style, whichever way the codes around it are put."""
    found = []
    for line in text.split("\n"):
        decoded = Text.from_ansi(line)
        styles = [[] for _ in decoded.plain]
        for start, end, style in decoded.spans:
            for place in range(start, end):
                styles[place].append(str(style))
        pairs = zip(decoded.plain, styles, strict=True)
        found.append([(letter, style if letter != " " else None) for letter, style in pairs])
    return found


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("width", [40, *range(48, 64), 200])
@pytest.mark.parametrize("color", [None, "standard"])
def test_it_looks_as_rich_draws_it(shape, width, color):
    ours, theirs = (printed(table(kind, shape), width, color) for kind in (QuickTable, RichTable))
    if color is None:
        assert ours == theirs
    assert looks(ours) == looks(theirs)
    assert color is None or "\x1b[1;31m" in ours


@pytest.mark.parametrize("text", ["two\nlines", "tab\there", "space at the end ", "\x07bell"])
def test_what_is_no_single_line_is_left_to_rich(text):
    rows = [*ROWS, (text, "x", "1")]
    assert printed(table(QuickTable, "paper", rows), 200) == printed(table(RichTable, "paper", rows), 200)


def test_rich_draws_only_what_does_not_fit(monkeypatch):
    calls = []
    rich = RichTable.__rich_console__
    monkeypatch.setattr(quick_table.Table, "__rich_console__", lambda *given: calls.append(1) or rich(*given))
    printed(table(QuickTable, "status"), 200)
    assert calls == []
    printed(table(QuickTable, "status"), 30)
    assert calls == [1]


def test_no_rows_and_a_title_are_rich_s():
    assert printed(table(QuickTable, "status", []), 80) == printed(table(RichTable, "status", []), 80)
    ours, theirs = (table(kind, "status") for kind in (QuickTable, RichTable))
    ours.title = theirs.title = "Runs"
    assert printed(ours, 80) == printed(theirs, 80)
