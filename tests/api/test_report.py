"""`pkdcli.report()` and `pkd report` give the same, in every format; and the function prints nothing."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest
from typer.testing import CliRunner

from pkdcli.api.report import ReportOptions, report
from pkdcli.cli import app
from pkdcli.errors import PkdError
from pkdcli.options import sort_keywords


@pytest.fixture
def runs(run_folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(run_folder.root.parent)
    return run_folder.sweep()


def typed(runs, *words):
    """What the command prints on stdout."""
    result = CliRunner().invoke(app, ["report", "--runs", str(runs.root), *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def called(folder, /, say=None, **words):
    """What the function gives, with the keywords that `pkdcli.report` takes."""
    return report(*sort_keywords([ReportOptions], {"runs": folder.root, **words}), say=say)


def plain(value):
    """A value of a data frame as JSON has it."""
    return None if isinstance(value, float) and math.isnan(value) else value


def as_json(frame):
    return [{key: plain(value) for key, value in row.items()} for row in frame.to_dict("records")]


BOTH = [
    ((), {}),
    (("--seeds", "mean"), {"seeds": "mean"}),
    (("--pair", "gfl101-fcos50", "--loss", "mse"), {"pair": "gfl101-fcos50", "loss": ["mse"]}),
    (("--where", "weight=30"), {"where": "weight=30"}),
    (("--best",), {"best": True}),
    (("--group-by", "loss", "--paper"), {"group_by": "loss", "paper": True}),
    (("--compare", "mse-10", "mse-3"), {"compare": ("mse-10", "mse-3")}),
]


@pytest.mark.parametrize(("words", "keywords"), BOTH)
def test_the_frame_has_the_rows_and_columns_of_json_and_csv(runs, words, keywords):
    frame = called(runs, **keywords)
    wanted = json.loads(typed(runs, *words, "--format", "json"))
    assert list(frame.columns) == list(wanted[0])
    assert as_json(frame) == wanted
    (heading, *_) = csv.reader(io.StringIO(typed(runs, *words, "--format", "csv")))
    assert list(frame.columns) == heading


def test_numbers_are_numbers_in_the_frame_even_where_none_is_known(runs):
    frame = called(runs)
    assert frame["mAP"].tolist() == [16.04, 31.5, 33.26, 12.0]
    assert frame.loc[frame["run"] == "mse-30", "gain"].item() == pytest.approx(17.22)
    for name in ("mAP", "AP_S", "gain", "weight", "temperature", "seconds"):
        assert frame[name].dtype == float, name
    assert frame["AP_S"].isna().all()
    assert frame.groupby("loss")["mAP"].max().to_dict() == {"mse": 33.26, "none": 16.04}


def test_the_frame_carries_what_stands_beside_the_tables(runs):
    runs.add("broken", state="failed", error={"message": "the loss is NaN at step 3."}, weight=70)
    frame = called(runs)
    assert frame.attrs == {
        "title": f"Runs in {runs.root}",
        "notes": ["failed at epoch 6/6: broken: the loss is NaN at step 3."],
    }
    assert frame.attrs["notes"][0] in typed(runs)
    assert "broken" in frame._repr_html_()  # as a notebook shows it


@pytest.mark.parametrize("format", ["table", "md", "csv", "json", "latex"])
def test_a_format_is_the_text_that_the_command_prints(runs, format, capsys):
    text = called(runs, format=format)
    assert capsys.readouterr() == ("", "")
    assert text == typed(runs, "--format", format)


@pytest.mark.parametrize("name", ["report.md", "report.csv", "report.json", "report.tex", "report.txt"])
def test_a_file_is_the_file_that_the_command_writes(runs, name, tmp_path, capsys):
    written = called(runs, output=tmp_path / "function" / name)
    assert capsys.readouterr() == ("", "")
    assert written == tmp_path / "function" / name
    assert typed(runs, "--output", tmp_path / "command" / name) == ""
    assert written.read_text() == (tmp_path / "command" / name).read_text() != ""


def test_the_page_is_always_a_file(runs, tmp_path):
    assert str(called(runs, format="html")) == "report.html"
    written = called(runs, output=str(tmp_path / "page.html"))
    assert written == tmp_path / "page.html"
    for page in (written, tmp_path / "report.html"):
        assert page.read_text().startswith("<!doctype html>")
        assert "mse-30" in page.read_text()


def test_plots_are_written_and_said_to_whom_listens(runs, tmp_path, capsys):
    said = []
    frame = called(runs, plot_dir=tmp_path / "plots", say=said.append)
    assert len(frame) == 4
    assert capsys.readouterr() == ("", "")
    files = sorted((tmp_path / "plots").iterdir())
    assert {path.suffix for path in files} == {".md", ".pdf", ".png", ".svg"}
    assert sorted(said) == sorted(f"Wrote {path}" for path in files if path.name != "captions.md")


def test_files_that_cannot_be_read_are_said_to_whom_listens(runs, capsys):
    (runs.root / "mse-50" / "result.json").write_text('{"metrics"')
    said = []
    assert len(called(runs)) == len(called(runs, say=said.append)) == 4
    assert capsys.readouterr() == ("", "")
    assert [line.partition(": Exp")[0] for line in said] == [
        f"warning: can't read {runs.root / 'mse-50' / 'result.json'}"
    ]


def test_without_runs_there_is_an_empty_frame_that_says_how_to_begin(run_folder):
    frame = called(run_folder)
    assert len(frame) == 0
    assert "mAP" in frame.columns
    line = f"No runs in {run_folder.root} yet. Start with: pkd sweep --loss mse --weights 10,30,50 --scale tiny"
    assert frame.attrs["notes"] == [line]


def test_wrong_words_get_the_nearest(runs):
    for words, message in (
        ({"formt": "md"}, "unknown keyword 'formt'.\nDid you mean 'format'?"),
        ({"format": "cvs"}, "unknown format 'cvs'.\nDid you mean 'csv'?"),
        ({"layout": "table9"}, "unknown layout 'table9'.\nDid you mean 'table"),
        ({"seeds": "means"}, "unknown seeds 'means'.\nDid you mean 'mean'?"),
        ({"where": "wight=10"}, "--where wight=10: unknown column 'wight'.\nDid you mean 'weight'?"),
        ({"best": 3}, "best: 3 is not True or False."),
        ({"compare": ("mse-10", "mse-40")}, "--compare: no run begins with 'mse-40'.\nDid you mean mse-"),
        ({"runs": runs.root / "base"}, f"{runs.root / 'base'} is itself a run."),
    ):
        with pytest.raises(PkdError) as caught:
            called(runs, **words)
        assert str(caught.value).startswith(message)
