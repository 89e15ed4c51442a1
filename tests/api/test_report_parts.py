"""`pkd report --by-class` and `--split test`: in every format, and what is said of runs that can't be shown so."""

from __future__ import annotations

import csv
import io
import json

import pytest
import yaml
from typer.testing import CliRunner

from pkdcli.api.report import ReportOptions, find_report, report
from pkdcli.cli import app
from pkdcli.errors import PkdError
from pkdcli.options import sort_keywords
from pkdcli.runs.store import write_json, write_text

SIX = ("mAP", "AP50", "AP75", "AP_S", "AP_M", "AP_L")


@pytest.fixture
def runs(run_folder, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return run_folder


def typed(runs, *words):
    """What the command prints: on stdout, and on stderr."""
    result = CliRunner().invoke(app, ["report", "--runs", str(runs.root), *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def called(runs, **words):
    return report(*sort_keywords([ReportOptions], {"runs": runs.root, **words}))


@pytest.fixture
def classes(runs):
    """A baseline and a student of two seeds; no star is in the data, and one run is of an older release."""
    for seed, (circle, square) in enumerate(((10.0, 20.0), (14.0, 30.0))):
        runs.add(f"base-{seed}", 15.0, role="baseline", seed=seed,
                 classes={"circle": circle, "star": None, "square": square})  # fmt: skip
        runs.add(f"mse-{seed}", 17.5, seed=seed, classes={"circle": circle + 2.25, "star": None, "square": square - 1})
    runs.add("old", 12.0, weight=50.0)
    return runs




def test_by_class_as_a_table(classes):
    out, _ = typed(classes, "--by-class", "--format", "md")
    lines = out.splitlines()
    assert lines[0] == "**AP by class: data shapes, split val, scale tiny**"
    assert lines[2] == (
        "| class | FCOS-Res50 (student), seed 0 | FCOS-Res50 (student), seed 1 | mse, weight 10, seed 0 | mse, weight "
        "10, seed 1 |"
    )
    assert lines[4:7] == [
        "| circle | 10.0 | 14.0 | 12.2 (+2.2) | 16.2 (+2.2) |",
        "| star |  |  |  |  |",
        "| square | 20.0 | 30.0 | 19.0 (-1.0) | 29.0 (-1.0) |",
    ]
    assert "No AP by class of old: " in out
    assert out.rstrip().endswith("Type: pkd eval old")


def test_by_class_over_seeds(classes):
    out, _ = typed(classes, "--by-class", "--seeds", "mean", "--format", "md")
    lines = out.splitlines()
    assert lines[2] == "| class | FCOS-Res50 (student) | mse, weight 10 |"
    assert lines[4:7] == [
        "| circle | 12.0 ±2.8 | 14.2 ±2.8 (+2.2 ±0.0) |",
        "| star |  |  |",
        "| square | 25.0 ±7.1 | 24.0 ±7.1 (-1.0 ±0.0) |",
    ]


@pytest.mark.parametrize("format", ["table", "latex", "html"])
def test_by_class_in_the_other_formats(classes, format, tmp_path):
    file = tmp_path / f"out.{format}"
    typed(classes, "--by-class", "--format", format, "-o", file)
    text = file.read_text()
    for part in ("AP by class", "circle", "star", "12.2 (+2.2)"):
        assert part in text, part


def test_by_class_as_data(classes):
    out, err = typed(classes, "--by-class", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["run"], row["class"]) for row in rows[:4]] == [
        ("base-0", "circle"), ("base-0", "star"), ("base-0", "square"), ("base-1", "circle"),
    ]  # fmt: skip
    found = {(row["run"], row["class"]): (row["AP"], row["gain"]) for row in rows}
    assert found["mse-1", "square"] == ("29.0", "-1.0")
    assert found["mse-1", "star"] == ("", "")
    assert len(rows) == 12
    assert "Type: pkd eval old" in err
    rows = json.loads(typed(classes, "--by-class", "--format", "json")[0])
    assert {row["AP"] for row in rows if row["class"] == "star"} == {None}
    frame = called(classes, by_class=True)
    assert frame["AP"].sum() == sum(float(row["AP"] or 0) for row in rows)
    assert frame.attrs["notes"][-1].endswith("Type: pkd eval old")


def test_a_gain_by_class_stands_beside_its_baseline_also_where_that_was_not_chosen(classes):
    out, _ = typed(classes, "--by-class", "--loss", "mse", "--where", "seed=0", "--format", "md")
    assert "| circle | 10.0 | 12.2 (+2.2) |" in out


def test_many_runs_stand_in_several_tables(runs):
    for seed in range(8):
        runs.add(f"mse-{seed}", 10.0, seed=seed, classes={"cat": 10.0 + seed})
    out, _ = typed(runs, "--by-class", "--format", "md")
    assert [line for line in out.splitlines() if line.startswith("**")] == [
        "**AP by class: data shapes, split val, scale tiny (1 of 2)**",
        "**AP by class: data shapes, split val, scale tiny (2 of 2)**",
    ]
    assert "| cat | 16.0 | 17.0 |" in out


# --split test


def evaluated(runs, run, mAP, *, split="test", teacher=None, **more):
    for prefix, value in (("", mAP), ("teacher-", teacher)):
        if value is not None:
            metrics = dict.fromkeys(SIX, value)
            write_json(runs.root / run / "eval" / f"{prefix}shapes-{split}.json", {"metrics": metrics, **more})


@pytest.fixture
def tested(runs):
    """Two runs that were evaluated on test, one that was not, and one whose data set has no such split."""
    runs.add("base", 16.0, role="baseline")
    runs.add("mse-10", 31.0)
    runs.add("mse-30", 33.0, weight=30.0)
    runs.add("bare", 33.0, data="cells")
    runs.add("going", state="running", weight=70.0)
    for run in ("base", "mse-10", "mse-30"):
        write_text(runs.root / run / "recipe.yaml", yaml.safe_dump({"data": {"name": "shapes", "test": {"a": "b"}}}))
    write_text(runs.root / "bare" / "recipe.yaml", yaml.safe_dump({"data": {"name": "cells", "test": None}}))
    evaluated(runs, "base", 11.0)
    evaluated(runs, "mse-10", 24.5, teacher=40.0, classes={"cat": 24.5})
    return runs


NOTES = [
    "Data set cells has no split 'test': name one in its recipe (1 run on it).",
    "Not evaluated on test: mse-30. Type: pkd eval mse-30 --split test",
]


def test_the_numbers_of_another_split_take_the_place_of_those_of_val(tested):
    out, err = typed(tested, "--split", "test", "--format", "csv")
    rows = {row["run"]: row for row in csv.DictReader(io.StringIO(out))}
    assert list(rows) == ["base", "mse-10"]
    one = rows["mse-10"]
    assert (one["mAP"], one["gain"], one["baseline"], one["baseline_mAP"]) == ("24.5", "13.5", "base", "11.0")
    assert (one["split"], one["teacher_mAP"]) == ("test", "40.0")
    assert err.splitlines() == NOTES
    assert json.loads(typed(tested, "--split", "test", "--format", "json")[0])[1]["mAP"] == 24.5
    frame = called(tested, split="test")
    assert frame["mAP"].tolist() == [11.0, 24.5]
    assert frame.attrs["notes"] == NOTES


@pytest.mark.parametrize("format", ["md", "table", "html"])
def test_tables_and_page_of_another_split(tested, format, tmp_path):
    typed(tested, "--split", "test", "--format", format, "-o", tmp_path / "out")
    text = (tmp_path / "out").read_text()
    for part in ("24.5", "40.0", *(note.replace("'", "&#39;") if format == "html" else note for note in NOTES)):
        assert part in text, part
    assert "31.0" not in text


def test_classes_of_another_split(tested):
    out, _ = typed(tested, "--split", "test", "--by-class", "--format", "md", "--loss", "mse")
    assert "**AP by class: data shapes, split test, scale tiny**" in out
    assert "| cat | 24.5 |" in out


def test_runs_of_which_none_was_evaluated_are_named_and_many_are_counted(runs):
    for weight in range(10, 22):
        runs.add(f"mse-{weight}", 20.0, weight=float(weight))
    found = find_report(ReportOptions(runs=runs.root, split="test"))
    assert found.chosen == []
    lines = found.nothing.splitlines()
    assert lines[0] == "Not evaluated on test: mse-10. Type: pkd eval mse-10 --split test"
    assert lines[10:] == ["2 more were not evaluated on test: for each, pkd eval RUN --split test"]


def test_another_word_is_refused_and_two_runs_are_compared_elsewhere(tested):
    with pytest.raises(PkdError) as caught:
        find_report(ReportOptions(runs=tested.root, split="tset"))
    assert caught.value.message == "unknown split (--split) 'tset'."
    assert caught.value.hint == "Did you mean 'test'? Allowed: test, val."
    with pytest.raises(PkdError) as caught:
        find_report(ReportOptions(runs=tested.root, split="test", compare=("base", "mse-10")))
    assert caught.value.message == "--compare shows what the runs ended with, so --split test is not for it."
    assert caught.value.hint == "Type: pkd compare base mse-10 --split test"
