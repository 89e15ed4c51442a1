"""Looking at levels: asked of a process once, read from the cache afterwards, never for what keys tell."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pkdcli.config.build import model, with_adapters
from pkdcli.config.levels import Level, Named, Outputs, outputs
from pkdcli.config.levels.keys import outputs_of
from pkdcli.config.levels.look import look, looker
from pkdcli.launch import request as asking
from pkdcli.recipe import library
from pkdcli.recipe.detectors.read import load_config
from pkdcli.recipe.references import Import
from pkdcli.recipe.resolve import Request, resolve

PROBE = {"type": "Probe", "backbone": {"type": "ProbeNet", "out_indices": (1, 2)}, "neck": None, "bbox_head": {"a": 1}}
ANSWER = {"module": "backbone", "single": True, "levels": [[8, 32], [None, 64]]}


@pytest.fixture
def asked(monkeypatch, tmp_path):
    monkeypatch.setenv("PKD_CACHE", str(tmp_path))
    found = []

    def ask(module, request, what):
        found.append((module, request, what))
        return {"found": [ANSWER] * len(request["models"])}

    monkeypatch.setattr(asking, "ask", ask)
    return found


def test_a_process_looks_once(asked, tmp_path):
    expected = Outputs([Level(8, 32), Level(None, 64)], "backbone", single=True)
    assert look([(PROBE, "teacher")]) == look([({**PROBE, "bbox_head": {"a": 2}}, "student")]) == [expected]
    model = "{'backbone': {'out_indices': (1, 2), 'type': 'ProbeNet'}, 'neck': None, 'type': 'Probe'}"
    request = {"models": [{"model": model, "who": "teacher"}], "imports": []}
    assert asked == [("pkdcli.engine.analysis.levels", request, "looking at the levels of the teacher")]
    (kept,) = (tmp_path / "levels").iterdir()
    kept.write_text("damaged")
    assert look([(PROBE, "teacher")]) == [expected]
    assert len(asked) == 2


def test_one_process_looks_at_both_detectors(asked):
    other = {**PROBE, "neck": {"type": "ProbeNeck"}}
    look([(PROBE, "student"), (other, "teacher")])
    look([(other, "student"), (PROBE, "teacher")])
    third = {**PROBE, "type": "Third"}
    look([(other, "student"), (third, "teacher")])
    assert [what for _, _, what in asked] == [
        "looking at the levels of the student and the teacher",
        "looking at the levels of the teacher",
    ]


def test_what_is_built_otherwise_is_looked_at_anew(asked):
    look([(PROBE, "student")])
    look([({**PROBE, "backbone": {"type": "ProbeNet", "out_indices": (0, 1)}}, "student")])
    look([(PROBE, "student")], [Import(module="nets", sha256="1")])
    look([(PROBE, "student")], [Import(module="nets", sha256="2")])
    assert [request["imports"] for _, request, _ in asked] == [
        [], [], *([{"module": "nets", "folder": None, "sha256": number}] for number in "12")
    ]  # fmt: skip


def test_a_tap_is_asked_for_and_kept_by_itself(asked):
    look([(PROBE, "student"), Named(PROBE, "teacher", "backbone.last")])
    look([Named(PROBE, "teacher", "backbone.last")])
    look([Named(PROBE, "teacher", "backbone.first")])
    taps = [[one.get("tap") for one in request["models"]] for _, request, _ in asked]
    assert taps == [[None, "backbone.last"], ["backbone.first"]]


def test_keys_tell_nothing_of_a_tap(asked):
    section = load_config("gfl/gfl_r50_fpn_1x_coco.py")["model"]
    assert outputs_of([Named(section, "student", "backbone")], looker())[0].module == "backbone"
    assert len(asked) == 1
    assert outputs_of([Named(section, "student")], looker())[0].module == "neck"
    assert len(asked) == 1


def test_a_real_process_looks_at_the_module_of_a_tap(tmp_path, monkeypatch):
    monkeypatch.setenv("PKD_CACHE", str(tmp_path))
    made = resolve(Request(scale="tiny", tap=("student=neck.fpn_convs.1", "teacher=backbone"), levels="stride"))
    made = made.model_copy(update={"data": made.data.model_copy(update={"classes": ["a"]})})
    assert with_adapters(made).adapters == {0: (64, 128)}
    distiller = model(made)["distiller"]
    assert distiller["student_recorders"]["fpn"] == {"type": "mmrazor.PkdSingleOutput", "source": "neck.fpn_convs.1"}
    assert distiller["teacher_recorders"]["fpn"] == {"type": "mmrazor.ModuleOutputs", "source": "backbone"}
    (mapping,) = distiller["loss_forward_mappings"].values()
    assert (mapping["preds_S"]["data_idx"], mapping["preds_T"]["data_idx"]) == (0, 2)  # of stride 16 both


def test_a_cache_that_can_not_be_written_costs_no_more_than_time(asked, tmp_path):
    (tmp_path / "levels").write_text("a file where the folder would be")
    assert look([(PROBE, "student")]) == look([(PROBE, "student")])
    assert len(asked) == 2


LOOKED_AT = ("gfl101-rtmdet-tiny", "rtmdet-l-rtmdet-tiny", "rtmdet-l-yolox-tiny", "yolox-l-yolox-tiny")
"""The shipped pairs with a detector whose config does not say how many levels it has."""


@pytest.mark.parametrize("pair", sorted({*library.names("pairs")} - {*LOOKED_AT}))
@pytest.mark.parametrize("scale", ["tiny", "paper"])
def test_keys_tell_the_levels_of_every_shipped_pair(pair, scale, asked):
    made = resolve(Request(pair=pair, scale=scale))
    made = made.model_copy(update={"data": made.data.model_copy(update={"classes": ["a"]})})
    assert with_adapters(made).loss.levels == "index"
    assert asked == []


@pytest.mark.parametrize("pair", LOOKED_AT)
def test_the_others_are_looked_at_once(pair, asked):
    made = resolve(Request(pair=pair, scale="tiny"))
    made = made.model_copy(update={"data": made.data.model_copy(update={"classes": ["a"]})})
    with_adapters(made)
    with_adapters(made)
    assert [what for *_, what in asked] == [
        "looking at the levels of the student" + ("" if made.teacher.name == "gfl101" else " and the teacher")
    ]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("detr/detr_r50_8xb2-150e_coco.py", True),
        ("libra_rcnn/libra-retinanet_r50_fpn_1x_coco.py", True),
        ("dyhead/atss_r50_fpn_dyhead_1x_coco.py", False),  # other channels than the FPN's before it, at scale tiny
        ("yolo/yolov3_d53_8xb8-320-273e_coco.py", False),
        ("efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco.py", False),  # levels, but no strides
        ("hrnet/faster-rcnn_hrnetv2p-w18-1x_coco.py", False),
    ],
)
def test_only_what_keys_do_not_tell_is_looked_at(config, told, asked):
    assert outputs(load_config(config)["model"], "student", looker()).single is not told
    assert len(asked) == (0 if told else 1)


def test_the_process_that_looks_imports_no_distillation():
    script = "import sys, pkdcli.engine.analysis.levels\nprint('mmdet' in sys.modules, 'mmrazor' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]  # seconds of every first dry run


def test_a_real_process_finds_the_levels_of_a_detector_without_keys(tmp_path, monkeypatch):
    monkeypatch.setenv("PKD_CACHE", str(tmp_path))
    model = load_config("yolox/yolox_tiny_8xb8-300e_coco.py")["model"]
    expected = [Outputs([Level(8, 96), Level(16, 96), Level(32, 96)])]
    assert look([(model, "student")]) == expected
    monkeypatch.setattr(sys, "executable", "/no/python")
    assert look([(model, "teacher")]) == expected
