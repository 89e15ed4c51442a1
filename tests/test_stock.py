"""The files of a finished run in stock mmdet, in a process that can't import pkdcli; and what was set with `--set`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from mmengine.config import Config

# Another head than the pair's, and averages of the weights, which are what is measured.
ODD = ("--set", "config.model.architecture.bbox_head.stacked_convs=1", "--set", "student.set.test_cfg.score_thr=0.0",
       "--set", "config.default_hooks.ema={type: EMAHook, momentum: 0.3}", "--max-iters", "5",
       "--set", "val_images=null")  # fmt: skip


def read(path: Path):
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def odd(lab, tmp_path_factory) -> Path:
    """The directory of a distilled run with a config that the user has changed."""
    folder = tmp_path_factory.mktemp("odd")
    words = ("--teacher-checkpoint", teacher(lab) / "teacher.pth", "--runs", folder / "runs")
    answer = lab.pkd("train", "--data", lab.data, *lab.knobs, *ODD, *words, PKD_CACHE=str(folder / "cache"))
    assert answer.code == 0, answer.err
    (run,) = (folder / "runs").iterdir()
    return run


def teacher(lab) -> Path:
    """The directory of the run that has provided the teacher."""
    return Path(read(lab.run("gfl101-fcos50__pkd") / "job.json")["teacher"])


def stock(run: Path, picture: Path, folder: Path, name: str = "student"):
    """What stock mmdet makes of a run's files, and the detections of its test in COCO's results format."""
    script = Path(__file__).parent / "stock_mmdet.py"
    env = {**os.environ, "HOME": str(folder), "MPLCONFIGDIR": str(folder)}
    command = [sys.executable, str(script), str(run), str(picture), name]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return read(folder / "answer.json"), read(folder / "test.bbox.json")


def what_it_found(detections, data: Path, folder: Path) -> Path:
    """A data set in which a few of the detections are the truth: a detector that has learned little scores there."""
    folder.mkdir()
    truth = read(data.parent / "annotations" / "val.json")
    by_image: dict[int, list] = {}
    for one in sorted(detections, key=lambda one: -one["score"]):
        by_image.setdefault(one["image_id"], []).append(one)
    chosen = [one for found in by_image.values() for one in found[:9:2]]
    truth["annotations"] = [
        {"id": n, "image_id": one["image_id"], "category_id": one["category_id"], "bbox": one["bbox"], "iscrowd": 0,
         "area": one["bbox"][2] * one["bbox"][3]}
        for n, one in enumerate(chosen, 1) if min(one["bbox"][2:]) > 1
    ]  # fmt: skip
    (folder / "val.json").write_text(json.dumps(truth))
    split = f"{{images: {data.parent}/images/val/, annotations: val.json}}"
    (folder / "found.yaml").write_text(f"name: found\nimage: 96\ntrain: {split}\nval: {split}\n")
    return folder / "found.yaml"


@pytest.fixture(scope="module")
def seen(odd, lab, tmp_path_factory):
    """What stock mmdet makes of that run: its answer, its detections, and the data set in which these are the truth."""
    folder = tmp_path_factory.mktemp("seen")
    picture = next((lab.data.parent / "images" / "val").iterdir())
    answer, detections = stock(odd, picture, folder)
    return answer, detections, what_it_found(detections, lab.data, folder / "found")


@pytest.fixture(scope="module")
def ours(odd, lab, seen):
    """What `pkd eval` says of that run on the data set in which its detections are the truth."""
    answer = lab.pkd("eval", odd, "--data", seen[2], "--json")
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


def test_a_distilled_student_in_stock_mmdet(odd, seen, ours):
    from pkdcli.engine.metrics.coco import evaluate_detections

    answer, detections, data = seen
    assert (answer["type"], answer["strict"], answer["pkdcli"]) == ("FCOS", True, [])
    assert answer["classes"] == ["circle", "square", "triangle", "star", "cross", "crescent"]
    assert len({tuple(colour) for colour in answer["palette"]}) == 6
    assert answer["scores"] == pytest.approx(answer["seen"], abs=1e-5)
    assert len(answer["scores"]) == 5
    measured = read(odd / "result.json")["metrics"]["mAP"]
    assert 100 * answer["metrics"]["coco/bbox_mAP"] == pytest.approx(measured, abs=0.1)
    # On boxes that it has found, its numbers are above zero; ours of the same run are the same.
    theirs = evaluate_detections(data.parent / "val.json", detections)
    assert theirs["mAP"] > 20
    assert ours["metrics"]["mAP"] == pytest.approx(theirs["mAP"], abs=0.01)


def test_data_with_its_categories_in_another_order_gives_the_same_numbers(odd, lab, seen, ours, tmp_path):
    _, _, data = seen
    truth = read(data.parent / "val.json")
    truth["categories"].reverse()
    (tmp_path / "val.json").write_text(json.dumps(truth))
    other = tmp_path / "found.yaml"
    other.write_text(data.read_text())
    answers = [ours, json.loads(lab.pkd("eval", odd, "--data", other, "--json").out)]
    assert answers[0]["metrics"] == answers[1]["metrics"]
    assert answers[0]["metrics"]["mAP"] > 20
    assert [len(one["notes"]) for one in answers] == [0, 1]
    truth["categories"][0]["name"] = "moon"
    (tmp_path / "val.json").write_text(json.dumps(truth))
    refused = lab.pkd("eval", odd, "--data", other)
    assert refused.code == 2
    assert "data set found has other classes than the detector was trained for: moon, cross" in refused.err


def test_the_config_has_no_type_of_ours_and_moves_with_its_folder(odd, tmp_path):
    from mmengine.config import Config

    moved = shutil.copytree(odd, tmp_path / "moved")
    config = Config.fromfile(moved / "student.py")
    assert "Pkd" not in config.pretty_text
    assert "pkdcli" not in config.pretty_text
    assert "custom_imports" not in config
    assert config.load_from == str(moved / "student.pth")
    assert config.model.bbox_head.stacked_convs == 1
    assert config.model.backbone.init_cfg is None
    assert config.test_dataloader.dataset.type == "CocoDataset"


def test_a_teachers_files_too(lab):
    from mmengine.config import Config

    config = Config.fromfile(teacher(lab) / "teacher.py")
    assert (config.model.type, config.load_from) == ("GFL", str(teacher(lab) / "teacher.pth"))
    assert not (teacher(lab) / "student.py").exists()


def test_eval_builds_what_the_run_built_and_measures_what_it_measured(odd, lab):
    """`bbox_head.stacked_convs` is another architecture; the averages are in student.pth, not the last weights."""
    import torch

    answer = lab.pkd("eval", odd, "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["metrics"] == read(odd / "result.json")["metrics"]
    state = torch.load(max((odd / "checkpoints").glob("*.pth")), weights_only=False)
    averaged, last = state["state_dict"], state["ema_state_dict"]
    exported = torch.load(odd / "student.pth")["state_dict"]
    key = "bbox_head.conv_cls.weight"
    assert torch.equal(exported[key], averaged[f"architecture.{key}"])
    assert not torch.equal(exported[key], last[f"module.architecture.{key}"])


def test_a_run_of_a_release_without_the_config_gets_it_from_eval(odd, lab, tmp_path):
    old = shutil.copytree(odd, tmp_path / odd.name)
    text = (old / "student.py").read_text()
    (old / "student.py").unlink()
    answer = lab.pkd("eval", old, "--json", "--quiet")
    assert answer.code == 0, answer.err
    assert answer.err == f"wrote {old / 'student.py'}\n"
    assert (old / "student.py").read_text() == text


# A student that is trained and tested by its own config

PADDED = """
_base_ = ["mmdet::gfl/gfl_r50_fpn_1x_coco.py"]
model = dict(test_cfg=dict(score_thr=0.0))
load = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations", with_bbox=True)]
pad = dict(type="Pad", size=(640, 640), pad_val=dict(img=(114, 114, 114)))
fit = [dict(type="Resize", scale=(640, 640), keep_ratio=True), pad, dict(type="PackDetInputs")]
mixed = [
    dict(type="CachedMosaic", img_scale=(640, 640)),
    dict(type="RandomResize", scale=(1280, 1280), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=(640, 640)),
    pad,
    dict(type="PackDetInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=load + mixed))
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=load[:1] + fit))
custom_hooks = [dict(type="PipelineSwitchHook", switch_epoch=6, switch_pipeline=load + fit)]
"""


@pytest.fixture(scope="module")
def flat(micro, tmp_path_factory) -> Path:
    """The micro data set with pictures that are wider than high, so that something has to be padded."""
    folder = tmp_path_factory.mktemp("flat")
    for split in ("train", "val"):
        truth = read(micro.parent / "annotations" / f"{split}.json")
        (folder / split).mkdir()
        for one in truth["images"]:
            one["height"] = 112
            pixels = cv2.imread(str(micro.parent / "images" / split / one["file_name"]))
            cv2.imwrite(str(folder / split / one["file_name"]), pixels[:112])
        for one in truth["annotations"]:
            one["bbox"][3] = min(112, one["bbox"][1] + one["bbox"][3]) - one["bbox"][1]
            one["area"] = one["bbox"][2] * one["bbox"][3]
            one.pop("segmentation", None)
        truth["annotations"] = [one for one in truth["annotations"] if one["bbox"][3] > 8]
        (folder / f"{split}.json").write_text(json.dumps(truth))
    splits = [f"{split}: {{images: {split}/, annotations: {split}.json}}\n" for split in ("train", "val")]
    (folder / "flat.yaml").write_text("name: flat\nimage: 96\n" + "".join(splits))
    return folder / "flat.yaml"


def test_a_student_that_is_tested_as_its_own_config_tests_scores_the_same_everywhere(flat, pkd, tmp_path):
    (tmp_path / "padded.py").write_text(PADDED)
    words = ("--student", tmp_path / "padded.py", "--loss", "none", "--training", "own", "--data", flat)
    sets = ("--epochs", "4", "--batch-size", "4", "--workers", "0")
    done = pkd("train", *words, "--scale", "tiny", *sets)
    assert done.code == 0, done.err
    (run,) = (tmp_path / "runs").iterdir()
    measured = read(run / "result.json")["metrics"]
    assert measured["mAP"] > 1

    folder = tmp_path / "stock"
    folder.mkdir()
    answer, _ = stock(run, next((flat.parent / "val").iterdir()), folder)
    assert 100 * answer["metrics"]["coco/bbox_mAP"] == pytest.approx(measured["mAP"], abs=0.1)
    steps = Config.fromfile(run / "student.py").test_dataloader.dataset.pipeline
    assert [step["type"] for step in steps] == ["LoadImageFromFile", "Resize", "Pad", "PackDetInputs"]
    assert steps[2]["size"] == (96, 96)

    again = pkd("eval", run, "--json")
    alone = pkd("eval", run / "student.pth", "--detector", tmp_path / "padded.py", "--scale", "tiny", "--data", flat,
                "--json")  # fmt: skip
    for evaluated in (again, alone):
        assert evaluated.code == 0, evaluated.err
        assert json.loads(evaluated.out)["metrics"] == pytest.approx(measured, abs=0.01)
