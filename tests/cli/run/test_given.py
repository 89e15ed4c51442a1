"""A teacher and a student on the command line, without a recipe of their pair, and what `pkd show` finds out."""

from __future__ import annotations

import json

import pytest

import pkdcli
from pkdcli.launch import request as asking
from pkdcli.recipe.resolve import Request, resolve

RETINA = "retinanet_r50_fpn_1x_coco"
RTMDET = "rtmdet_tiny_8xb32-300e_coco"


def plan(type_, *words):
    answer = type_("train", "--scale", "tiny", *words, "--dry-run", "--json")
    assert answer.code == 0, answer.err
    return [json.loads(line)["run"] for line in answer.out.splitlines()]


@pytest.fixture
def looked(monkeypatch):
    """Levels that a process would find: three, of strides 8, 16, 32."""
    found = {"module": "neck", "single": False, "levels": [[8, 96], [16, 96], [32, 96]]}
    monkeypatch.setattr(asking, "ask", lambda module, request, what: {"found": [found] * len(request["models"])})


def test_a_pair_without_a_recipe_has_a_readable_name(type_):
    teacher, student = plan(type_, "--teacher", "gfl101", "--student", RETINA)
    assert teacher == "gfl101__teacher__own__shapes-tiny__s0-9b8ce94d"
    assert student.startswith(f"gfl101-{RETINA}__pkd-w10__1x__shapes-tiny__s0-")


def test_from_python_it_is_the_same_run(type_, here):
    words = ("--teacher", "gfl50", "--student", RETINA, "--distill-until", "0.5", "--loss", "mse", "--training", "own")
    planned = pkdcli.train(
        teacher="gfl50", student=RETINA, scale="tiny", loss="mse", distill_until=0.5, training="own", dry_run=True
    )
    assert (planned.planned[-1].recipe.training, planned.planned[-1].recipe.distill_until) == ("own", 0.5)
    assert plan(type_, *words) == [one.run for one in planned.planned]


def test_a_sweep_over_teachers_and_students(type_):
    words = ("--teachers", "gfl101,gfl50", "--students", f"fcos50,{RETINA}", "--loss", "pkd")
    answer = type_("sweep", "--scale", "tiny", *words, "--dry-run", "--json")
    assert answer.code == 0, answer.err
    runs = [json.loads(line) for line in answer.out.splitlines()]
    assert [(one["recipe"]["role"], one["run"].partition("__")[0]) for one in runs if "run" in one] == [
        ("baseline", "fcos50"),
        ("teacher", "gfl101"),
        ("distill", "gfl101-fcos50"),
        ("baseline", RETINA),
        ("distill", f"gfl101-{RETINA}"),
        ("teacher", "gfl50"),
        ("distill", "gfl50-fcos50"),
        ("distill", f"gfl50-{RETINA}"),
    ]


def test_a_dry_run_says_how_a_student_is_trained_and_which_strides_meet(type_, looked):
    said = type_("train", "--teacher", "faster101", "--student", RTMDET, "--scale", "tiny", "--dry-run")
    assert said.code == 0
    epochs = resolve(Request(student=RTMDET, scale="tiny")).schedule.epochs
    assert said.err == (
        f"note: {RTMDET} is trained by its own config: AdamW with LinearLR and CosineAnnealingLR; averaged weights "
        f"(EMA); CachedMosaic, YOLOXHSVRandomAug, CachedMixUp; PipelineSwitchHook; {epochs} epochs for its 300.\n"
        "note: the student's levels of strides 8, 16, 32 meet the teacher's of strides 4, 8, 16, by index as in "
        "mmrazor's configs; --levels stride compares equal strides.\n"
    )
    assert type_("train", "--pair", "maskswin-retina50", "--scale", "tiny", "--dry-run").err == ""  # as in the paper
    words = ("--teacher", "faster101", "--student", RTMDET, "--levels", "stride", "--scale", "tiny")
    assert "strides" not in type_("train", *words, "--dry-run").err


def test_show_tells_what_was_found_of_a_config(type_, looked):
    said = type_("show", RTMDET)
    assert (said.code, said.err) == (0, "")
    assert said.out == f"""\
# rtmdet/{RTMDET}.py
name: {RTMDET}
title: {RTMDET}
kind: one-stage
config: rtmdet/{RTMDET}.py
lr: 0.01
mask: false
# kind: one-stage: the loss weight alpha is 10 where it teaches
# levels: 3 of its neck: strides 8, 16, 32; 96 channels
# training: own, by its config: AdamW with LinearLR and CosineAnnealingLR; averaged weights (EMA); CachedMosaic, \
YOLOXHSVRandomAug, CachedMixUp; PipelineSwitchHook; 300 epochs
# mmdet's zoo: box AP 40.9 on COCO, https://download.openmmlab.com/mmdetection/v3.0/rtmdet/{RTMDET}/{RTMDET}\
_20220902_112414-78e30dcc.pth
"""


def test_show_of_a_shipped_detector_and_of_files_of_ones_own(type_, here):
    said = type_("show", "faster50").out.splitlines()
    assert said[-4:-1] == [
        "# kind: two-stage: the loss weight alpha is 6 where it teaches",
        "# levels: 5 of its neck: strides 4, 8, 16, 32, 64; 256 channels",
        "# training: paper, by appendix A.2: SGD at 0.02 for 16 images, with steps (its config: SGD with LinearLR and "
        "MultiStepLR)",
    ]
    (here / "mine.py").write_text(f'_base_ = ["mmdet::retinanet/{RETINA}.py"]\n')
    said = type_("show", "mine.py").out.splitlines()
    assert said[:3] == [f"# {here}/mine.py", "name: mine", "title: mine"]
    assert said[-3:] == [
        "# levels: 5 of its neck: strides 8, 16, 32, 64, 128; 256 channels",
        "# training: paper, by appendix A.2: SGD at 0.01 for 16 images, with steps (its config: SGD with LinearLR and "
        "MultiStepLR)",
        "# mmdet's zoo: none: a config of your own",
    ]
    text = "name: mine\ntitle: Mine\nkind: one-stage\nconfig: mine.py\n"
    (here / "mine.yaml").write_text(text)
    shown = type_("show", "mine.yaml").out
    assert shown.startswith(f"# mine.yaml\n{text}# kind: one-stage: the loss weight alpha is 10 where it teaches\n")


@pytest.mark.parametrize("words", [
    ("train", "--teacher", "mine.py", "--student", "mine.py", "--scale", "tiny", "--dry-run"),
    ("sweep", "--teachers", "gfl50,mine.py", "--students", "mine.py", "--seeds", "0,1", "--scale", "tiny", "--dry-run"),
    ("show", "mine.py"),
])  # fmt: skip
def test_a_command_runs_a_config_of_ones_own_once(type_, here, words):
    (here / "mine.py").write_text(
        f'_base_ = ["mmdet::retinanet/{RETINA}.py"]\nopen({str(here / "runs.txt")!r}, "a").write("run\\n")\n'
    )
    answer = type_(*words)
    assert answer.code == 0, answer.err
    assert (here / "runs.txt").read_text() == "run\n"


def test_show_of_a_name_that_is_nearly_a_configs(type_):
    said = type_("show", "yolox_tiny_8xb8")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: unknown recipe or run 'yolox_tiny_8xb8'.\n")
    assert "yolox" in said.err


def test_the_shell_completes_names_of_configs(here, monkeypatch, type_):
    monkeypatch.setenv("_PKD_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "pkd train --student rtmdet_tiny")
    monkeypatch.setenv("COMP_CWORD", "3")
    assert type_().out.split() == [RTMDET]
    monkeypatch.setenv("COMP_WORDS", f"pkd sweep --teachers gfl101,{RTMDET[:-4]}")
    assert type_().out.split() == [f"gfl101,{RTMDET}"]
