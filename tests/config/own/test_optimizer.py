"""A config's own optimizer, and for how many images its learning rate is meant."""

from __future__ import annotations

import pytest

from pkdcli.config import schedule
from pkdcli.config.build import model
from pkdcli.recipe.configs import configs_root
from pkdcli.recipe.detectors.read import load_config
from pkdcli.recipe.detectors.training import base_images, own_by_default, own_length, own_rate
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Detector, Scale

SCALE = Scale(name="x", data="shapes", image=(320, 320), batch=8)


def own(config: str, **changes):
    recipe = resolve(Request(scale="tiny", loss="none"))
    student = Detector(name="one", title="One", kind="one-stage", config=config, lr=0.01)
    return recipe.model_copy(update={"student": student, "training": "own", **changes})


@pytest.mark.parametrize(
    ("config", "images"),
    [
        ("rtmdet/rtmdet_tiny_8xb32-300e_coco.py", 256),  # it inherits 16
        ("rtmdet/rtmdet_x_p6_4xb8-300e_coco.py", 32),
        ("yolox/yolox_tiny_8xb8-300e_coco.py", 64),
        ("ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco.py", 192),
        ("fcos/fcos_r50-caffe_fpn_gn-head_4xb4-1x_coco.py", 16),
        ("gfl/gfl_r50_fpn_1x_coco.py", 16),
        ("retinanet/retinanet_r18_fpn_1xb8-1x_coco.py", 16),
        ("deformable_detr/deformable-detr_r50_16xb2-50e_coco.py", 32),
        ("cityscapes/faster-rcnn_r50_fpn_1x_cityscapes.py", 16),
    ],
)
def test_for_how_many_images_a_rate_is_meant(config, images):
    assert (configs_root() / config).is_file()
    assert base_images(load_config(config), config) == images


def test_a_config_of_ones_own_has_no_name_to_go_by():
    """One whose process has more images than its inherited step can't mean those."""
    config = load_config("rtmdet/rtmdet_tiny_8xb32-300e_coco.py")
    assert base_images(config, "/home/me/mine.py") == 256
    config["optim_wrapper"]["accumulative_counts"] = 2
    assert base_images(config, "/home/me/mine.py") == 512
    assert own_rate(config, SCALE, "/home/me/mine.py") == pytest.approx(0.004 * 16 / 512)


@pytest.mark.parametrize(
    ("config", "epochs", "student", "teacher"),
    [
        ("gfl/gfl_r101_fpn_ms-2x_coco.py", 24, False, False),
        ("faster_rcnn/faster-rcnn_r50_fpn_amp-1x_coco.py", 12, False, False),
        ("mask_rcnn/mask-rcnn_r50_fpn_ms-poly-3x_coco.py", 36, False, False),  # 12 that see the data three times
        ("boxinst/boxinst_r50_fpn_ms-90k_coco.py", 12, False, True),  # steps, which a teacher's milestones are not in
        ("swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py", 12, True, False),
        ("atss/atss_r50_fpn_8xb8-amp-lsj-200e_coco.py", 200, True, True),
        ("yolox/yolox_s_8xb8-300e_coco.py", 300, True, True),
        ("rtmdet/rtmdet_l_8xb32-300e_coco.py", 300, True, True),
        ("ssd/ssd300_coco.py", 120, True, True),
        ("mask2former/mask2former_r50_8xb2-lsj-50e_coco.py", 50, True, True),
    ],
)
def test_what_is_trained_its_own_way(config, epochs, student, teacher):
    content = load_config(config)
    assert own_length(content) == epochs
    assert own_by_default(content) is student
    assert own_by_default(content, teacher=True) is teacher


def test_rtmdet():
    wrapper = schedule.optim_wrapper(own("rtmdet/rtmdet_tiny_8xb32-300e_coco.py", batch=8, accumulate=2))
    assert wrapper == {
        "type": "PkdOptimWrapper",
        "accumulative_counts": 2,
        "optimizer": {"type": "AdamW", "lr": pytest.approx(0.01), "weight_decay": 0.05},
        "paramwise_cfg": {"norm_decay_mult": 0, "bias_decay_mult": 0, "bypass_duplicate": True},
        "clip_grad": {"max_norm": 35.0, "norm_type": 2},  # the scale's, since it has none
    }


def test_what_a_config_clips_is_what_is_clipped():
    wrapper = schedule.optim_wrapper(own("deformable_detr/deformable-detr_r50_16xb2-50e_coco.py"))
    assert wrapper["clip_grad"] == {"max_norm": 0.1, "norm_type": 2}
    assert wrapper["paramwise_cfg"]["custom_keys"]["backbone"] == {"lr_mult": 0.1}


def test_mixed_precision_only_where_it_is_asked_for():
    config = "atss/atss_r50_fpn_8xb8-amp-lsj-200e_coco.py"
    assert schedule.optim_wrapper(own(config))["type"] == "PkdOptimWrapper"
    amp = schedule.optim_wrapper(own(config, amp=True))
    assert amp["type"] == "PkdAmpOptimWrapper"
    assert "loss_scale" not in amp


def test_a_constructor_is_shown_the_detector():
    wrapper = schedule.optim_wrapper(own("convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.py"))
    assert wrapper["constructor"] == "PkdOptimWrapperConstructor"
    assert wrapper["paramwise_cfg"] == {
        "decay_rate": 0.95,
        "decay_type": "layer_wise",
        "num_layers": 6,
        "constructor": "LearningRateDecayOptimizerConstructor",
    }


@pytest.mark.parametrize(("epochs", "first", "sets"), [(12, 4, {}), (3, 1, {}), (1, 0, {}), (24, 4, {}),
                                                       (3, 4, {"train_cfg.initial_epoch": 4})])  # fmt: skip
def test_toods_first_epochs_shrink_with_its_training(epochs, first, sets):
    recipe = own("tood/tood_r50_fpn_1x_coco.py", training="paper")
    recipe = recipe.model_copy(
        update={
            "student": recipe.student.model_copy(update={"set": sets}),
            "schedule": recipe.schedule.model_copy(update={"epochs": epochs}),
            "data": recipe.data.model_copy(update={"classes": ["a"]}),
        }
    )
    assert model(recipe)["train_cfg"]["initial_epoch"] == first
