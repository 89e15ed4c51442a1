"""Every section on models and pictures so small that it takes seconds: what it has, and what its ratios are made of.

No number is held against a bound here: a busy machine would decide.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import pkdcli.engine.register  # noqa: F401

# isort: split
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from pkdcli.config.build import detector
from pkdcli.data.scoring.predictions import Detections
from pkdcli.data.scoring.predictions import read as read_detections
from pkdcli.data.scoring.predictions import write as write_detections
from pkdcli.engine.bench import keeping, worker
from pkdcli.engine.bench.inputs.many_runs import write_runs
from pkdcli.engine.bench.inputs.pictures import draw, with_pictures
from pkdcli.engine.bench.sections import losses as losses_module
from pkdcli.engine.bench.sections.evaluation import drawn
from pkdcli.engine.bench.sections.experiment import razor_config
from pkdcli.engine.bench.sections.losses import only_shifted, peers
from pkdcli.engine.bench.sections.suggest import UNTRAINED, candidates, first_forwards, may_compile
from pkdcli.engine.checkpoint import export_student
from pkdcli.engine.losses import blocks, build_loss
from pkdcli.recipe.library import parse
from pkdcli.recipe.schema import Recipe
from pkdcli.reporting.curves import read_curves
from pkdcli.runs.collect import collect
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_json, write_json

TIMINGS = {
    "losses": [
        *("pkd", "pkd: mmrazor's PKDLoss", "pkd: shifted moments only", "mse", "mse: F.mse_loss"),
        *("norm-mse", "norm-mse: the plain formula", "norm-kl", "norm-kl: the plain formula"),
    ],
    "step": ["student alone", "teacher alone", "distilled step", "mmrazor's step"],
    "group": ["student alone", "teacher alone", "distilled step", "2 students, shared"],
    "eval": ["pkd (hotcoco)", "pycocotools"],
    "operators": [
        f"{name}{peer}"
        for name in ("nms", "roi_align", "roi_pool", "deform_conv2d", "modulated_deform_conv2d")
        for peer in ("", ": torchvision")
    ],
    "data": ["look up", "decode", "annotations", "resize", "flip", "pack", "whole image", "collate 2"],
    "compare": ["pkd compare"],
    "import": ["pkd data import", "reading and linking alone"],
    "report": ["pkd report", "pkd report --format html", "pkd status"],
    "predict": ["the detector alone", "pkd predict", "pkd predict --no-pictures"],
}


def again(ratio, timings):
    """The ratio from the samples, by another way."""
    seconds = {timing["name"]: np.array(timing["seconds"]) for timing in timings}
    above, below = (sum(seconds[name] for name in ratio[side]) for side in ("of", "by"))
    return np.median(ratio["times"] * above / below) - ratio["less"]


@pytest.mark.parametrize("name", list(TIMINGS))
def test_a_section_has_its_timings_and_ratios_made_of_them(name, request_, tmp_path):
    rounds = 1 if name == "predict" else 2  # each of its rounds starts the command twice, which imports torch
    section = worker.sections(request_(repeat=rounds), tmp_path)[name]().as_dict()
    assert list(section) == ["name", "title", "timings", "ratios", "numbers", "notes"]
    assert section["name"] == name
    assert [timing["name"] for timing in section["timings"]] == TIMINGS[name]
    for timing in section["timings"]:
        assert len(timing["seconds"]) == rounds
        assert timing["median"] == pytest.approx(sum(timing["seconds"]) / rounds)
        assert min(timing["seconds"]) > 0
    for ratio in section["ratios"]:
        assert ratio["value"] == pytest.approx(again(ratio, section["timings"]), rel=1e-9, abs=1e-12)
        assert ratio["low"] <= ratio["value"] <= ratio["high"]
    assert all(math.isfinite(number["value"]) for number in section["numbers"])
    if name == "eval":
        assert [(n["value"], n["unit"], n["ok"]) for n in section["numbers"]] == [(6, "of 6", True)]
    if name == "predict":
        assert [(ratio["by"], ratio["at_least"]) for ratio in section["ratios"]] == [
            (["pkd predict"], 0.9), (["pkd predict --no-pictures"], 0.9)
        ]  # fmt: skip
        boxes, *shares = section["numbers"]
        assert 5 <= boxes["value"] <= 20  # in an image: something is drawn
        assert [share["name"] for share in shares] == [
            f"{command}, the detector's share of its processor time"
            for command in ("pkd predict", "pkd predict --no-pictures")
        ]
        # The command does what the detector does, and more: with the first of few batches, which takes longest, too.
        assert all(0.01 < share["value"] < 1.2 for share in shares), shares
    if name == "step":
        ours, theirs, share, student = (n["value"] for n in section["numbers"][1:5])
        assert share == pytest.approx(ours / theirs)
        assert 0 < student < ours
    json.dumps(section, allow_nan=False)


def test_coco_is_checked_and_loaded_in_processes_of_their_own(request_, tmp_path):
    section = worker.sections(request_(), tmp_path)["coco"]().as_dict()
    names = ["check", "pkd data check --no-decode", "json.loads of the files", "mmdet's loading", "loading, first time",
             "loading, from the cache"]  # fmt: skip
    assert [timing["name"] for timing in section["timings"]] == names
    assert len(section["ratios"]) == 2
    for ratio in section["ratios"]:
        assert ratio["value"] == pytest.approx(again(ratio, section["timings"]))
    assert {number["ok"] for number in section["numbers"]} == {None}  # so few images say nothing of the bounds
    content = json.loads((tmp_path / "coco" / "train" / "instances.json").read_text())
    assert (len(content["images"]), len(content["annotations"]), len(content["categories"])) == (30, 218, 80)
    assert {tuple(one["bbox"][n] >= 0 for n in range(4)) for one in content["annotations"]} == {(True,) * 4}
    assert len(list((tmp_path / "coco" / "train" / "images").iterdir())) == 30


def test_runs_are_as_a_sweep_leaves_them(request_, tmp_path):
    recipe = parse(Recipe, request_()["recipe"], "")
    write_runs(recipe, tmp_path / "runs", 42, tmp_path / "pictures")
    records = collect(tmp_path / "runs")
    assert [sum(record["role"] == role for record in records) for role in ("baseline", "distill")] == [2, 40]
    assert {record["state"] for record in records} == {"done"}
    assert all(record["gain"] is not None for record in records if record["role"] == "distill")
    assert len({record["mAP"] for record in records}) == 42
    curves = read_curves(records[-1]["path"])
    assert [len(curves.step), len(curves.level_step), len(curves.val_step), len(curves.levels)] == [200, 50, 12, 5]
    found = read_json(RunPaths(Path(records[-1]["path"])).samples)
    assert [len(image["truth"]) for image in found["images"]] == [7] * 8


@pytest.mark.parametrize("name", ["pkd", "mse", "norm-mse", "norm-kl"])
def test_peers_are_the_same_losses(name):
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(2, 4, 9, 7, dtype=torch.float64, generator=generator) for _ in range(2))
    options = {"temperature": losses_module.TEMPERATURE} if name == "norm-kl" else {}
    ours, theirs = build_loss(name, **options)(student, teacher), peers()[name][1](student, teacher)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-9)


def test_the_shifted_way_is_on_only_while_it_is_measured():
    def measure():
        assert blocks.RAW is False
        raise ValueError("stop")

    assert blocks.RAW is True
    with only_shifted(), pytest.raises(ValueError, match="stop"):
        measure()
    assert blocks.RAW is True


def test_pictures_are_coco_data_and_the_same_again(tmp_path, request_):
    data = draw(tmp_path / "a", 48, 64, 3, ["x", "y"])
    draw(tmp_path / "b", 48, 64, 3, ["x", "y"])
    for file in sorted((tmp_path / "a").iterdir()):
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
    content = json.loads(Path(data.train.annotations).read_text())
    assert [(image["width"], image["height"]) for image in content["images"]] == [(64, 48)] * 3
    for one in content["annotations"]:
        x, y, w, h = one["bbox"]
        assert min(x, y) >= 0
        assert x + w <= 64
        assert y + h <= 48
        assert min(w, h) > 0
    recipe = with_pictures(parse(Recipe, request_()["recipe"], ""), tmp_path / "c", 48, 64, 3)
    assert (recipe.scale.image, recipe.data.train_images) == ((64, 48), 3)


def test_drawn_detections_fill_every_image(tmp_path):
    path, rows = drawn(10, tmp_path)
    assert rows.shape == (800, 7)
    assert np.unique(rows[:, 0], return_counts=True)[1].tolist() == [80] * 10
    assert np.isfinite(rows).all()
    assert ((rows[:, 5] >= 0) & (rows[:, 5] <= 1)).all()
    assert len(json.loads(path.read_text())["annotations"]) == 70


def test_what_compiling_costs_is_measured_on_two_sizes_of_images_and_never_asked_of_a_swin():
    class SwinTransformer(torch.nn.Identity):
        pass

    class Teacher(torch.nn.Module):
        def __init__(self, backbone):
            super().__init__()
            self.backbone, self.weight, self.seen = backbone, torch.nn.Parameter(torch.ones(1)), []

        def extract_feat(self, inputs):
            self.seen.append(tuple(inputs.shape))
            return (inputs,)

    plain, swin = Teacher(torch.nn.Identity()), Teacher(SwinTransformer())
    first, second = first_forwards(plain, torch.zeros(2, 3, 256, 320))
    assert plain.seen == [(2, 3, 256, 320), (2, 3, 128, 320)]
    assert min(first, second) > 0
    assert (may_compile(plain), may_compile(swin)) == (True, False)
    assert "compile=true" not in candidates(False, may_compile(swin))


def test_suggestions_are_of_the_trained_teacher_where_there_is_one(request_, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)  # compiling takes half a minute
    request = request_(repeat=1)
    recipe = with_pictures(parse(Recipe, request["recipe"], ""), tmp_path / "pictures", 64, 64, 4)
    init_default_scope("mmdet")
    teacher = MODELS.build(detector(recipe, recipe.teacher))
    for weight in teacher.parameters():
        torch.nn.init.constant_(weight, 0)
    torch.nn.init.constant_(teacher.neck.fpn_convs[0].conv.bias, 1 + 2**-12)  # which bfloat16 rounds to 1
    paths = RunPaths(tmp_path / "teacher")
    paths.root.mkdir()
    export_student(teacher, paths.teacher, {"dataset_meta": {"classes": recipe.data.classes}})
    notes, errors = {}, {}
    for name, run in (("trained", paths.root), ("random", None)):
        section = worker.sections({**request, "teacher": run and str(run)}, tmp_path / name)["suggest"]().as_dict()
        settings = [timing["name"] for timing in section["timings"]]
        assert settings[:4] == ["plain", "fold=true", "channels_last=false", "precision=bfloat16"]
        assert [number["name"].partition(": ")[0] for number in section["numbers"]] == settings[1:]
        assert len(section["notes"]) >= 2
        notes[name] = section["notes"][-1]
        errors[name] = {n["name"].partition(":")[0]: n["value"] for n in section["numbers"]}
    assert notes == {"trained": "The teacher is trained.", "random": UNTRAINED}
    assert errors["trained"]["channels_last=false"] == 0
    assert errors["trained"]["precision=bfloat16"] == pytest.approx(2**-12 / (1 + 2**-12))
    assert errors["random"]["precision=bfloat16"] > 1e-3


def test_candidates_are_typed_as_they_are_set(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert candidates(channels_last=False) == {
        "fold=true": {},
        "channels_last=true": {"channels_last": True},
        "precision=bfloat16": {"precision": "bfloat16"},
        "precision=bfloat16, channels_last=true": {"precision": "bfloat16", "channels_last": True},
    }


def test_the_peer_flow_is_mmrazor_s_own(request_, tmp_path):
    config = razor_config(parse(Recipe, request_()["recipe"], ""), "/t.pth", str(tmp_path))
    assert config["model"]["type"] == "mmrazor.FpnTeacherDistill"
    assert config["model"]["teacher_ckpt"] == "/t.pth"
    assert {loss["type"] for loss in config["model"]["distiller"]["distill_losses"].values()} == {"mmrazor.PKDLoss"}
    assert config["val_cfg"]["type"] == "mmrazor.SingleTeacherDistillValLoop"
    assert (config["train_cfg"]["type"], config["train_cfg"]["val_interval"]) == ("EpochBasedTrainLoop", 1)
    assert config["val_evaluator"]["type"] == "CocoMetric"
    del config["custom_imports"]  # makes our types known; the three below are all that is ours
    assert "Pkd" not in json.dumps({key: value for key, value in config.items() if key != "model"}, default=str)


def run(request, folder):
    write_json(folder / "request.json", request)
    command = [sys.executable, "-m", "pkdcli.engine.bench.worker", str(folder / "request.json")]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


def test_the_process_says_what_it_does_in_json_lines_and_nothing_else(request_, tmp_path):
    answer = run(request_(only=["losses", "eval"]), tmp_path)
    assert answer.returncode == 0, answer.stderr
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [next(iter(line)) for line in lines] == ["machine", "doing", "section", "doing", "section"]
    assert list(lines[0]["machine"]) == ["cpu", "cores", "threads", "gpu", "load", "torch", "python", "system"]
    assert lines[0]["machine"]["threads"] == 1
    assert [lines[1]["doing"], lines[4]["section"]["name"]] == ["losses", "eval"]


def test_what_goes_wrong_is_said_in_a_line(request_, tmp_path):
    request = request_(only=["losses"], shapes=[[2, 8, 4]])
    answer = run(request, tmp_path)
    assert answer.returncode == 1
    error = json.loads(answer.stdout.splitlines()[-1])["error"]
    assert (list(error), error["code"]) == (["message", "hint", "code"], 1)
    assert error["message"].startswith("ValueError: ")


def test_runs_with_and_without_detections_kept_differ_in_that_alone(request_, tmp_path, monkeypatch):
    trained = []

    def train(recipe, teacher, paths, folder):
        trained.append(recipe)
        found = np.zeros((3, 4), np.float32)
        if recipe.keep_predictions:
            write_detections(paths.predictions, Detections(np.arange(3), np.ones(3, int), found, np.ones(3, np.float32),
                                                           np.zeros(3, int), ("a",), "mine", "val"))  # fmt: skip
            lines = [{"kind": "val", "epoch": 1}, {"kind": "train"}, {"kind": "val", "epoch": 2}]
            paths.root.mkdir(parents=True, exist_ok=True)
            paths.metrics.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    def slowly(how, seconds):
        def call(*words):
            time.sleep(seconds)
            return how(*words)

        return call

    monkeypatch.setattr(keeping, "train", train)
    monkeypatch.setattr(keeping, "kept", slowly(keeping.kept, 0.02))
    monkeypatch.setattr(keeping, "write", slowly(keeping.write, 0.03))
    section = worker.sections(request_(repeat=2, epochs=3), tmp_path)["predictions"]().as_dict()
    assert [one.keep_predictions for one in trained] == [True, False, True, False]
    assert len({one.model_copy(update={"keep_predictions": True}).model_dump_json() for one in trained}) == 1
    assert trained[0].schedule.epochs == 3
    assert [timing["name"] for timing in section["timings"]] == ["kept", "not kept"]
    share, size = section["numbers"]
    assert (share["at_most"], size["unit"]) == (0.02, "MB")
    # All that is done besides: collecting at each of two evaluations, and writing once.
    whole = next(timing["median"] for timing in section["timings"] if timing["name"] == "not kept")
    assert share["value"] * whole >= 2 * 0.02 + 0.03
    assert read_detections(tmp_path / "predictions" / "again.npz").counts.tolist() == [1, 1, 1]
    assert "Collected at each of 2 evaluations" in section["notes"][-1]
