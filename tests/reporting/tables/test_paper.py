"""Which rows and columns Table 7, Table 8 and the list of runs have."""

from __future__ import annotations

from pkdcli.reporting.tables.paper import swept, table7, table8
from pkdcli.reporting.tables.runs import runs_table, unfinished_notes
from pkdcli.runs.record import METRICS

TEACHER = {f"teacher_{name}": 70.0 + n for n, name in enumerate(METRICS)}


def column(table, name):
    return [row[table.columns.index(name)] for section in table.sections for row in section]


def test_a_baseline_stands_with_every_pair_of_its_student(record):
    records = [
        record("base", role="baseline", mAP=20.0),
        record("a", **TEACHER),
        record("b", pair="maskswin-fcos50", teacher="maskswin", **TEACHER),
        record("c", pair="x-retina50", teacher="x", student="retina50"),
    ]
    (table,) = table7(records)
    assert [[row[0] for row in section] for section in table.sections] == [
        ["gfl101 (teacher)", "fcos50 (student)", "mse, weight 10"],
        ["maskswin (teacher)", "fcos50 (student)", "mse, weight 10"],
        ["x (teacher)", "mse, weight 10"],
    ]


def test_each_schedule_begins_with_its_baseline(record):
    records = [
        record("base-1x", role="baseline", mAP=18.0, schedule="1x", pair="maskswin-fcos50"),
        record("base-2x", role="baseline", mAP=20.0, pair="maskswin-fcos50"),
        record("a-1x", mAP=28.0, schedule="1x", **TEACHER),
        record("a-2x", mAP=30.0, **TEACHER),
    ]
    (table,) = table7(records)
    assert column(table, "mAP") == ["70.0", "18.0", "28.0", "20.0", "30.0"]
    assert column(table, "schedule") == ["", "1x", "1x", "2x", "2x"]


def test_a_pair_with_a_baseline_of_its_own_shows_no_other(record):
    records = [
        record("base-a", role="baseline", mAP=20.0),
        record("base-b", role="baseline", mAP=21.0, pair="maskswin-fcos50"),
        record("a"),
        record("b", pair="maskswin-fcos50", teacher="maskswin"),
    ]
    (table,) = table7(records)
    assert column(table, "mAP") == ["", "20.0", "30.0", "", "21.0", "30.0"]


def test_baselines_alone_are_a_table(record):
    (table,) = table7([record("base", role="baseline", mAP=20.0, student_title="FCOS-Res50")])
    assert [row[0] for row in table.sections[0]] == ["FCOS-Res50 (student)"]


def test_data_split_and_scale_part_the_tables(record):
    records = [record("a"), record("b", data="bccd"), record("c", scale="paper"), record("d", split="test")]
    assert [table.title for table in table7(records)] == [
        "bccd val, scale tiny, batch 8, seed 0",
        "shapes test, scale tiny, batch 8, seed 0",
        "shapes val, scale paper, batch 8, seed 0",
        "shapes val, scale tiny, batch 8, seed 0",
    ]


def test_settings_that_differ_become_columns_and_the_others_stay_in_the_title(record):
    records = [record("a"), record("b", seed=1), record("c", seed=0, batch=16), record("d", epoch=18)]
    (table,) = table7(records)
    assert table.columns == ["method", "schedule", "batch", "seed", "epochs", *METRICS, "gain"]
    assert table.title == "shapes val, scale tiny"
    assert column(table, "epochs") == ["", "6", "18", "6", "6"]


def test_runs_that_nothing_tells_apart_show_their_id(record):
    records = [record("gfl101-fcos50__s0-aaaa1111"), record("gfl101-fcos50__s0-bbbb2222")]
    (table,) = table7(records)
    assert column(table, "id") == ["", "aaaa1111", "bbbb2222"]


def test_several_teachers_of_a_pair_are_several_rows(record):
    other = {key: value + 1 for key, value in TEACHER.items()}
    records = [record("a", **TEACHER), record("b", weight=30.0, **TEACHER), record("c", seed=1, **other)]
    (table,) = table7(records)
    assert column(table, "mAP")[:3] == ["70.0", "71.0", "30.0"]


def test_the_best_of_pair_and_schedule_is_bold(record):
    records = [
        record("base", role="baseline", mAP=20.0),
        record("a", mAP=30.0, weight=10.0, **TEACHER),
        record("b", mAP=31.0, weight=30.0, **TEACHER),
        record("c", mAP=25.0, schedule="1x", **TEACHER),
        record("d", mAP=26.0, weight=30.0, schedule="1x", **TEACHER),
    ]
    (table,) = table7(records)
    bold = {(table.sections[s][r][0], table.sections[s][r][1], table.columns[c]) for s, r, c in table.bold}
    names = ("mAP", "AP50", "AP75", "AP_M", "AP_L")
    assert bold == {("mse, weight 30", schedule, name) for schedule in ("1x", "2x") for name in names}


def test_a_sweep_needs_two_weights_of_one_loss(record):
    records = [
        record("base", role="baseline"),
        record("a", weight=10.0),
        record("b", weight=30.0),
        record("pkd", loss="pkd"),
        record("other", weight=50.0, schedule="1x"),
        record("open", loss="pkd", weight=6.0, mAP=None),
    ]
    assert [r["run"] for r in swept(records)] == ["a", "b"]


def test_table8_names_the_losses_where_there_are_several(record):
    records = [record("a", baseline_mAP=20.0, gain=10.0), record("b", loss="norm-kl", temperature=50.0)]
    (table,) = table8(records)
    assert table.columns == ["teacher", "student", "schedule", "loss", "T", "baseline", "weight", "mAP", "gain"]
    assert table.sections == [
        [
            ["gfl101", "fcos50", "2x", "mse", "", "20.0", "10", "30.0", "+10.0"],
            ["gfl101", "fcos50", "2x", "norm-kl", "50", "", "10", "30.0", ""],
        ]
    ]
    assert table8([record("base", role="baseline")]) == []


def test_the_list_of_runs_shows_states_and_errors(record):
    records = [
        record("a", gain=3.25),
        record("b", mAP=None, state="failed", epoch=2, epochs=6, error="loss is NaN"),
        record("c", mAP=None, state="queued", epoch=None, epochs=6),
    ]
    table = runs_table(records)
    assert table.columns == ["run", "state", "last error", "epoch", "mAP", "gain"]
    assert table.sections == [
        [
            ["a", "done", "", "6", "30.0", "+3.2"],
            ["b", "failed", "loss is NaN", "2/6", "", ""],
            ["c", "queued", "", "0/6", "", ""],
        ]
    ]
    assert runs_table(records[:1]).columns == ["run", "state", "epoch", "mAP", "gain"]


def test_notes_tell_of_unfinished_runs_and_missing_baselines(record):
    records = [
        record("a"),
        record("b", mAP=None, state="failed", epoch=2, epochs=6, error="loss is NaN"),
        record("c", mAP=None, state="failed", epoch=None),
    ]
    assert unfinished_notes(records) == [
        "failed at epoch 2/6: b: loss is NaN",
        "failed: c",
        "No gain for 1 of the runs: no finished baseline has the same student, schedule, data, scale, batch and seed. "
        "Train it by the same command with --loss none.",
    ]
    many = [record(str(n), mAP=None, state="queued") for n in range(12)]
    assert unfinished_notes(many)[10:] == ["2 more without a result: pkd report --layout runs"]
