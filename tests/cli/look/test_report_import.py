"""`pkd report --import`: runs of stock mmdet and mmrazor beside pkd's own, marked in every format."""

from __future__ import annotations

import csv
import io
import json


def report(type_, *words):
    said = type_("report", *words)
    assert said.code == 0, said.err
    return said.out


def test_imported_runs_are_marked_in_every_format(type_, workdirs):
    words = ("--import", workdirs)
    rows = {row["run"]: row for row in csv.DictReader(io.StringIO(report(type_, *words, "--format", "csv")))}
    assert {run: (row["foreign"], row["state"]) for run, row in rows.items()} == {
        **{"fcos": ("mmdet", "done"), "resumed": ("mmdet", "done"), "stopped": ("mmdet", "unfinished")},
        "pkd": ("mmrazor", "done"),
    }
    objects = json.loads(report(type_, *words, "--format", "json"))
    assert {one["run"]: one["foreign"] for one in objects} == {run: row["foreign"] for run, row in rows.items()}
    mAP, teacher = (f"{float(rows['pkd'][key]):.1f}" for key in ("mAP", "teacher_mAP"))
    fcos = f"{float(rows['fcos']['mAP']):.1f}"

    md = [line for line in report(type_, *words, "--format", "md").splitlines() if line.startswith(("| ", "- "))]
    assert "| imported from | " in md[0]
    (student,) = (line for line in md if line.startswith("| pkd, weight 10 | 2x | "))
    assert " | mmrazor | " in student
    assert f" {mAP} |" in student
    (teach,) = (line for line in md if line.startswith("| Retina-ResX101 (teacher) |"))
    assert f" | mmrazor | {teacher} |" in teach
    assert sum(" | mmdet | " in line and fcos in line for line in md) == 2
    assert md[-1].startswith("- unfinished at epoch 6/12: stopped (imported from mmdet): its log ends at epoch 6 of 12")

    latex = report(type_, *words, "--format", "latex")
    assert " & imported from & " in latex
    assert " & mmrazor & " in latex
    terminal = report(type_, *words, "--layout", "runs")
    for run, state in (("fcos", "done"), ("stopped", "unfinished")):
        assert any(run in line and state in line for line in terminal.splitlines())
    assert "mmdet)" in terminal


def test_filters_groups_and_the_paper_hold_for_imported_runs_too(type_, workdirs):
    words = ("--import", workdirs / "pkd", "--import", workdirs / "fcos", "--format", "csv")
    assert [row.split(",")[0] for row in report(type_, *words, "--where", "foreign=mmrazor").splitlines()[1:]] == [
        "pkd"
    ]
    assert [row.split(",")[0] for row in report(type_, *words, "--pair", "retinax101-retina50").splitlines()[1:]] == [
        "pkd"
    ]
    (row,) = csv.DictReader(io.StringIO(report(type_, *words, "--where", "loss=pkd", "--paper")))
    assert (row["schedule"], row["data"], row["scale"]) == ("2x", "coco", "paper")
    assert float(row["paper_mAP"]) == 40.8


def test_two_imported_runs_side_by_side(type_, workdirs):
    out = report(type_, "--import", workdirs, "--compare", "fcos", "pkd", "--format", "json")
    differing = {row["key"]: (row["a"], row["b"]) for row in json.loads(out) if row["kind"] == "recipe"}
    assert differing["foreign"] == ("mmdet", "mmrazor")
    assert differing["student"] == ("fcos50", "retina50")


def test_a_wrong_folder_is_said_so(type_, here):
    said = type_("report", "--import", "absent")
    assert said.code == 2
    assert said.err.replace("\n", " ").startswith("error: --import: there is no folder ")
