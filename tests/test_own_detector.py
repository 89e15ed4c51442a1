"""A detector of one's own, trained by mmengine's Runner: pkd measures it as Runner.test() does, and has it teach."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = """\
_base_ = ["mmdet::atss/atss_r50_fpn_1x_coco.py"]
custom_imports = dict(imports=["own_neck"])
gn = dict(type="GN", num_groups=4, requires_grad=True)
model = dict(
    backbone=dict(depth=18, base_channels=8, stem_channels=8, frozen_stages=-1, norm_cfg=gn, norm_eval=False,
                  init_cfg=None),
    neck=dict(type="OwnNeck", in_channels=[8, 16, 32, 64], out_channels=16),
    bbox_head=dict(num_classes={number}, in_channels=16, feat_channels=16, stacked_convs=1, norm_cfg=gn),
    test_cfg=dict(score_thr=0.0),
)
steps = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations", with_bbox=True),
         dict(type="Resize", scale=(96, 96), keep_ratio=True)]
keys = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")
data = dict(_delete_=True, type="CocoDataset", metainfo=dict(classes={classes}))
train_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False, dataset=dict(
    ann_file="{data}/annotations/train.json", data_prefix=dict(img="{data}/images/train/"),
    pipeline=[*steps, dict(type="PackDetInputs")], **data))
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(
    ann_file="{data}/annotations/val.json", data_prefix=dict(img="{data}/images/val/"), test_mode=True,
    pipeline=[*steps, dict(type="PackDetInputs", meta_keys=keys)], **data))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file="{data}/annotations/val.json")
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=1, val_interval=9)
"""
NECK = """\
from mmdet.models import FPN
from mmdet.registry import MODELS


@MODELS.register_module()
class OwnNeck(FPN):
    pass
"""
DETECTOR = "name: {name}\ntitle: {name}\nkind: one-stage\nconfig: {name}.py\n"
SCALE = (
    "name: own96\ndata: data.yaml\nimage: [96, 96]\nupscale: false\nbatch: 4\nval_batch: 4\npretrained: false\n"
    "stat_chunk: 2\n"
)
# mmdet's words for the metrics.
WORDS = {"mAP": "bbox_mAP", "AP50": "bbox_mAP_50", "AP75": "bbox_mAP_75", "AP_S": "bbox_mAP_s", "AP_M": "bbox_mAP_m",
         "AP_L": "bbox_mAP_l"}  # fmt: skip


@pytest.fixture(scope="module")
def mine(tmp_path_factory, micro: Path) -> Path:
    """A folder with recipes, a config, a checkpoint that mmengine's Runner has made, and what its test said."""
    folder = tmp_path_factory.mktemp("mine")
    data = micro.parent
    names = [one["name"] for one in json.loads((data / "annotations/train.json").read_text())["categories"]]
    text = CONFIG.replace("{data}", str(data)).replace("{classes}", repr(tuple(names)))
    (folder / "mine.py").write_text(text.replace("{number}", str(len(names))))
    (folder / "own_neck.py").write_text(NECK)
    (folder / "mine.yaml").write_text(DETECTOR.format(name="mine"))
    (folder / "small.py").write_text(
        '_base_ = ["./mine.py"]\nmodel = dict(backbone=dict(base_channels=4, stem_channels=4), '
        "neck=dict(in_channels=[4, 8, 16, 32]))\n"
    )
    (folder / "small.yaml").write_text(DETECTOR.format(name="small"))
    (folder / "pair.yaml").write_text("name: mine-small\nteacher: mine.yaml\nstudent: small.yaml\nschedule: 1x\n")
    (folder / "own96.yaml").write_text(SCALE)
    split = "{{images: {}/images/{}/, annotations: {}}}".format
    for name, train, val in (
        ("data", data / "annotations/train.json", "val.json"), ("two", "two-train.json", "two-val.json"),
    ):  # fmt: skip
        (folder / f"{name}.yaml").write_text(
            f"name: {name}\nimage: 96\ntrain: {split(data, 'train', train)}\nval: {split(data, 'val', val)}\n"
        )
    script = Path(__file__).parent / "stock_training.py"
    command = [sys.executable, str(script), str(folder / "mine.py"), str(folder)]
    env = {**os.environ, "HOME": str(folder), "MPLCONFIGDIR": str(folder), "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    # The last two of the classes, the other way round.
    for name, path in (("train", data / "annotations/train.json"), ("val", folder / "val.json")):
        content = json.loads(path.read_text())
        content["categories"] = content["categories"][:-3:-1]
        kept = {one["id"] for one in content["categories"]}
        content["annotations"] = [one for one in content["annotations"] if one["category_id"] in kept]
        (folder / f"two-{name}.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def stock(mine) -> dict[str, float]:
    """What Runner.test() has measured, in AP points."""
    return {key.partition("/")[2]: 100 * value for key, value in json.loads((mine / "answer.json").read_text()).items()}


def weights(mine: Path) -> Path:
    (path,) = (mine / "work").glob("epoch_1.pth")
    return path


def test_its_metrics_are_those_of_mmengines_runner(pkd, mine, stock):
    answer = pkd("eval", weights(mine), "--detector", mine / "mine.yaml", "--data", mine / "data.yaml", "--json")
    assert answer.code == 0, answer.err
    metrics = json.loads(answer.out)["metrics"]
    assert stock["bbox_mAP"] > 5  # or this would prove nothing
    for name, word in WORDS.items():
        # Where there is no object of a size, mmdet says -1.
        assert metrics[name] == (None if stock[word] < 0 else pytest.approx(stock[word], abs=0.1)), name


def test_it_teaches_a_student_of_two_of_its_classes(pkd, mine, stock, tmp_path):
    """The teacher is measured on the two by their names; its own module lies in the run's folder."""
    knobs = ("--scale", mine / "own96.yaml", "--max-iters", "2", "--workers", "0", "--seed", "1")
    words = ("--pair", mine / "pair.yaml", "--data", mine / "two.yaml", "--teacher-checkpoint", weights(mine))
    answer = pkd("train", *words, *knobs)
    assert answer.code == 0, answer.err
    (run,) = (tmp_path / "runs").iterdir()
    result = json.loads((run / "result.json").read_text())
    two = [one["name"] for one in json.loads((mine / "two-val.json").read_text())["categories"]]
    by_class = [stock[f"{name}_precision"] for name in two]
    assert all(not math.isnan(points) for points in by_class)
    assert result["teacher_metrics"]["mAP"] == pytest.approx(sum(by_class) / 2, abs=0.1)
    assert result["teacher_metrics"]["mAP"] > 5
    (teacher,) = (tmp_path / "cache" / "teachers").iterdir()
    said = (teacher / "log.txt").read_text()
    assert f"the teacher: {weights(mine)}: " in said
    assert " 0 missing, 0 unexpected, 0 of another shape" in said
    assert "labels are matched by the names in" in said
    assert (run / "modules/own_neck.py").read_text() == NECK
    assert (teacher / "modules/own_neck.py").read_text() == NECK
