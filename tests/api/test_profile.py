"""`pkd profile` on finished runs and pairs, what it leaves in a run's folder, and what a report makes of that."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import pkdcli
from pkdcli.api.profile import profile as module
from pkdcli.api.profile.subjects import Subject
from pkdcli.errors import ExitCode, PkdError

NAME = "gfl101-fcos50__pkd"


@pytest.fixture(scope="module")
def runs(lab, tmp_path_factory) -> Path:
    """A copy of the lab's runs, which may be written to."""
    return Path(shutil.copytree(lab.runs, tmp_path_factory.mktemp("profile") / "runs"))


@pytest.fixture(scope="module")
def profiled(lab, runs):
    """The command's answer on a run, in PyTorch and onnxruntime, at batch 2; and the run's folder."""
    words = ("--onnx", "--batch", "2", "--threads", "1", "--repeat", "2", "--device", "cpu", "--json")
    answer = lab.pkd("profile", NAME, *words, PKD_RUNS=str(runs))
    assert answer.code == 0, answer.err
    (folder,) = runs.glob(f"{NAME}*")
    return json.loads(answer.out), folder


def numbers(weights: Path) -> int:
    """How many parameters stand in a file of weights, without the statistics of its norms."""
    import torch

    state = torch.load(weights, weights_only=True)["state_dict"]
    buffers = ("running_mean", "running_var", "num_batches_tracked", "integral.project")
    return sum(value.numel() for key, value in state.items() if not key.endswith(buffers))


def test_student_and_teacher_stand_side_by_side(profiled, lab):
    record, folder = profiled
    result = json.loads((folder / "result.json").read_text())
    teacher = Path(json.loads((folder / "job.json").read_text())["teacher"])
    rows = record["rows"]
    assert [(row["role"], row["detector"], row["runtime"]) for row in rows] == [
        ("student", "fcos50", "pytorch"),
        ("student", "fcos50", "onnxruntime"),
        ("teacher", "gfl101", "pytorch"),
        ("teacher", "gfl101", "onnxruntime"),
    ]
    assert [row["mAP"] for row in rows[::2]] == [result["metrics"]["mAP"], result["teacher_metrics"]["mAP"]]
    assert [row["of"] for row in rows[::2]] == [folder.name, teacher.name]
    files = (folder / "student.pth", teacher / "teacher.pth")
    assert [row["weights_mb"] for row in rows[::2]] == [round(one.stat().st_size / 2**20, 3) for one in files]
    assert [row["parameters"] for row in rows[::2]] == [numbers(one) for one in files]
    for row in rows:
        assert (row["batch"], row["threads"], row["image"], row["images"]) == (2, 1, [96, 96], "micro val")
        assert row["images_per_second"] == pytest.approx(2e3 / row["latency_ms"], rel=1e-3)
        assert row["low_ms"] <= row["latency_ms"] <= row["high_ms"]
        assert row["gmacs"] == pytest.approx(row["gflops"] / 2, abs=1e-6)
        assert row["peak_memory_mb"] > 0
    assert rows[1]["file_mb"] > 1
    assert record["notes"] == []


def test_the_size_of_the_deployed_student_stands_in_every_result(profiled):
    """Counted when the run ended: neither the adapters nor the teacher are in it."""
    record, folder = profiled
    result = json.loads((folder / "result.json").read_text())
    student, teacher = record["rows"][0], record["rows"][2]
    assert {key: result[key] for key in ("parameters", "gflops", "gflops_image")} == {
        **{key: student[key] for key in ("parameters", "gflops")}, "gflops_image": [96, 96],
    }  # fmt: skip
    assert [result[f"teacher_{key}"] for key in ("parameters", "gflops")] == [teacher["parameters"], teacher["gflops"]]
    (alone,) = folder.parent.glob("fcos50__baseline*")
    baseline = json.loads((alone / "result.json").read_text())
    assert [baseline[key] for key in ("parameters", "gflops")] == [result["parameters"], result["gflops"]]
    assert "teacher_parameters" not in baseline


def test_the_line_says_how_much_smaller_faster_and_worse(profiled):
    record, folder = profiled
    student, teacher = record["rows"][0], record["rows"][2]
    smaller = f"{teacher['parameters'] / student['parameters']:.1f}x smaller"
    (line,) = record["verdicts"]
    assert line.startswith(f"{folder.name}: {smaller}, ")
    assert line.endswith(f"{student['mAP'] - teacher['mAP']:+.1f} mAP")


def subject(parameters, latency=None, mAP=None):
    rows = [] if latency is None else [{"latency_ms": latency}]
    return Subject("student", "", "", None, mAP=mAP, size={"parameters": parameters}, rows=rows)


@pytest.mark.parametrize(
    ("student", "teacher", "said"),
    [
        ((25, 10.0, 40.4), (100, 23.0, 42.5), "4.0x smaller, 2.3x faster, -2.1 mAP"),
        ((100, 20.0, 43.0), (50, 10.0, 42.5), "2.0x larger, 2.0x slower, +0.5 mAP"),
        ((100, 10.0, 42.5), (102, 9.9, 42.52), "as large, as fast, +0.0 mAP"),
        ((25,), (100,), "4.0x smaller"),
    ],
)
def test_words_for_every_ratio(student, teacher, said):
    assert module.against(subject(*student), subject(*teacher)) == said


def test_what_was_measured_is_kept_in_the_run_for_reports(profiled, lab, runs, tmp_path):
    record, folder = profiled
    kept = json.loads((folder / "profile.json").read_text())
    assert [(row["model"], row["runtime"], row["latency_ms"]) for row in kept["measurements"]] == [
        (row["role"], row["runtime"], row["latency_ms"]) for row in record["rows"]
    ]
    words = ("--columns", "parameters,latency_ms,teacher_latency_ms,latency_on", "--format", "json")
    answer = lab.pkd("report", *words, PKD_RUNS=str(runs))
    row = next(one for one in json.loads(answer.out) if one["run"] == folder.name)
    student, _, teacher, _ = record["rows"]
    assert row["parameters"] == student["parameters"]
    assert (row["latency_ms"], row["teacher_latency_ms"]) == (student["latency_ms"], teacher["latency_ms"])
    assert row["latency_on"] == f"PyTorch, {student['device_name']}, 1 thread, batch 2, 96x96"
    answer = lab.pkd("report", "--plot", "tradeoff", "--plot-dir", tmp_path, PKD_RUNS=str(runs))
    assert answer.code == 0, answer.err
    assert f"teacher: GFL-Res101 at {teacher['latency_ms']:.3g}" in answer.out
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "captions.md", *(f"tradeoff__micro-tiny.{kind}" for kind in ("pdf", "png", "svg"))
    ]  # fmt: skip


def test_a_pair_is_measured_with_random_weights_at_any_size(lab):
    words = ("--data", lab.data, "--scale", "tiny", "--size", "64x96", "--threads", "1", "--repeat", "1", "-q")
    answer = lab.pkd("profile", "gfl101-fcos50", *words)
    assert answer.code == 0, answer.err
    (line,) = answer.out.splitlines()
    assert line.startswith("gfl101-fcos50: 5.4x smaller, ")
    assert "mAP" not in line


def test_a_dry_run_says_what_would_be_measured_and_starts_nothing(lab):
    run = lab.run(NAME)
    teacher = Path(json.loads((run / "job.json").read_text())["teacher"])
    answer = lab.pkd("profile", run, "faster101-faster50", "--scale", "tiny", "--data", lab.data, "--dry-run")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines() == [
        "would profile student FasterRCNN-Res50 of faster101-faster50: random weights",
        "would profile teacher FasterRCNN-Res101 of faster101-faster50: random weights",
        f"would profile student FCOS-Res50 of {run.name}: {run / 'student.pth'}",
        f"would profile teacher GFL-Res101 of {teacher.name}: {teacher / 'teacher.pth'}",
    ]


def test_a_teacher_of_several_runs_is_measured_once_and_kept_with_each(lab, runs):
    found = pkdcli.profile("gfl101-fcos50__pkd", "gfl101-fcos50__mse", runs=runs, dry_run=True)
    assert [(one.role, one.teacher) for one in found.subjects] == [("student", 1), ("teacher", None), ("student", 1)]
    assert [one.run.partition("-w")[0] for one in found.subjects[1].paths] == [NAME, "gfl101-fcos50__mse"]


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ((), "give a pair or a run.", "Examples: pkd profile gfl101-fcos50 --scale tiny, pkd profile RUN"),
        (
            ("gfl101-fcos5",),
            "there is no pair and no run 'gfl101-fcos5'.",
            "Did you mean gfl101-fcos50? `pkd list` shows pairs and runs; see --runs DIR.",
        ),
        (("gfl101-fcos50", "--size", "big"), "--size: 'big' is no size of 32 to 8192 pixels a side.",
         "Example: --size 256x320"),
        ((NAME, "--scale", "tiny"), "--scale and --data are for pairs.", "A run knows its own."),
        ((NAME, "--student", "fcos50"), "--teacher and --student are for pairs.", "A run knows its own."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_before_anything_is_measured(lab, runs, words, message, hint):
    answer = lab.pkd("profile", *words, PKD_RUNS=str(runs))
    assert (answer.code, answer.err) == (2, f"error: {message}\n{hint}\n")


def test_without_onnxruntime_the_line_to_type_is_told(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "onnxruntime" else True)
    with pytest.raises(PkdError) as caught:
        pkdcli.profile("gfl101-fcos50", onnx=True)
    assert caught.value.message == "--onnx needs onnxruntime, which is not installed."
    assert caught.value.hint == "Type: pip install 'pkdcli[export]'"
    assert caught.value.code == ExitCode.MISSING


def test_a_folder_that_cannot_be_written_costs_no_measurement(engine, lab, runs, monkeypatch):
    """What could not be counted or kept is said; the numbers are there all the same."""
    engine("pkdcli.engine.profile.profile", """
import json
print(json.dumps({"machine": {"cpu": "x"}}))
for place in (0, 1):
    size = {"parameters": 9, "gflops": None, "flops": None, "weights_mb": 1.0, "image": [8, 8], "images": "noise"}
    print(json.dumps({"place": place, "size": {**size, "why": "ValueError: no" if place else None}}))
    print(json.dumps({"place": place, "row": {"device": "cpu", "runtime": "pytorch", "latency_ms": 2.0}}))
""")  # fmt: skip

    def refuse(paths, rows):
        raise PkdError("it is read-only.")

    monkeypatch.setattr("pkdcli.runs.profiles.keep", refuse)
    monkeypatch.setenv("PKD_CACHE", str(lab.cache))
    said = []
    found = pkdcli.profile(NAME, runs=runs, say=said.append)
    (folder,) = runs.glob(f"{NAME}*")
    assert said == [
        "note: the operations of GFL-Res101 can't be counted: ValueError: no",
        f"warning: {folder / 'profile.json'} was not written: it is read-only.",
    ]
    assert found.frame()["latency_ms"].tolist() == [2.0, 2.0]
    assert found.frame()["gflops"].isna().all()
