"""Columns of size and speed at the end of the tables."""

from __future__ import annotations

from pkdcli.reporting.table import Table
from pkdcli.reporting.tables.paper import table7
from pkdcli.reporting.tables.runs import runs_table
from pkdcli.reporting.tables.sizes import add_columns

COLUMNS = ("parameters", "gflops", "latency_ms", "latency_on", "teacher_parameters")


def test_a_teacher_s_row_has_what_its_students_say_of_it(record):
    sizes = {"parameters": 32_113_000, "gflops": 419.55, "latency_ms": 12.34, "latency_on": "PyTorch, EPYC"}
    theirs = {"teacher_parameters": 51_030_000, "teacher_gflops": 0.1234, "teacher_latency_ms": 30.0}
    tables = table7([record("one", 36.0, loss="pkd", teacher_mAP=42.5, **sizes, **theirs), record("two", 31.0)])
    add_columns(tables, COLUMNS)
    (table,) = tables
    assert table.columns[-5:] == ["params (M)", "GFLOPs", "latency (ms)", "latency on", "teacher's params (M)"]
    teacher, second, first = (row[-5:] for row in table.sections[0])
    assert teacher == ["51.03", "0.123", "30.0", "", ""]
    assert first == ["32.11", "419.6", "12.3", "PyTorch, EPYC", "51.03"]
    assert second == [""] * 5


def test_other_tables_take_them_too_and_one_of_unknown_rows_none(record):
    listed = runs_table([record("one", 36.0, gflops=2.0)])
    plain = Table("", ["a"], 1, [[["b"]]])
    add_columns([listed, plain], ["gflops"])
    assert listed.sections[0][0][-1] == "2"
    assert (plain.columns, plain.sections) == (["a"], [[["b"]]])
