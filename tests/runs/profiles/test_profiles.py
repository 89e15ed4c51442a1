"""profile.json: measurements kept by their conditions, and the columns that follow from them."""

from __future__ import annotations

import json

from pkdcli.runs.collect import collect
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.profiles import described, keep, measurements, size_columns
from pkdcli.runs.record import MORE_COLUMNS


def row(latency, model="student", **changes):
    about = {"device": "cpu", "device_name": "EPYC", "runtime": "pytorch", "batch": 1, "threads": 2, "image": [96, 96]}
    return {"model": model, "latency_ms": latency, "parameters": 10, "gflops": 0.5, **about, **changes}


def test_a_measurement_takes_the_place_of_one_under_the_same_conditions(tmp_path):
    paths = RunPaths(tmp_path)
    keep(paths, [row(5.0), row(9.0, model="teacher"), row(2.0, batch=8)])
    keep(paths, [row(4.0), row(3.0, runtime="onnxruntime")])
    found = measurements(tmp_path)
    assert [(one["model"], one["batch"], one["latency_ms"]) for one in found] == [
        ("teacher", 1, 9.0), ("student", 8, 2.0), ("student", 1, 4.0), ("student", 1, 3.0),
    ]  # fmt: skip
    assert json.loads(paths.profile.read_text())["run"] == tmp_path.name


def test_a_file_that_holds_something_else_holds_no_measurement(tmp_path):
    for text in ("", "[]", "{", '{"measurements": 1}', '{"measurements": [1, {}, {"latency_ms": "fast"}]}'):
        (tmp_path / "profile.json").write_text(text)
        assert measurements(tmp_path) == []


def test_conditions_in_words():
    assert described(row(1.0)) == "PyTorch, EPYC, 2 threads, batch 1, 96x96"
    on_gpu = row(1.0, device="cuda:0", device_name="A100", runtime="onnxruntime", threads=1, image=[800, 1333])
    assert described(on_gpu) == "onnxruntime, A100, batch 1, 800x1333"


def test_sizes_are_the_result_s_and_latencies_the_latest_in_pytorch(tmp_path):
    result = {"parameters": 12, "gflops": 0.25, "teacher_parameters": 48, "teacher_gflops": None}
    teacher = {"model": "teacher", "parameters": 99, "gflops": 2.0, "image": [64, 64]}
    large = [row(2.0, batch=8), row(1.0, batch=8, runtime="onnxruntime")]
    keep(RunPaths(tmp_path), [row(5.0), row(9.0, **teacher), *large])
    found = size_columns(str(tmp_path), result)
    assert (found["parameters"], found["gflops"]) == (12, 0.25)
    assert (found["teacher_parameters"], found["teacher_gflops"]) == (48, 2.0)
    # The teacher was not measured at batch 8.
    assert (found["latency_ms"], found["teacher_latency_ms"]) == (2.0, None)
    assert found["latency_on"] == "PyTorch, EPYC, 2 threads, batch 8, 96x96"
    keep(RunPaths(tmp_path), [row(6.0)])
    found = size_columns(str(tmp_path), result)
    assert (found["latency_ms"], found["teacher_latency_ms"]) == (6.0, 9.0)


def test_a_run_from_before_sizes_stood_in_results_has_none_until_it_is_profiled(run_folder):
    run_folder.add("old", 31.0)
    (record,) = collect(run_folder.root)
    assert {name: record[name] for name in MORE_COLUMNS} == dict.fromkeys(MORE_COLUMNS)
    keep(RunPaths(run_folder.root / "old"), [row(5.0)])
    (record,) = collect(run_folder.root)
    found = [record[name] for name in ("parameters", "gflops", "latency_ms", "teacher_parameters")]
    assert found == [10, 0.5, 5.0, None]
