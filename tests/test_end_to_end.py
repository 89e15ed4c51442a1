"""A whole experiment as a user runs it, on a data set so small that it lasts a minute."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pkdcli.data.scoring import predictions
from pkdcli.data.scoring.ground_truth import load_annotations
from pkdcli.data.scoring.metrics import evaluated, metrics_of, rows_of_kept
from pkdcli.runs.features import Features

METRICS = ("mAP", "AP50", "AP75", "AP_S", "AP_M", "AP_L")
FILES = {"recipe.yaml", "config.py", "job.json", "status.json", "metrics.jsonl", "log.txt", "env.json", "checkpoints",
         "student.pth", "student.py", "result.json", "samples.json", "predictions.npz"}  # fmt: skip


def read(path):
    return json.loads(path.read_text())


def test_the_sweep_ends_well(lab):
    assert lab.answer.code == 0, lab.answer.err
    names = sorted(path.name.split("__")[:2] for path in lab.runs.iterdir())
    assert names == [["fcos50", "baseline"], ["gfl101-fcos50", "mse-w10"], ["gfl101-fcos50", "pkd-w10"]]
    assert [path.name.split("__")[:2] for path in (lab.cache / "teachers").iterdir()] == [["gfl101", "teacher"]]


def test_the_sweep_prints_every_run_with_its_gain(lab):
    for word in ("FCOS-Res50", "GFL-Res101", "pkd", "mse"):
        assert word in lab.answer.out


def test_a_run_directory_is_complete(lab):
    for run in lab.runs.iterdir():
        assert {path.name for path in run.iterdir()} == FILES
        assert read(run / "status.json")["state"] == "done"


def test_nothing_is_written_elsewhere(lab):
    assert list((lab.runs.parent / "here").iterdir()) == []
    assert {path.name for path in lab.runs.parent.iterdir()} <= {"runs", "cache", "here"}
    # Those of libraries are theirs; torch makes its own without being asked to compile, and leaves it empty. The last
    # is onnxruntime's, where another test has exported a run of the lab before.
    known = {"teachers", "checks", "levels", "matplotlib", "YAPF", "torchinductor", "Microsoft"}
    assert {path.name for path in lab.cache.iterdir()} <= known
    assert list(lab.cache.glob("torchinductor/*")) == []


def test_result_json_keeps_the_contract(lab):
    result = read(lab.run("gfl101-fcos50__pkd") / "result.json")
    expected = dict(role="distill", pair="gfl101-fcos50", teacher="gfl101", student="fcos50", loss="pkd", weight=10.0,
                    temperature=None, schedule="2x", data="micro", split="val", scale="tiny", seed=0, batch=4,
                    levels="index", init="scratch", stat_chunk=2, epoch=2)  # fmt: skip
    assert {key: result[key] for key in expected} == expected
    assert set(result["metrics"]) == set(METRICS) == set(result["teacher_metrics"])
    assert all(value is None or 0 <= value <= 100 for value in result["metrics"].values())
    assert result["seconds"] > 0
    assert result["images_per_second"] > 0
    assert result["peak_memory_mb"] > 100
    assert result["run"].endswith(result["recipe_hash"])


def test_the_baseline_has_no_teacher(lab):
    result = read(lab.run("fcos50__baseline") / "result.json")
    assert (result["role"], result["teacher"], result["weight"], result["teacher_metrics"]) == (
        "baseline",
        None,
        None,
        None,
    )


def test_the_result_is_of_the_last_epoch(lab):
    run = lab.run("gfl101-fcos50__mse")
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    last = [record for record in records if record["kind"] == "val"][-1]
    assert last["iter"] == 8
    assert {name: last[name] for name in METRICS} == read(run / "result.json")["metrics"]
    samples = read(run / "samples.json")
    assert (samples["epoch"], samples["iter"], len(samples["images"])) == (2, 8, 8)


def test_the_kept_detections_give_the_metrics_of_the_result_exactly(lab):
    for run in [*lab.runs.iterdir(), *(lab.cache / "teachers").iterdir()]:
        found = predictions.read(run / "predictions.npz")
        data = yaml.safe_load((run / "recipe.yaml").read_text())["data"]
        assert (found.data, found.split, found.fingerprint) == ("micro", "val", data["fingerprint"])
        truth = load_annotations(data["val"]["annotations"])
        metrics = metrics_of(evaluated(truth, rows_of_kept(found, truth), truth.class_numbers(found.classes)))
        assert {name: None if value != value else value for name, value in metrics.items()} == read(
            run / "result.json"
        )["metrics"]


def test_teacher_baseline_and_student_show_the_same_images(lab):
    runs = [*lab.runs.iterdir(), *(lab.cache / "teachers").iterdir()]
    images = [[(one["path"], one["truth"]) for one in read(run / "samples.json")["images"]] for run in runs]
    assert len(images) == 4
    assert all(one == images[0] for one in images)
    assert all(Path(path).is_file() and truth for path, truth in images[0])


def test_losses_of_every_level_are_recorded(lab):
    run = lab.run("gfl101-fcos50__pkd")
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    train = [record for record in records if record["kind"] == "train"]
    assert [record["iter"] for record in train] == list(range(1, 9))
    for record in train:
        parts = [value for name, value in record.items() if name != "loss" and "loss" in name.split(".")[-1]]
        assert len(parts) == 7
        assert record["loss"] == pytest.approx(sum(parts), rel=1e-5)


def test_the_recipe_repeats_the_run(lab):
    from pkdcli.recipe.identity import run_id
    from pkdcli.recipe.schema import Recipe

    for run in lab.runs.iterdir():
        recipe = Recipe.model_validate(yaml.safe_load((run / "recipe.yaml").read_text()))
        assert run_id(recipe) == run.name


def test_stock_mmengine_reads_the_config(lab):
    from mmengine.config import Config

    config = Config.fromfile(lab.run("gfl101-fcos50__pkd") / "config.py")
    assert config.model.type == "PkdDistill"
    assert config.model.architecture.type == "FCOS"
    assert config.model.teacher.type == "GFL"
    assert config.param_scheduler[1].milestones == [5, 7]


def test_stock_mmdet_loads_the_student(lab):
    code = (
        "import sys; from pkdcli.compat import activate; activate()\n"
        "from mmdet.apis import init_detector\n"
        "model = init_detector(sys.argv[1], sys.argv[2], device='cpu')\n"
        "print(type(model).__name__, len(model.dataset_meta['classes']))"
    )
    run = lab.run("fcos50__baseline")
    command = [sys.executable, "-c", code, str(run / "config.py"), str(run / "student.pth")]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.stdout.split()[-2:] == ["FCOS", "6"], process.stderr


def test_a_distilled_student_holds_no_teacher(lab):
    from pkdcli.engine.checkpoint import load_state

    distilled, baseline = (load_state(lab.run(name) / "student.pth") for name in ("gfl101-fcos50__pkd", "fcos50__base"))
    assert distilled.keys() == baseline.keys()
    states = [load_state(path) for path in (lab.run("gfl101-fcos50__pkd") / "checkpoints").iterdir()]
    assert states
    assert not any("teacher" in key for state in states for key in state)


def test_a_finished_run_is_not_run_again(lab):
    before = (lab.run("gfl101-fcos50__pkd") / "result.json").stat().st_mtime_ns
    answer = lab.pkd("train", "--data", lab.data, *lab.knobs)
    assert answer.code == 0, answer.err
    assert "done before" in answer.err
    assert "teacher GFL-Res101" in answer.out
    assert "baseline FCOS-Res50" in answer.out
    assert "pkd FCOS-Res50" in answer.out
    assert (lab.run("gfl101-fcos50__pkd") / "result.json").stat().st_mtime_ns == before


def test_eval_of_a_run_equals_its_result_exactly(lab):
    run = lab.run("gfl101-fcos50__pkd")
    before = (run / "result.json").read_bytes()
    answer = lab.pkd("eval", run.name, "--json", "--quiet")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["metrics"] == read(run / "result.json")["metrics"]
    assert read(run / "eval" / "micro-val.json")["metrics"] == read(run / "result.json")["metrics"]
    assert read(run / "eval" / "micro-val.samples.json")["images"] == read(run / "samples.json")["images"]
    assert (run / "eval" / "micro-val.predictions.npz").read_bytes() == (run / "predictions.npz").read_bytes()
    assert (run / "result.json").read_bytes() == before
    for path in sorted((run / "eval").iterdir(), reverse=True):
        path.unlink()
    (run / "eval").rmdir()


def test_eval_of_the_teacher_equals_its_result_exactly(lab):
    run = lab.run("gfl101-fcos50__pkd")
    answer = lab.pkd("eval", run, "--model", "teacher", "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["metrics"] == read(run / "result.json")["teacher_metrics"]
    shutil.rmtree(run / "eval")


def test_a_student_is_trained_with_a_given_teacher(lab, tmp_path):
    (teacher,) = (lab.cache / "teachers").iterdir()
    answer = lab.pkd(
        "train", "--data", lab.data, *lab.knobs, "--max-iters", "1", "--teacher-checkpoint", teacher / "teacher.pth",
        "--runs", tmp_path / "runs", PKD_CACHE=str(tmp_path / "cache"),
    )  # fmt: skip
    assert answer.code == 0, answer.err
    (run,) = (tmp_path / "runs").iterdir()
    assert read(run / "result.json")["val_images"] == 8
    assert read(run / "result.json")["teacher_metrics"] == read(teacher / "result.json")["metrics"]
    (measured,) = (tmp_path / "cache" / "teachers").iterdir()
    assert read(measured / "result.json")["epoch"] == 0


def test_a_checkpoint_of_another_architecture_is_refused(lab, tmp_path):
    student = lab.run("fcos50__baseline") / "student.pth"
    answer = lab.pkd(
        "train", "--data", lab.data, *lab.knobs, "--teacher-checkpoint", student, "--runs", tmp_path / "runs",
        PKD_CACHE=str(tmp_path / "cache"),
    )  # fmt: skip
    assert answer.code == 2
    assert "another architecture" in answer.err
    assert "Traceback" not in answer.err
    assert "not started" in answer.err


def test_figures_of_real_runs(lab, tmp_path):
    """All figures of a student that was distilled, beside its teacher and its baseline."""
    run = lab.run("gfl101-fcos50__pkd").name
    given = ("--data", lab.data, "--json", "--reduce", "norm", "--output", tmp_path)
    answer = lab.pkd("visualize", "--distilled", run, *given)
    assert (answer.code, answer.err) == (0, "")
    found = [json.loads(line) for line in answer.out.splitlines()]
    assert [one["figure"] for one in found] == [4, 5, 6, 7, 8]
    for one in found:
        assert [detector["title"] for detector in one["detectors"]] == ["GFL-Res101", "FCOS-Res50", "FCOS-Res50, pkd"]
        assert all(Path(detector["weights"]).is_file() for detector in one["detectors"])
        assert all(Path(path).stat().st_size > 0 for path in one["files"])
    features = Features.read(tmp_path / "features-gfl101-fcos50.npz")
    for key, level in features.each():
        for image in range(2):
            positions = features.pattern(key, level, image, "norm").size
            assert features.numbers(key, level, image, False).sum() == positions
            assert features.numbers(key, level, image, True).sum() == positions
    teacher, student = (features.statistics(key, "P3")["std"] for key in ("teacher", "student"))
    assert teacher != student
