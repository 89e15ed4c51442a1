"""Work directories of mmdet and mmrazor, written by mmengine itself, as records."""

from __future__ import annotations

import json
import re
import shutil
from datetime import datetime

import pytest

from pkdcli.errors import PkdError
from pkdcli.runs.collect import collect
from pkdcli.runs.importers.mmengine import read_work_dirs
from pkdcli.runs.importers.mmengine.identity import identity
from pkdcli.runs.importers.mmengine.literal import read_config
from pkdcli.runs.record import METRICS

THEIRS = ("mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l")


def read(*folders):
    warnings = []
    records = read_work_dirs(folders, warnings.append)
    assert warnings == []
    return {record["run"]: record for record in records}


def scalars(folder):
    """The records of a work directory's newest start, as they stand in its file."""
    start = max(path for path in folder.iterdir() if path.is_dir())
    return [json.loads(line) for line in (start / "vis_data" / f"{start.name}.json").read_text().splitlines()]


def points(record, prefix):
    return {ours: pytest.approx(100 * record[f"{prefix}coco/bbox_{theirs}"], abs=1e-9)
            for ours, theirs in zip(METRICS, THEIRS, strict=True)}  # fmt: skip


def test_an_mmdet_run(workdirs):
    record = read(workdirs / "fcos")["fcos"]
    last = scalars(workdirs / "fcos")[-1]
    assert last["step"] == 12
    assert 0 < last["coco/bbox_mAP"] < 1
    assert {name: record[name] for name in METRICS} == points(last, "")
    told = ("foreign", "role", "pair", "teacher", "student", "loss", "weight", "schedule", "data", "scale", "seed")
    assert [record[key] for key in told] == [
        *("mmdet", "baseline", None, None, "fcos50", "none", None, "1x", "coco", "paper", 3),
    ]
    told = ("state", "epoch", "epochs", "batch", "error", "path")
    assert [record[key] for key in told] == ["done", 12, 12, 2, None, str(workdirs / "fcos")]
    (log,) = (workdirs / "fcos").glob("*/*.log")
    stamps = re.findall(r"^(\S+ \S+) - ", log.read_text(), re.MULTILINE)
    first, last = (datetime.strptime(stamps[index], "%Y/%m/%d %H:%M:%S") for index in (0, -1))
    assert record["seconds"] == (last - first).total_seconds()


def test_an_mmrazor_distillation_and_its_teacher(workdirs):
    record = read(workdirs / "pkd")["pkd"]
    last = scalars(workdirs / "pkd")[-1]
    assert {name: record[name] for name in METRICS} == points(last, "")
    assert {name: record[f"teacher_{name}"] for name in METRICS} == points(last, "teacher.")
    assert record["teacher_mAP"] > record["mAP"] > 0
    told = ("foreign", "role", "pair", "teacher", "student", "loss", "weight", "temperature", "schedule", "data")
    assert [record[key] for key in told] == [
        *("mmrazor", "distill", "retinax101-retina50", "retinax101", "retina50", "pkd", 10, None, "2x", "coco"),
    ]
    assert isinstance(record["seed"], int)  # the one mmengine drew, from the log


def test_a_run_that_stopped_has_no_result(workdirs):
    record = read(workdirs / "stopped")["stopped"]
    evaluated = next(line for line in scalars(workdirs / "stopped") if "coco/bbox_mAP" in line)
    assert (record["state"], record["epoch"], record["epochs"], record["mAP"]) == ("unfinished", 6, 12, None)
    mAP = f"{100 * evaluated['coco/bbox_mAP']:.1f}"
    assert record["error"] == f"its log ends at epoch 6 of 12; evaluated last at epoch 4: mAP {mAP}"


def test_a_resumed_run_is_one_run(workdirs):
    starts = sorted(path for path in (workdirs / "resumed").iterdir() if path.is_dir())
    assert len(starts) == 2
    record = read(workdirs / "resumed")["resumed"]
    assert {name: record[name] for name in METRICS} == points(scalars(workdirs / "resumed")[-1], "")
    assert (record["state"], record["epoch"]) == ("done", 12)


def test_a_training_from_nothing_forgets_the_one_before(workdirs, tmp_path):
    shutil.copytree(workdirs / "fcos", tmp_path / "again")
    (old,) = (path for path in (tmp_path / "again").iterdir() if path.is_dir())
    new = tmp_path / "again" / "29990101_000000"
    shutil.copytree(old, new)
    lines = (old / "vis_data" / f"{old.name}.json").read_text().splitlines(keepends=True)
    (new / "vis_data" / f"{new.name}.json").write_text("".join(lines[:2]))
    record = read(tmp_path / "again")["again"]
    assert (record["state"], record["epoch"], record["error"]) == ("unfinished", 2, "its log ends at epoch 2 of 12")


def test_a_folder_of_work_dirs_and_names_that_collide(workdirs, tmp_path):
    assert sorted(read(workdirs)) == ["fcos", "pkd", "resumed", "stopped"]
    shutil.copytree(workdirs / "fcos", tmp_path / "other" / "fcos")
    found = read(workdirs / "fcos", tmp_path / "other", workdirs / "fcos")
    assert sorted(found) == sorted([f"{workdirs.name}/fcos", "other/fcos"])


@pytest.fixture
def own_copy(workdirs, tmp_path):
    """A work directory to spoil, and the file of its records."""
    shutil.copytree(workdirs / "fcos", tmp_path / "spoilt")
    (start,) = (path for path in (tmp_path / "spoilt").iterdir() if path.is_dir())
    return tmp_path / "spoilt", start / "vis_data"


def test_without_its_own_file_scalars_json_serves(own_copy):
    folder, data = own_copy
    before = read(folder)
    next(data.glob("2*.json")).unlink()
    assert read(folder) == before


def test_a_loss_that_is_not_finite_is_a_failure(own_copy):
    folder, data = own_copy
    file = next(data.glob("2*.json"))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines = [line for line in lines if line.get("epoch", 0) <= 3 and "loss" in line]
    lines[-1]["loss"] = float("nan")
    file.write_text("\n".join(map(json.dumps, lines)))
    record = read(folder)["spoilt"]
    assert (record["state"], record["error"], record["mAP"]) == ("failed", "the loss is nan at epoch 3", None)


def test_a_line_cut_in_two_costs_itself_only(own_copy):
    folder, data = own_copy
    before = read(folder)["spoilt"]
    file = next(data.glob("2*.json"))
    file.write_text('{"loss": 1, "ep\n' + file.read_text())
    warnings = []
    (record,) = read_work_dirs([folder], warnings.append)
    assert warnings == [f"can't read line 1 of {file}"]
    assert record == before


def test_another_metric_is_named(own_copy):
    folder, data = own_copy
    file = next(data.glob("2*.json"))
    file.write_text(file.read_text().replace("coco/bbox_", "pascal_voc/").replace("data_time", "x"))
    record = read(folder)["spoilt"]
    assert (record["state"], record["mAP"]) == ("done", None)
    assert record["error"].startswith("its last evaluation has no bbox_mAP, but pascal_voc/mAP, pascal_voc/mAP_50")


def test_minus_one_is_no_metric(own_copy):
    folder, data = own_copy
    file = next(data.glob("2*.json"))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[-1]["coco/bbox_mAP_s"] = -1.0
    file.write_text("\n".join(map(json.dumps, lines)))
    record = read(folder)["spoilt"]
    assert record["AP_S"] is None
    assert record["mAP"] is not None


def test_a_config_is_read_and_never_run(own_copy, tmp_path):
    folder, data = own_copy
    mark = tmp_path / "mark"
    (data / "config.py").write_text(
        f"import os\nopen({str(mark)!r}, 'w')\nseed = 4\nrandomness = dict(seed=seed)\nx = os.system('touch {mark}')\n"
        "model = dict(type='mmdet.FCOS', backbone=dict(type='ResNet', depth=18), y=[open, -1.5, (1, 2)])\n"
    )
    for path in folder.glob("*.py"):
        path.unlink()
    assert read_config(data / "config.py") == {
        **{"seed": 4, "randomness": {"seed": 4}, "x": None},
        "model": {"type": "mmdet.FCOS", "backbone": {"type": "ResNet", "depth": 18}, "y": [None, -1.5, [1, 2]]},
    }
    record = read(folder)["spoilt"]
    assert not mark.exists()
    assert (record["student"], record["student_title"], record["seed"]) == ("fcos-resnet18", "FCOS-ResNet18", 4)
    assert (record["schedule"], record["data"], record["foreign"]) == (None, None, "mmengine")


@pytest.mark.parametrize("text", ["dict(", "x = " + "(" * 5000 + ")" * 5000, "\0"])
def test_a_config_that_is_none_costs_only_what_it_would_tell(own_copy, text):
    folder, data = own_copy
    for path in (*folder.glob("*.py"), data / "config.py"):
        path.write_text(text)
    warnings = []
    (record,) = read_work_dirs([folder], warnings.append)
    assert len(warnings) == 2
    assert record["mAP"] is not None


def test_what_an_mmrazor_config_says_of_its_losses():
    def told(**losses):
        model = {"architecture": {}, "teacher": {}, "distiller": {"distill_losses": losses}}
        record = identity({"model": model}, None, {})
        return record["loss"], record["weight"], record["temperature"]

    cwd = {"type": "mmrazor.ChannelWiseDivergence", "tau": 4, "loss_weight": 5.0}
    assert told(a=cwd, b=cwd) == ("cwd", 5.0, 4)
    assert told(a=cwd, b={**cwd, "loss_weight": 6.0}) == ("cwd", None, 4)
    assert told(a=cwd, b={"type": "FGDLoss"}) == ("cwd+FGDLoss", None, None)
    assert told() == (None, None, None)


def test_batch_counts_every_process():
    loader = {"train_dataloader": {"batch_size": 2}}
    assert identity(loader, None, {"GPU number": 8})["batch"] == 16


def test_multi_scale_training_is_another_schedule():
    def schedule(**resize):
        dataset = {"ann_file": "annotations/instances_train2017.json", "pipeline": [{"type": "Resize", **resize}]}
        config = {"train_dataloader": {"dataset": dataset}, "train_cfg": {"max_epochs": 24}}
        record = identity(config, None, {})
        return record["schedule"], record.get("scale")

    assert schedule(scale=[1333, 800]) == ("2x", "paper")
    assert schedule(scale=[[1333, 480], [1333, 800]]) == ("2x+ms", "paper")
    assert schedule(scale=[640, 640]) == ("2x", None)


@pytest.mark.parametrize(
    ("make", "message", "hint"),
    [
        (lambda f: None, "there is no folder", "Give a work_dir of mmdet or mmrazor."),
        (lambda f: f.mkdir(), "holds no training log", "<timestamp>/vis_data/<timestamp>.json"),
        (lambda f: (f.mkdir(), (f / "2.log.json").touch()), "of mmcv 1 (*.log.json)", "mmdet 3 and mmrazor 1"),
        (lambda f: (f.mkdir(), (f / "status.json").touch()), "is one of pkd's own runs", "--runs "),
    ],
)
def test_what_is_no_work_dir(tmp_path, make, message, hint):
    make(tmp_path / "x")
    with pytest.raises(PkdError) as caught:
        read_work_dirs([tmp_path / "x"], print)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_foreign_gain_is_over_a_foreign_baseline(workdirs, tmp_path):
    """mmengine draws a seed for each run, so the only baseline of the same setting serves."""
    shutil.copytree(workdirs / "pkd", tmp_path / "pkd")
    shutil.copytree(workdirs / "fcos", tmp_path / "base")
    # The same student and schedule as the distillation's.
    (config,) = (tmp_path / "base").glob("*/vis_data/config.py")
    config.write_text(config.read_text().replace("max_epochs=12", "max_epochs=24"))
    (tmp_path / "base" / "retinanet_r50_fpn_2x_coco.py").write_text("")
    for file in (tmp_path / "base").glob("*/vis_data/*.json"):
        file.write_text(file.read_text().replace('"step": 12}', '"step": 24}'))
    records = {record["run"]: record for record in collect(tmp_path / "none", foreign=[tmp_path])}
    assert (records["base"]["student"], records["base"]["seed"]) == ("retina50", 3)
    assert records["pkd"]["baseline"] == "base"
    assert records["pkd"]["gain"] == records["pkd"]["mAP"] - records["base"]["mAP"]
