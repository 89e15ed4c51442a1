"""The join of runs with the literature."""

from __future__ import annotations

import csv

import pytest

from pkdcli.errors import ExitCode, PkdError
from pkdcli.folders import recipes_root
from pkdcli.reporting.published import PAPER_COLUMNS, add_published, published_teacher, read_published

HEAD = "source,table,teacher,student,pair,schedule,method,weight,mAP,AP50,AP75,AP_S,AP_M,AP_L,note\n"
ROWS = """\
paper,7,GFL-Res101,,,2x+ms,teacher,,44.9,63.1,49.0,28.0,49.1,57.2,the zoo reports 44.7
paper,7,,FCOS-Res50,,2x,baseline,,39.1,58.0,42.0,23.0,43.0,50.0,
paper,8,GFL-Res101,FCOS-Res50,gfl101-fcos50,2x,baseline,,39.1,,,,,,
paper,8,GFL-Res101,FCOS-Res50,gfl101-fcos50,2x,mse,10,41.5,,,,,,
paper,8,GFL-Res101,FCOS-Res50,gfl101-fcos50,2x,mse,30,42.5,,,,,,
paper,8,GFL-Res101,FCOS-Res50,gfl101-fcos50,2x,norm-kl,10,43.1,,,,,,T=50
zoo,,GFL-Res101,FCOS-Res50,gfl101-fcos50,2x,pkd,10,43.5,,,,,,
readme,,GFL-Res101,FCOS-Res50,gfl101-fcos50,2x,pkd,10,43.3,,,,,,typed in haste
"""


@pytest.fixture
def literature(tmp_path):
    path = tmp_path / "published.csv"
    path.write_text(HEAD + ROWS)
    return read_published(path)


def joined(record, literature):
    add_published([record], literature)
    return record


def test_a_method_is_joined_by_pair_schedule_loss_and_weight(record, literature):
    assert joined(record(weight=10.0), literature)["paper_mAP"] == 41.5
    assert joined(record(weight=30), literature)["paper_mAP"] == 42.5
    for other in ({"weight": 50.0}, {"schedule": "1x"}, {"pair": "fcosx101-fcos50"}, {"loss": "norm-mse"}):
        row = joined(record(**other), literature)
        assert {key: row[key] for key in PAPER_COLUMNS} == dict.fromkeys(PAPER_COLUMNS), other
        assert row["paper_notes"] == []


def test_a_temperature_in_the_note_belongs_to_the_method(record, literature):
    row = joined(record(loss="norm-kl", temperature=50), literature)
    assert (row["paper_mAP"], row["paper_notes"]) == (43.1, [])
    assert joined(record(loss="norm-kl", temperature=1), literature)["paper_mAP"] is None


def test_a_baseline_is_joined_by_its_student_whatever_its_pair(record, literature):
    row = joined(record(role="baseline", pair="maskswin-fcos50"), literature)
    assert (row["paper_mAP"], row["paper_AP50"], row["paper_source"]) == (39.1, 58.0, "paper")
    assert joined(record(role="baseline", student="retina50"), literature)["paper_mAP"] is None


def test_conflicting_sources_are_all_shown_and_never_averaged(record, literature):
    row = joined(record(loss="pkd", scale="paper", data="coco", mAP=43.0), literature)
    assert row["paper_mAP"] == [43.5, 43.3]
    assert row["paper_source"] == "zoo; readme"
    assert row["paper_difference"] is None
    assert row["paper_notes"] == ["readme, gfl101-fcos50 pkd 2x: typed in haste."]


def test_the_difference_is_filled_only_for_the_papers_own_experiment(record, literature):
    paper = {"scale": "paper", "data": "coco", "split": "val"}
    assert joined(record(mAP=42.0, **paper), literature)["paper_difference"] == 0.5
    for other in ({"scale": "tiny"}, {"data": "shapes"}, {"split": "test"}, {"mAP": None}):
        row = joined(record(**{"mAP": 42.0, **paper, **other}), literature)
        assert (row["paper_mAP"], row["paper_difference"]) == (41.5, None), other


def test_a_teacher_is_found_by_the_short_name_that_the_pairs_give_its_title(literature):
    row = published_teacher("gfl101", literature)
    assert (row["paper_mAP"], row["paper_AP_L"]) == (44.9, 57.2)
    assert row["paper_notes"] == ["paper, GFL-Res101 2x+ms: the zoo reports 44.7."]
    assert published_teacher("fcosx101", literature)["paper_mAP"] is None
    assert published_teacher(None, literature)["paper_mAP"] is None


def test_every_shipped_row_with_a_pair_is_found_again(record):
    """Each number of the shipped file reaches the run that repeats it."""
    with open(recipes_root() / "published.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["pair"]]
    assert len(rows) >= 35
    literature = read_published()
    for row in rows:
        base = row["method"] == "baseline"
        run = record(
            pair=row["pair"],
            student=row["pair"].partition("-")[2],
            role="baseline" if base else "distill",
            loss="none" if base else row["method"],
            weight=float(row["weight"]) if row["weight"] else None,
            temperature=50.0 if row["method"] == "norm-kl" else None,
            schedule=row["schedule"],
        )
        found = joined(run, literature)["paper_mAP"]
        assert float(row["mAP"]) in (found if isinstance(found, list) else [found]), row


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("a,b\n1,2\n", "no column AP50"), (HEAD + ROWS.replace("41.5", "high"), "could not convert"), ("", "no column")],
)
def test_a_damaged_file_is_named(tmp_path, text, complaint):
    path = tmp_path / "published.csv"
    path.write_text(text)
    with pytest.raises(PkdError, match=complaint) as caught:
        read_published(path)
    assert str(path) in caught.value.message


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(PkdError, match=r"absent\.csv") as caught:
        read_published(tmp_path / "absent.csv")
    assert caught.value.code == ExitCode.MISSING
