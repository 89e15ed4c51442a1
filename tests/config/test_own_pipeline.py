"""A bare checkpoint is evaluated on images as its detector's own config tests them; another size is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkdcli.api.evaluate import said_of_size
from pkdcli.config.data import own_test_pipeline, own_test_size, val_pipeline
from pkdcli.engine.train import checks
from pkdcli.recipe import library
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Detector

CONFIG = """
model = dict(type="RetinaNet", backbone=dict(type="ResNet"))
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1))
train_cfg = dict(max_epochs=1)
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


@pytest.mark.parametrize("name", library.names("detectors"))
def test_every_shipped_detector_is_tested_as_scale_paper_tests(name):
    which = library.load("detectors", name)
    found = resolve(Request(loss="none", scale="paper"))
    assert own_test_pipeline(which) == val_pipeline(found)
    assert said_of_size(found.model_copy(update={"student": which}), None) == []
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
