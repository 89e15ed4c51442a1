"""Smoke runs are told apart from whole ones wherever numbers meet."""

from __future__ import annotations

import pytest

from pkdcli.reporting.published import add_published, read_published
from pkdcli.reporting.select import mean_over_seeds
from pkdcli.reporting.tables.build import as_tables
from pkdcli.reporting.tables.compare import compare_runs
from pkdcli.reporting.tables.runs import runs_table
from pkdcli.runs.collect import collect
from pkdcli.runs.record import METRICS, smoke
from pkdcli.runs.store import write_json

CUT = "2 steps, 8 images"
NOTE = "A smoke run evaluates few images: its AP shows that the code runs, and is compared with no whole run's."


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"max_iters": 2, "val_images": 8}, CUT),
        ({"max_iters": 1, "val_images": 1}, "1 step, 1 image"),
        ({"max_iters": None, "val_images": 50}, "50 images"),
        ({"max_iters": None, "val_images": None}, None),
        ({}, None),
    ],
)
def test_what_a_run_was_cut_down_to(result, text):
    assert smoke(result) == text


def written(folder, mAP, **changes):
    data = {
        **{"role": "distill", "pair": "gfl101-fcos50", "student": "fcos50", "loss": "mse", "weight": 10.0},
        **{"schedule": "2x", "data": "shapes", "scale": "tiny", "batch": 8, "seed": 0, **changes},
        "metrics": dict.fromkeys(METRICS, mAP),
    }
    write_json(folder / "status.json", {"state": "done"})
    write_json(folder / "result.json", data)


def test_a_gain_is_never_between_a_smoke_run_and_a_whole_one(tmp_path):
    cut = {"max_iters": 2, "val_images": 8}
    written(tmp_path / "base", 20.0, role="baseline", loss="none")
    written(tmp_path / "whole", 30.0)
    written(tmp_path / "smoke", 90.0, **cut)
    written(tmp_path / "other", 90.0, max_iters=3, val_images=8)
    gains = {record["run"]: (record["smoke"], record["gain"]) for record in collect(tmp_path)}
    assert gains == {
        "base": (None, None),
        "whole": (None, 10.0),
        "smoke": (CUT, None),
        "other": ("3 steps, 8 images", None),
    }
    written(tmp_path / "base-smoke", 80.0, role="baseline", loss="none", **cut)
    gains = {record["run"]: record["gain"] for record in collect(tmp_path)}
    assert gains == {"base": None, "base-smoke": None, "whole": 10.0, "smoke": 10.0, "other": None}


def test_tables_mark_smoke_runs_and_leave_them_out_of_the_best(record):
    records = [
        record("base", role="baseline", mAP=20.0),
        record("a", mAP=30.0),
        record("b", mAP=31.0, weight=30.0),
        record("c", mAP=90.0, weight=50.0, smoke=CUT),
    ]
    tables, notes = as_tables(records, records, "auto", False, False)
    assert len(tables) == 2
    for table in tables:
        rows = table.sections[0]
        assert [row[table.columns.index("smoke run")] for row in rows][-3:] == ["", "", CUT]
        assert NOTE in table.notes
        mAP = table.columns.index("mAP")
        assert {rows[row][column] for _, row, column in table.bold if column == mAP} == {"31.0"}
    # The smoke run is not among those that wait for a baseline.
    assert notes == [
        "No gain for 2 of the runs: no finished baseline has the same student, schedule, data, scale, batch and seed. "
        "Train it by the same command with --loss none."
    ]


def test_without_smoke_runs_there_is_no_word_of_them(record):
    (table,), _ = as_tables([record("a")], [record("a")], "table7", False, False)
    assert "smoke run" not in table.columns
    assert table.notes == []


def test_the_teacher_of_a_smoke_run_is_marked_too(record):
    teacher = {f"teacher_{name}": 70.0 for name in METRICS}
    (table,), _ = as_tables([record("a", smoke=CUT, **teacher)], [], "table7", False, False)
    assert [row[0] for row in table.sections[0] if CUT in row] == ["gfl101 (teacher)", "mse, weight 10"]


def test_the_list_of_runs_marks_them(record):
    table = runs_table([record("a"), record("b", smoke=CUT)])
    assert [row[1] for row in table.sections[0]] == ["done", f"done (smoke run: {CUT})"]


def test_no_difference_with_the_paper(record):
    coco = {"scale": "paper", "data": "coco", "loss": "none", "role": "baseline", "weight": None}
    records = [record("whole", 40.0, **coco), record("smoke", 40.0, smoke=CUT, **coco)]
    add_published(records, read_published())
    whole, cut = records
    assert whole["paper_mAP"] == cut["paper_mAP"] is not None
    assert whole["paper_difference"] == pytest.approx(40.0 - whole["paper_mAP"])
    assert cut["paper_difference"] is None


def test_no_mean_over_a_smoke_run_and_a_whole_one(record):
    means = mean_over_seeds([record("a", 30.0), record("b", 32.0, seed=1), record("c", 90.0, seed=2, smoke=CUT)])
    assert [(mean["mAP"], mean["n"], mean["smoke"]) for mean in means] == [(31.0, 2, None), (90.0, 1, CUT)]


def test_side_by_side_they_have_no_difference(record):
    records = [record("a", 30.0), record("b", 32.0), record("c", 90.0, smoke=CUT)]
    whole = {row["key"]: row["difference"] for row in compare_runs(records, "a", "b") if row["kind"] == "metric"}
    cut = {row["key"]: row["difference"] for row in compare_runs(records, "a", "c") if row["kind"] == "metric"}
    assert whole["mAP"] == 2.0
    assert set(cut.values()) == {None}
