"""The format of a report: which it is, and where it goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkdcli.errors import PkdError
from pkdcli.reporting.table import Table
from pkdcli.reporting.write import FORMATS, emit, format_of, render

TABLE = Table("Title", ["word", "number"], 1, [[["a", "1.5"]]])
ROWS, COLUMNS = [{"word": "a", "number": 1.5, "hidden": 0}], ("word", "number")


@pytest.mark.parametrize(
    ("format", "output", "found"),
    [
        (None, None, "table"),
        (None, "a.md", "md"),
        (None, "a.TEX", "latex"),
        (None, "a.htm", "html"),
        (None, "a.txt", "table"),
        (None, "a.Markdown", "md"),
        (None, "a", "table"),
        ("json", "a.json", "json"),
        ("json", "a.dat", "json"),
        ("html", "a.htm", "html"),
    ],
)
def test_a_format_is_the_one_asked_for_or_the_one_that_the_file_ends_in(format, output, found):
    assert format_of(format, Path(output) if output else None) == found


def test_an_unknown_format_gets_the_nearest():
    with pytest.raises(PkdError) as caught:
        format_of("htlm", None)
    assert str(caught.value).startswith("unknown --format 'htlm'.\nDid you mean 'html'? Allowed: ")


@pytest.mark.parametrize(
    ("format", "output", "settings", "message", "hint"),
    [
        (None, "x.pdf", {"plots": "--plot-dir"}, "--output x.pdf: no format here ends in .pdf.",
         "Pictures are written into a folder: --plot-dir DIR. Allowed endings: .txt, .md, .csv, .json, .tex, .html."),
        ("csv", "x.PNG", {}, "--output x.PNG: no format here ends in .PNG.",
         "Allowed endings: .txt, .md, .csv, .json, .tex, .html."),
        (None, "out/x y.jsn", {}, "--output out/x y.jsn: no format here ends in .jsn.",
         "Did you mean 'out/x y.json'? Allowed endings: .txt, .md, .csv, .json, .tex, .html. With --format any other "
         "will do."),
        (None, "x.xlsx", {}, "--output x.xlsx: no format here ends in .xlsx.",
         "Allowed endings: .txt, .md, .csv, .json, .tex, .html. With --format any other will do."),
        (None, "x.csv", {"formats": ("table", "md", "json")}, "--output x.csv: no format here ends in .csv.",
         "Allowed endings: .txt, .md, .json. With --format any other will do."),
        ("json", "a.md", {}, "--format json and --output a.md contradict each other: .md is the ending of md.",
         "Leave --format out, or name a file that ends in .json: --output a.json"),
        ("md", "a.html", {}, "--format md and --output a.html contradict each other: .html is the ending of html.",
         "Leave --format out, or name a file that ends in .md: --output a.md"),
    ],
)  # fmt: skip
def test_an_ending_that_does_not_fit_is_refused_before_any_work(format, output, settings, message, hint):
    with pytest.raises(PkdError) as caught:
        format_of(format, Path(output), **settings)
    assert (caught.value.message, caught.value.hint, caught.value.code) == (message, hint, 2)


def test_where_the_page_goes_is_looked_at_first_too(tmp_path):
    with pytest.raises(PkdError, match=r"can't write .*: Is a directory\."):
        format_of("html", None, page=tmp_path)


def test_formats_for_people_show_tables_and_those_of_data_rows():
    texts = {format: render(format, [TABLE], ["A note."], ROWS, COLUMNS) for format in FORMATS}
    assert texts["csv"] == "word,number\na,1.5\n"
    assert texts["json"] == '[\n {\n  "word": "a",\n  "number": 1.5\n }\n]\n'
    for format in ("table", "md", "latex", "html"):
        assert "Title" in texts[format]
        assert "A note." in texts[format]


def test_what_is_written_is_said_on_stderr(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    emit("md", None, [TABLE], [], [], ())
    assert capsys.readouterr() == (render("md", [TABLE], [], [], ()), "")
    emit("csv", tmp_path / "new" / "a.csv", [], [], ROWS, COLUMNS)
    assert capsys.readouterr() == ("", f"Wrote {tmp_path}/new/a.csv\n")
    assert (tmp_path / "new" / "a.csv").read_text() == "word,number\na,1.5\n"
    emit("html", None, [TABLE], [], [], ())
    assert capsys.readouterr() == ("", "Wrote report.html\n")
    assert (tmp_path / "report.html").is_file()
