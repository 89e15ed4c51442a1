"""A bare checkpoint is evaluated on images as its detector's own config tests them; another size is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkdcli.api.evaluate import said_of_size
from pkdcli.config.data import evaluation_size, own_test_pipeline, own_test_size, val_pipeline
from pkdcli.engine.train import checks
from pkdcli.experiment.derived_recipes import of_checkpoint
from pkdcli.recipe import library
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Detector

CONFIG = """
model = dict(type="RetinaNet", backbone=dict(type="ResNet", depth=50))
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.01))
train_cfg = dict(max_epochs=12)
param_scheduler = []
pipeline = [dict(type="mmcv.LoadImageFromFile", to_float32=True), dict(type="LoadAnnotations", with_mask=True),
            dict(type="Resize", scale=(160, 120), keep_ratio=False), dict(type="Pad", size_divisor=32),
            dict(type="mmdet.PackDetInputs", meta_keys=("flip",))]
val_dataloader = dict(dataset=dict(type="CocoDataset", pipeline=[dict(type="LoadImageFromFile")]))
test_dataloader = dict(dataset=dict(type="RepeatDataset", dataset=dict(type="CocoDataset", pipeline=pipeline)))
"""


@pytest.fixture
def own(tmp_path) -> Detector:
    """A detector with a config of the user's."""
    (tmp_path / "own.py").write_text(CONFIG)
    return Detector(name="own", title="Own", kind="one-stage", config=str(tmp_path / "own.py"))


def recipe(own: Detector, scale: str = "paper", *sets: str, **changes):
    found = resolve(Request(loss="pkd", scale=scale, data="shapes", sets=sets))
    return found.model_copy(update={"student": own, "teacher": own, **changes})


SQUARE = {"rtmdet-l": (640, 640), "rtmdet-tiny": (640, 640), "yolox-l": (640, 640), "yolox-tiny": (416, 416)}


@pytest.mark.parametrize("name", library.names("detectors"))
def test_every_shipped_detector_is_tested_at_scale_paper_as_by_its_own_config(name):
    which = library.load("detectors", name)
    found = resolve(Request(loss="none", scale="paper")).model_copy(update={"student": which})
    if name in SQUARE:  # which are not trained on the images of the others either
        assert evaluation_size(found) == (1333, 800)
        found = found.model_copy(update={"training": "own"})
    assert own_test_pipeline(which) == val_pipeline(found)
    assert evaluation_size(found) == SQUARE.get(name, (1333, 800))
    assert said_of_size(found, None) == []
    assert said_of_size(resolve(Request(loss="none", scale="tiny")), "tiny") == []


def test_the_whole_pipeline_is_taken(own):
    assert own_test_pipeline(own) == [
        {"type": "PkdLoadImage", "to_float32": True, "backend_args": None},
        {"type": "Resize", "scale": (160, 120), "keep_ratio": False},
        {"type": "Pad", "size_divisor": 32},
        {
            "type": "mmdet.PackDetInputs",
            "meta_keys": ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor", "flip"),
        },
    ]
    assert own_test_size(own) == (160, 120)


def test_a_config_without_a_test_pipeline_has_none(own, tmp_path):
    Path(own.config).rename(tmp_path / "plain.py")
    (tmp_path / "plain.py").write_text(CONFIG.partition("pipeline =")[0])
    plain = own.model_copy(update={"config": str(tmp_path / "plain.py")})
    assert (own_test_pipeline(plain), own_test_size(plain)) == (None, None)
    assert said_of_size(recipe(plain), None) == []


def test_a_difference_is_said(own):
    assert said_of_size(recipe(own), None) == [
        "images are 160x120, as own's own config tests; --scale names another size."
    ]
    assert said_of_size(recipe(own), "paper") == [
        "images are 1333x800 (scale paper), where own's own config tests at 160x120: without --scale it is evaluated "
        "so."
    ]


def test_a_given_teacher_that_sees_other_images_is_warned_of_and_the_remedy_works(own):
    given = recipe(own, teacher_checkpoint="x.pth")
    assert checks.size_warnings(given) == [
        "the teacher Own looks at images of 1333x800 (scale paper); its own config tests at 160x120. Give --scale a "
        "recipe of yours with image: [160, 120], or --set 'scale.image=[160, 120]'."
    ]
    assert checks.size_warnings(recipe(own, "paper", "scale.image=[160, 120]", teacher_checkpoint="x.pth")) == []
    assert checks.size_warnings(recipe(own)) == []  # trained here, at this very size
    assert checks.size_warnings(recipe(own, "tiny", teacher_checkpoint="x.pth")) == []


def test_a_given_teacher_beside_a_student_that_is_trained_by_its_own_config(own):
    rtmdet = Detector(name="rtmdet", title="RTMDet", kind="one-stage", config="rtmdet/rtmdet_tiny_8xb32-300e_coco.py")
    given = recipe(own, teacher_checkpoint="x.pth", student=rtmdet, training="own")
    assert checks.size_warnings(given) == [
        "the teacher Own looks at images of 640x640, as the config of RTMDet has them; its own config tests at 160x120."
    ]
    gfl = given.model_copy(update={"teacher": library.load("detectors", "gfl101")})
    assert checks.size_warnings(gfl) == [
        "the teacher GFL-Res101 looks at images of 640x640, as the config of RTMDet has them; its own config tests at "
        "1333x800. Give --training paper to show it those."
    ]


def test_a_bare_checkpoint_is_tested_at_a_scale_as_its_runs_are(tmp_path):
    for scale, size in (("tiny", (160, 160)), ("paper", (640, 640))):
        found, _ = of_checkpoint(tmp_path / "x.pth", "rtmdet-tiny", scale, "shapes")
        assert [step["type"] for step in val_pipeline(found)] == ["PkdLoadImage", "Resize", "Pad", "PackDetInputs"]
        assert found.training == "own"
        assert evaluation_size(found) == size
        assert said_of_size(found, scale) == []
    plain, _ = of_checkpoint(tmp_path / "x.pth", "gfl50", "tiny", "shapes")
    assert plain.training == "paper"
