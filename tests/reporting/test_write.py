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
        ("json", "a.md", "json"),
    ],
)
def test_a_format_is_the_one_asked_for_or_the_one_that_the_file_ends_in(format, output, found):
    assert format_of(format, Path(output) if output else None) == found


def test_an_unknown_format_gets_the_nearest():
    with pytest.raises(PkdError) as caught:
        format_of("htlm", None)
    assert str(caught.value).startswith("unknown --format 'htlm'.\nDid you mean 'html'? Allowed: ")


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


@pytest.mark.parametrize("ending", [".pdf", ".PNG", ".xlsx"])
def test_a_table_is_written_into_no_file_that_says_it_is_another_kind(ending):
    with pytest.raises(PkdError) as caught:
        format_of(None, Path(f"out{ending}"))
    assert str(caught.value) == (
        f"--output out{ending}: tables are not written as {ending.lower()}.\n"
        "Endings: .txt, .md, .csv, .json, .tex, .html, .htm. Or say what it shall be with --format."
    )
    assert format_of("md", Path(f"out{ending}")) == "md"
    assert format_of(None, Path("out.txt")) == format_of(None, Path("out")) == "table"
