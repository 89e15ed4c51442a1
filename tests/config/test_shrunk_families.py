"""Families whose heads are as wide as their necks or backbones, at scale tiny: each part fits the one before it."""

from __future__ import annotations

import pytest

from pkdcli.config.detector import detector_model
from pkdcli.recipe import library
from pkdcli.recipe.detectors.given import detector_of
from pkdcli.recipe.detectors.shrinking import with_family_rules

TINY = library.load("scales", "tiny")


def shrunk(config: str) -> dict:
    return detector_model(with_family_rules(detector_of(config, "probe"), TINY), TINY, 3, pretrained=False)


def test_a_rule_for_a_head_yields_to_a_neck_that_no_rule_shrinks():
    carafe = shrunk("carafe/faster-rcnn_r50_fpn-carafe_1x_coco.py")
    assert carafe["neck"]["out_channels"] == carafe["rpn_head"]["in_channels"] == 256
    roi_head = carafe["roi_head"]
    assert roi_head["bbox_roi_extractor"]["out_channels"] == roi_head["bbox_head"]["in_channels"] == 256
    dyhead = shrunk("dyhead/atss_r50_fpn_dyhead_1x_coco.py")
    assert [neck["out_channels"] for neck in dyhead["neck"]] == [64, 256]
    assert (dyhead["neck"][1]["in_channels"], dyhead["bbox_head"]["in_channels"]) == (64, 256)


def test_a_neck_that_puts_out_what_comes_in_is_followed():
    libra = shrunk("libra_rcnn/libra-retinanet_r50_fpn_1x_coco.py")
    assert [neck.get("out_channels", neck.get("in_channels")) for neck in libra["neck"]] == [64, 64]
    assert libra["bbox_head"]["in_channels"] == 64


def test_proposals_features_are_as_wide_as_the_neck():
    model = shrunk("sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py")
    assert model["rpn_head"]["proposal_feature_channel"] == model["roi_head"]["proposal_feature_channel"] == 64
    head = model["roi_head"]["bbox_head"][0]
    dynamic = head["dynamic_conv_cfg"]
    assert (head["in_channels"], dynamic["in_channels"], dynamic["out_channels"]) == (64, 64, 64)


def test_parts_without_a_type_are_followed():
    model = shrunk("condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py")
    assert model["mask_head"]["mask_feature_head"]["in_channels"] == model["bbox_head"]["in_channels"] == 64


@pytest.mark.parametrize(
    "config", ["faster_rcnn/faster-rcnn_r50-caffe-c4_ms-1x_coco.py", "tridentnet/tridentnet_r50-caffe_1x_coco.py"]
)
def test_without_a_neck_backbone_and_heads_keep_their_width(config):
    model = shrunk(config)
    assert model["backbone"]["depth"] == 50
    assert model["rpn_head"]["in_channels"] == model["roi_head"]["bbox_roi_extractor"]["out_channels"] == 1024


def test_a_neck_that_begins_with_the_coarsest_stage_gets_its_channels_first():
    neck = shrunk("yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py")["neck"]
    assert list(neck["in_channels"]) == [80, 24, 8]
    assert list(shrunk("yolox/yolox_tiny_8xb8-300e_coco.py")["neck"]["in_channels"]) == sorted(
        shrunk("yolox/yolox_tiny_8xb8-300e_coco.py")["neck"]["in_channels"]
    )


@pytest.mark.parametrize(
    "config", ["dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py", "gcnet/mask-rcnn_r50-gcb-r4-c3-c5_fpn_1x_coco.py"]
)
def test_what_is_built_into_bottlenecks_keeps_them(config):
    model = shrunk(config)
    assert (model["backbone"]["depth"], model["backbone"]["base_channels"]) == (50, 16)
    assert model["neck"]["in_channels"] == [64, 128, 256, 512]


def test_a_head_is_as_wide_as_its_neck_in_all_that_it_hands_on():
    sabl = shrunk("sabl/sabl-faster-rcnn_r50_fpn_1x_coco.py")["roi_head"]["bbox_head"]
    assert [sabl[f"{key}_channels"] for key in ("cls_in", "reg_in", "reg_offset_out", "reg_cls_out")] == [64] * 4
    assert sabl["cls_out_channels"] == 1024
    extractor = shrunk("groie/faste-rcnn_r50_fpn_groie_1x_coco.py")["roi_head"]["bbox_roi_extractor"]
    assert (extractor["pre_cfg"]["in_channels"], extractor["pre_cfg"]["out_channels"]) == (64, 64)
    assert (extractor["out_channels"], extractor["post_cfg"]["in_channels"]) == (64, 64)
