"""Trainings by a config's own settings: RTMDet with AdamW and averages, its teacher leaving before the end.

Stopped anywhere and resumed such a run ends as one that never was, bit for bit; students that share a teacher end as
each of them alone.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from pkdcli.engine.train.loop import last_metrics
from pkdcli.engine.worker import group as groups
from pkdcli.recipe.library import recipes_root
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_jsonl

PER_EPOCH, EPOCHS = 3, 2
TAUGHT = 4  # of 6 steps: 0.6 of them
CLOCKS = ("seconds", "data_seconds", "val_seconds")

# RTMDet-tiny at a third of its width. It has the rules of no scale, so that it stays what it is here.
STUDENT = """
name: rtm
title: RTMDet
kind: one-stage
config: rtmdet/rtmdet_tiny_8xb32-300e_coco.py
lr: 0.01
set:
  backbone.widen_factor: 0.125
  neck.in_channels: [32, 64, 128]
  neck.out_channels: 32
  bbox_head.in_channels: 32
  bbox_head.feat_channels: 32
  bbox_head.stacked_convs: 1
  test_cfg.score_thr: 0.0
"""

STOP = """
import signal
from pkdcli.engine.train.loop import PkdTrainLoop
run_iter = PkdTrainLoop.run_iter
def one(loop, index, batch):
    run_iter(loop, index, batch)
    if loop.iter == STEP:
        os.kill(os.getpid(), signal.SIGTERM)
PkdTrainLoop.run_iter = one
"""

# Notes at which steps the teacher looks at a batch.
NOTED = """
from pkdcli.engine.distill.algorithm import PkdDistill
forward_teacher = PkdDistill.forward_teacher
def noted(self, inputs, *more):
    with open(os.path.join(os.path.dirname(asked["run"]), "taught.txt"), "a") as file:
        file.write("x")
    return forward_teacher(self, inputs, *more)
PkdDistill.forward_teacher = noted
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> tuple[str, str]:
    """The YAML files of a pair with this student, and of the scale."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "rtm.yaml").write_text(STUDENT)
    (folder / "pair.yaml").write_text("name: pair\nteacher: gfl101\nstudent: rtm.yaml\nschedule: 1x\n")
    tiny = yaml.safe_load((recipes_root() / "scales" / "tiny.yaml").read_text())
    small = {**tiny, "name": "small", "families": [], "own": {"lr": {"AdamW": 0.002}}}
    (folder / "small.yaml").write_text(yaml.safe_dump(small))
    return str(folder / "pair.yaml"), str(folder / "small.yaml")


@pytest.fixture(scope="module")
def make(pair, make_run):
    """`make(folder, **changes)`: the directory of such a run."""

    def make(folder: Path, *sets: str, **changes) -> Path:
        asked = {"distill_until": 0.6, "epochs": EPOCHS, **changes}
        return make_run(folder, *sets, pair=pair[0], scale=pair[1], **asked)

    return make


@pytest.fixture(scope="module")
def straight(make, workers, tmp_path_factory) -> Path:
    """A run that nothing interrupted."""
    return workers.finish(make(tmp_path_factory.mktemp("straight")), first=NOTED)


def records(run: Path) -> list[dict]:
    found = [one for one in read_jsonl(run / "metrics.jsonl") if one["kind"] != "start"]
    return [{key: value for key, value in one.items() if key not in CLOCKS} for one in found]


def assert_same(one: Path, other: Path) -> None:
    ours, theirs = (torch.load(run / "student.pth", weights_only=True)["state_dict"] for run in (one, other))
    assert ours.keys() == theirs.keys()
    assert [key for key, value in ours.items() if not torch.equal(value, theirs[key])] == []
    assert records(one) == records(other)


def test_it_is_trained_by_its_own_config(straight):
    text = (straight / "config.py").read_text()
    config: dict = {}
    exec(text, config)
    assert config["optim_wrapper"]["optimizer"] == {"type": "AdamW", "lr": 0.0005, "weight_decay": 0.05}
    assert [one["type"] for one in config["param_scheduler"]] == ["CosineAnnealingLR"]  # no room for its warm-up
    assert config["param_scheduler"][0] | {"eta_min": 0} == {
        "type": "CosineAnnealingLR", "by_epoch": False, "begin": 3, "end": 6, "T_max": 3, "eta_min": 0
    }  # fmt: skip
    result = json.loads((straight / "result.json").read_text())
    assert (result["training"], result["distill_until"]) == ("own", 0.6)


def test_what_is_exported_are_the_averages(straight):
    state = torch.load(max((straight / "checkpoints").glob("epoch_*.pth")), weights_only=False)
    found = torch.load(straight / "student.pth", weights_only=True)["state_dict"]
    key = "bbox_head.rtm_cls.0.weight"
    assert torch.equal(found[key], state["state_dict"][f"architecture.{key}"])
    assert not torch.equal(found[key], state["ema_state_dict"][f"module.architecture.{key}"])
    assert not any("teacher" in name for name in state["ema_state_dict"])
    assert last_metrics(RunPaths(straight), PER_EPOCH * EPOCHS)["mAP"] >= 0


def test_the_teacher_leaves_when_it_shall(straight):
    assert (straight.parent / "taught.txt").read_text() == "x" * TAUGHT
    taught = {one["iter"]: "distill.loss_pkd_fpn0" in one for one in records(straight) if one["kind"] == "train"}
    assert taught == {step: step <= TAUGHT for step in range(1, PER_EPOCH * EPOCHS + 1)}
    assert max(one["iter"] for one in records(straight) if one["kind"] == "levels") == TAUGHT
    assert f"from step {TAUGHT + 1} on the student learns without its teacher" in (straight / "log.txt").read_text()


@pytest.mark.parametrize("step", [2, 5])
def test_stopped_and_resumed_it_ends_the_same(straight, make, workers, tmp_path, step):
    """In the middle of an epoch, with the teacher and without."""
    run = make(tmp_path)
    assert workers.run(run, first=STOP.replace("STEP", str(step - 1))) == 130, (run / "log.txt").read_text()[-3000:]
    assert (run / "checkpoints" / f"epoch_{step // PER_EPOCH:04d}_iter_{step:08d}.pth").exists()
    assert_same(straight, workers.finish(make(tmp_path)))


def test_students_that_share_a_teacher_end_as_alone(straight, make, workers, tmp_path, monkeypatch):
    """One is taught to the end, the other leaves the teacher before it."""
    other = workers.finish(make(tmp_path / "alone", loss="mse", distill_until=None))
    runs = [make(tmp_path / "together"), make(tmp_path / "together", loss="mse", distill_until=None)]
    teachers = []

    class Noted(groups.SharedTeacher):
        def __init__(self):
            super().__init__()
            teachers.append(self)

    monkeypatch.setattr(groups, "SharedTeacher", Noted)
    assert groups.train_group(runs) == {run.name: 0 for run in runs}
    assert_same(straight, runs[0])
    assert_same(other, runs[1])
    (teacher,) = teachers
    assert (teacher.forwards, teacher.asked) == (PER_EPOCH * EPOCHS, PER_EPOCH * EPOCHS + TAUGHT)
