"""Reading run directories, whatever state they are in."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from pkdcli.errors import PkdError
from pkdcli.launch.status import query_all
from pkdcli.runs.collect import collect
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.record import COLUMNS
from pkdcli.runs.store import write_json, write_text

IDENTITY = {
    **{"role": "distill", "pair": "gfl101-fcos50", "teacher": "gfl101", "student": "fcos50", "loss": "mse"},
    **{"weight": 10.0, "temperature": None, "schedule": "2x", "data": "shapes", "split": "val", "scale": "tiny"},
    **{"seed": 0, "batch": 8, "levels": "index", "init": "scratch", "stat_chunk": 2, "epoch": 6},
}
SIX = ("mAP", "AP50", "AP75", "AP_S", "AP_M", "AP_L")


def result(folder, mAP, **changes):
    metrics = dict(zip(SIX, (mAP, mAP + 20, mAP + 1, None, mAP, mAP + 5), strict=True))
    data = {"schema": 1, "run": folder.name, **IDENTITY, "metrics": metrics, "teacher_metrics": None, **changes}
    write_json(folder / "result.json", data)


def baseline(folder, mAP, **changes):
    result(folder, mAP, **{"role": "baseline", "loss": "none", "weight": None, **changes})


def by_run(root, **options):
    return {record["run"]: record for record in collect(root, **options)}


def test_a_finished_run_is_one_flat_record(tmp_path):
    teacher = dict(zip(SIX, (70.25, 90.5, 80.0, 40.0, 70.0, 81.0), strict=True))
    more = {"seconds": 81.5, "images_per_second": 60.25, "peak_memory_mb": 900, "unheard_of": [1], "recipe_hash": "ab"}
    result(tmp_path / "a", 30.125, teacher_metrics=teacher, teacher_title="GFL-Res101", **more)
    (record,) = collect(tmp_path)
    assert {key: record[key] for key in COLUMNS} == {
        **{"run": "a", "pair": "gfl101-fcos50", "teacher": "gfl101", "student": "fcos50", "role": "distill"},
        **{"loss": "mse", "weight": 10.0, "temperature": None, "schedule": "2x", "data": "shapes", "scale": "tiny"},
        **{"seed": 0, "state": "done", "mAP": 30.125, "AP50": 50.125, "AP75": 31.125, "AP_S": None, "AP_M": 30.125},
        **{"AP_L": 35.125, "gain": None, "split": "val", "batch": 8, "init": "scratch", "levels": "index"},
        **{"training": "paper", "distill_until": None},
        **{"stat_chunk": "2", "epoch": 6, "seconds": 81.5, "images_per_second": 60.25, "peak_memory_mb": 900},
        **{"teacher_mAP": 70.25, "baseline": None, "baseline_mAP": None, "smoke": None, "foreign": None},
        **{"error": None, "path": str(tmp_path / "a")},
    }
    assert record["teacher_title"] == "GFL-Res101"
    assert record["teacher_AP_L"] == 81.0


def test_no_folder_and_an_empty_folder_hold_no_runs(tmp_path):
    assert collect(tmp_path / "absent") == []
    assert collect(tmp_path) == []


def test_a_file_is_no_runs_folder(tmp_path):
    write_text(tmp_path / "file", "")
    with pytest.raises(PkdError, match="can't read the runs folder"):
        collect(tmp_path / "file")


def test_the_gain_is_over_the_baseline_with_the_same_settings_whatever_its_teacher(tmp_path):
    baseline(tmp_path / "base", 20.0, pair="maskswin-fcos50", teacher="maskswin")
    baseline(tmp_path / "base-seed1", 21.5, seed=1)
    result(tmp_path / "w10", 30.25)
    result(tmp_path / "w30", 19.5, weight=30.0)
    result(tmp_path / "seed1", 30.0, seed=1)
    others = {"schedule": "1x", "data": "bccd", "scale": "paper", "batch": 16, "seed": 2, "student": "retina50"}
    for key, value in others.items():
        result(tmp_path / f"other-{key}", 40.0, **{key: value})
    records = by_run(tmp_path)
    assert records["w10"]["gain"] == 10.25
    assert records["w30"]["gain"] == -0.5
    assert records["seed1"]["gain"] == 8.5
    assert (records["w10"]["baseline"], records["w10"]["baseline_mAP"]) == ("base", 20.0)
    assert records["base"]["gain"] is None
    for key in others:
        assert records[f"other-{key}"]["gain"] is None, key


def test_settings_that_no_column_shows_must_be_comparable_where_both_state_them(tmp_path):
    baseline(tmp_path / "a-long", 25.0, comparable="long")
    baseline(tmp_path / "b-unknown", 22.0)
    baseline(tmp_path / "c-short", 20.0, comparable="short")
    result(tmp_path / "short", 30.0, comparable="short")
    result(tmp_path / "other", 30.0, comparable="other")
    records = by_run(tmp_path)
    assert (records["short"]["baseline"], records["short"]["gain"]) == ("c-short", 10.0)
    assert (records["other"]["baseline"], records["other"]["gain"]) == ("b-unknown", 8.0)


def test_a_baseline_of_another_split_does_not_count(tmp_path):
    baseline(tmp_path / "base", 20.0, split="test")
    result(tmp_path / "run", 30.0)
    assert by_run(tmp_path)["run"]["gain"] is None


def test_of_equal_baselines_the_one_of_the_same_pair_counts(tmp_path):
    baseline(tmp_path / "a", 25.0, pair="maskswin-fcos50")
    baseline(tmp_path / "b", 20.0)
    result(tmp_path / "run", 30.0)
    assert by_run(tmp_path)["run"]["baseline"] == "b"


def test_a_baseline_without_result_gives_no_gain(tmp_path):
    write_json(tmp_path / "base" / "status.json", {**IDENTITY, "role": "baseline", "loss": "none", "state": "failed"})
    result(tmp_path / "run", 30.0)
    assert by_run(tmp_path)["run"]["gain"] is None


def test_unfinished_runs_keep_their_identity_state_and_error(tmp_path):
    error = {"message": "loss is NaN\nat iteration 7", "hint": "lower the weight"}
    failed = {**IDENTITY, "state": "failed", "epoch": 1, "epochs": 6, "error": error}
    write_json(tmp_path / "failed" / "status.json", failed)
    write_json(tmp_path / "odd" / "status.json", {"state": "failed", "pair": "p-q", "loss": "mse", "error": "plain"})
    write_json(tmp_path / "queued" / "status.json", {**IDENTITY, "state": "queued", "epoch": 0, "epochs": 6})
    records = by_run(tmp_path)
    failed = records["failed"]
    assert (failed["state"], failed["error"]) == ("failed", "loss is NaN at iteration 7")
    assert (failed["loss"], failed["weight"], failed["epoch"], failed["epochs"]) == ("mse", 10.0, 1, 6)
    assert records["odd"]["error"] == "plain"
    assert records["queued"]["state"] == "queued"
    assert failed["mAP"] is None


def test_a_training_loss_is_not_taken_for_the_losss_name(tmp_path):
    write_json(tmp_path / "run" / "status.json", {**IDENTITY, "state": "running", "loss": 0.731})
    write_text(tmp_path / "run" / "recipe.yaml", "loss: {name: pkd, weight: 10}\n")
    (record,) = collect(tmp_path)
    assert record["loss"] == "pkd"


def test_a_recipe_alone_is_a_queued_run(tmp_path):
    recipe = """
version: 1
role: distill
pair: gfl101-fcos50
teacher: {name: gfl101, title: GFL-Res101}
student: {name: fcos50, title: FCOS-Res50}
loss: {name: norm-kl, type: norm-kl, weight: 10.0, temperature: 50, stat_chunk: 2, levels: index}
schedule: {name: 2x, epochs: 24}
data: {name: shapes}
scale: {name: tiny}
batch: 8
seed: 3
"""
    write_text(tmp_path / "run" / "recipe.yaml", recipe)
    (record,) = collect(tmp_path)
    wanted = {
        **{"role": "distill", "pair": "gfl101-fcos50", "teacher": "gfl101", "student": "fcos50", "loss": "norm-kl"},
        **{"weight": 10.0, "temperature": 50, "schedule": "2x", "data": "shapes", "scale": "tiny", "seed": 3},
        **{"batch": 8, "stat_chunk": "2", "levels": "index", "state": "queued", "teacher_title": "GFL-Res101"},
    }
    assert {key: record[key] for key in wanted} == wanted


def test_a_run_whose_process_is_gone_has_failed_as_status_says_too(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = socket.gethostname()
    for name, host, pid in (
        ("gone", here, gone.pid),
        ("alive", here, os.getpid()),
        ("elsewhere", here + "-other", gone.pid),
        ("no-pid", here, None),
        ("silly-pid", here, -1),
        ("huge-pid", here, 10**30),
    ):
        write_json(tmp_path / name / "status.json", {**IDENTITY, "state": "running", "host": host, "pid": pid})
    write_json(tmp_path / "done" / "status.json", {**IDENTITY, "state": "interrupted", "host": here, "pid": gone.pid})
    records = by_run(tmp_path)
    states = {run: record["state"] for run, record in records.items()}
    assert states == {
        **{"gone": "failed", "alive": "running", "elsewhere": "running", "no-pid": "failed", "silly-pid": "failed"},
        **{"huge-pid": "failed", "done": "interrupted"},
    }
    assert (records["gone"]["error"], records["alive"]["error"]) == ("its process is gone", None)
    for found in query_all([RunPaths(tmp_path / name) for name in states if name != "elsewhere"]):
        assert found.state == states[found.paths.run]


def test_unreadable_files_are_named_once_and_cost_only_their_own_values(tmp_path):
    result(tmp_path / "good", 30.0)
    write_text(tmp_path / "half" / "result.json", '{"schema": 1, "metrics": {"mAP"')
    write_json(tmp_path / "half" / "status.json", {**IDENTITY, "state": "done"})
    write_text(tmp_path / "list" / "status.json", "[1]")
    write_text(tmp_path / "binary" / "recipe.yaml", "a: b")
    (tmp_path / "binary" / "result.json").write_bytes(b"\xff\xfe\x00")
    write_text(tmp_path / "empty" / "result.json", "")
    write_text(tmp_path / "deep" / "result.json", "[" * 100_000)
    write_text(tmp_path / "yaml" / "recipe.yaml", "a: [\n")
    write_text(tmp_path / "words" / "recipe.yaml", "just words")
    (tmp_path / "folder" / "result.json").mkdir(parents=True)
    lines = []
    records = by_run(tmp_path, warn=lines.append)
    assert sorted(records) == ["binary", "deep", "empty", "folder", "good", "half", "list", "words", "yaml"]
    assert records["good"]["mAP"] == 30.0
    states = {run: record["state"] for run, record in records.items()}
    assert states == dict.fromkeys(records, "unknown") | {"good": "done", "half": "done"} | dict.fromkeys(
        ("words", "yaml"), "queued"
    )
    assert (records["half"]["pair"], records["half"]["mAP"]) == ("gfl101-fcos50", None)
    assert records["half"]["error"] == "its result.json is absent, unreadable or without mAP"
    files = ["binary/result.json", "deep/result.json", "empty/result.json", "folder/result.json", "half/result.json"]
    files += ["list/status.json", "words/recipe.yaml", "yaml/recipe.yaml"]
    assert len(lines) == len(files)
    for line, file in zip(sorted(lines), files, strict=True):
        assert line.startswith(f"can't read {tmp_path / file}: ")


def test_warnings_go_to_stderr(tmp_path, capsys):
    write_text(tmp_path / "half" / "result.json", "{")
    collect(tmp_path)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"warning: can't read {tmp_path / 'half' / 'result.json'}: ")
    assert captured.err.count("\n") == 1


def test_foreign_folders_and_files_are_no_runs(tmp_path):
    result(tmp_path / "good", 30.0)
    result(tmp_path / ".hidden", 30.0)
    write_text(tmp_path / "notes" / "readme.txt", "mine")
    write_text(tmp_path / "result.txt", "mine")
    assert list(by_run(tmp_path)) == ["good"]


def test_values_of_the_wrong_type_are_blank(tmp_path):
    odd = {"weight": "ten", "seed": True, "epoch": [6], "batch": 10**400, "pair": 1.5, "metrics": {"mAP": "high"}}
    text = json.dumps({**IDENTITY, **odd, "teacher_metrics": 3})
    write_text(tmp_path / "odd" / "result.json", text.replace('"index"', "NaN"))
    (record,) = collect(tmp_path)
    blank = ("weight", "seed", "epoch", "batch", "pair", "mAP", "AP50", "teacher_mAP", "levels")
    assert {key: record[key] for key in blank} == dict.fromkeys(blank)


def test_the_order_is_pair_schedule_baseline_loss_weight_temperature_seed(tmp_path):
    wanted = [
        {"role": "baseline", "loss": "none", "weight": None, "schedule": "1x"},
        {"role": "teacher", "loss": "none", "weight": None},
        {"role": "baseline", "loss": "none", "weight": None},
        {"weight": 5},
        {"weight": 10.0},
        {"weight": 10.0, "seed": 1},
        {"weight": 30},
        {"loss": "norm-kl", "temperature": 1},
        {"loss": "norm-kl", "temperature": 50.0},
        {"loss": "pkd"},
        {"schedule": "10x"},
        {"pair": "maskswin-fcos50"},
    ]
    for number, changes in enumerate(wanted):
        result(tmp_path / f"{len(wanted) - number:02}", 30.0, **changes)
    assert [int(record["run"]) for record in collect(tmp_path)] == list(range(len(wanted), 0, -1))


def test_a_run_from_before_experiments_were_written_down_joins_its_other_seeds(tmp_path):
    from pkdcli.recipe.identity import experiment
    from pkdcli.recipe.resolve import Request, resolve

    recipe = resolve(Request(scale="tiny", loss="mse"))
    known = experiment(recipe)
    result(tmp_path / "new", 31.0, seed=1, experiment=known)
    result(tmp_path / "old", 30.0)
    write_text(tmp_path / "old" / "recipe.yaml", json.dumps(recipe.model_dump(mode="json")))
    result(tmp_path / "lost", 32.0, seed=2)  # whose recipe is gone: it stays by itself
    result(tmp_path / "alone", 33.0, weight=50.0)
    write_text(tmp_path / "alone" / "recipe.yaml", "not: read")  # there are no other seeds to join
    found = by_run(tmp_path)
    assert {run: record["experiment"] for run, record in found.items()} == {
        "new": known, "old": known, "lost": None, "alone": None}  # fmt: skip
