"""What is known of families of detectors, and what plug-ins add to it."""

from __future__ import annotations

import pytest
from asking import refused

from pkdcli.config import families
from pkdcli.config.distill import check_heads
from pkdcli.config.families import (
    Family,
    Package,
    check_data,
    check_packages,
    drop_extra,
    drop_masks,
    family_of,
    heads_of,
    needs_of,
    parts_of,
    types_of,
)
from pkdcli.config.levels import backbone_strides, neck_levels
from pkdcli.config.used_plugins import used_plugins
from pkdcli.errors import ExitCode, PkdError
from pkdcli.plugins import GROUPS
from pkdcli.recipe.detectors.given import detector_of
from pkdcli.recipe.detectors.read import load_config
from pkdcli.recipe.resolve import Request, resolve

MODULE = """
from pkdcli.config.families import Family
det = Family(heads=("query_head", "roi_head.box"), without_masks="ProbeBoxes", mask_parts=("query_head.masks",))
net = Family(strides=(2, 4, 8, 16), compiled_by_size=True)
none = {"heads": ["query_head"]}
"""


@pytest.fixture
def probe(install):
    def probe(**entries: str) -> None:
        values = {name: f"probe_families:{value}" for name, value in entries.items()}
        install({GROUPS["families"]: values}, {"probe_families.py": MODULE})

    return probe


def test_what_pkd_knows():
    assert family_of("ResNet") == family_of(None) == Family()
    assert family_of("mmdet.MaskRCNN").without_masks == "FasterRCNN"
    assert heads_of(["GFL", "ResNet"]) == ("bbox_head", "rpn_head", "roi_head.bbox_head")
    assert types_of({"type": "GFL", "backbone": {"type": "mmdet.ResNet"}}) == ["GFL", "mmdet.ResNet"]
    assert types_of({"type": "GFL"}) == ["GFL"]


@pytest.mark.parametrize(
    ("kind", "becomes"), [("MaskRCNN", "FasterRCNN"), ("mmdet.MaskRCNN", "FasterRCNN"), ("CascadeRCNN", "CascadeRCNN")]
)
def test_a_mask_head_goes_with_what_feeds_it(kind, becomes):
    model = {"type": kind, "roi_head": {"bbox_head": 1, "mask_head": 2, "mask_roi_extractor": 3}}
    drop_masks(model)
    assert model == {"type": becomes, "roi_head": {"bbox_head": 1}}


def section(config: str) -> dict:
    return load_config(config)["model"]


@pytest.mark.parametrize(
    ("config", "kinds"),
    [
        ("ms_rcnn/ms-rcnn_r50_fpn_1x_coco.py", ("FasterRCNN", "StandardRoIHead")),
        ("point_rend/point-rend_r50-caffe_fpn_ms-1x_coco.py", ("FasterRCNN", "StandardRoIHead")),
        ("htc/htc_r50_fpn_1x_coco.py", ("CascadeRCNN", "CascadeRoIHead")),
        ("cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py", ("CascadeRCNN", "CascadeRoIHead")),
        ("queryinst/queryinst_r50_fpn_1x_coco.py", ("QueryInst", "SparseRoIHead")),
    ],
)
def test_a_detector_without_its_masks_is_the_one_of_boxes_inside_it(config, kinds):
    assert detector_of(config, "here").mask
    model = section(config)
    drop_extra(model)
    drop_masks(model)
    assert (model["type"], model["roi_head"]["type"]) == kinds
    assert not [key for key in model["roi_head"] if "mask" in key or "point" in key or "semantic" in key]
    check_data(model, "detector probe", 3, masks=False)


@pytest.mark.parametrize("config", ["scnet/scnet_r50_fpn_1x_coco.py", "solo/solo_r50_fpn_1x_coco.py"])
def test_what_finds_boxes_by_masks_stays_whole(config):
    model = section(config)
    drop_masks(model)
    assert model == section(config)


def test_a_cascade_with_semantics_drops_them_with_its_masks():
    model = section("htc/htc_r50_fpn_1x_coco.py")
    drop_masks(model)
    assert not [key for key in model["roi_head"] if "semantic" in key or "mask" in key]


def test_a_mask_head_counts_as_one_wherever_it_is():
    with_masks = ("solo/solo_r50_fpn_1x_coco.py", "rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py",
                  "boxinst/boxinst_r50_fpn_ms-90k_coco.py", "mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py")  # fmt: skip
    assert [detector_of(config, "here").mask for config in with_masks] == [True] * 4
    assert not detector_of("atss/atss_r50_fpn_1x_coco.py", "here").mask
    assert not detector_of("cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py", "here").mask


def test_a_detector_that_distils_by_itself_is_the_student_inside_it():
    ld, lad = section("ld/ld_r18-gflv1-r101_fpn_1x_coco.py"), section("lad/lad_r50-paa-r101_fpn_2xb8_coco_1x.py")
    for model in (ld, lad):
        assert any("teacher" in key for key in model)
        drop_extra(model)
        assert not [key for key in model if "teacher" in key]
    assert (ld["type"], ld["bbox_head"]["type"]) == ("SingleStageDetector", "GFLHead")
    assert "loss_ld" not in ld["bbox_head"]
    assert (lad["type"], lad["bbox_head"]["type"]) == ("PAA", "PAAHead")


def test_what_no_data_set_here_can_train_is_left_out():
    panoptic, scnet = section("panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py"), section("scnet/scnet_r50_fpn_1x_coco.py")
    for model in (panoptic, scnet):
        drop_extra(model)
    assert panoptic["type"] == "MaskRCNN"
    assert not {"semantic_head", "panoptic_fusion_head"} & set(panoptic)
    assert not {"semantic_head", "semantic_roi_extractor"} & set(scnet["roi_head"])


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ("solo/solo_r50_fpn_1x_coco.py", "SOLO"),
        ("solov2/solov2-light_r18_fpn_ms-3x_coco.py", "SOLOv2"),
        ("condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py", "CondInst"),
        ("mask2former/mask2former_r50_8xb2-lsj-50e_coco.py", "Mask2Former"),
        ("rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py", "RTMDetInsSepBNHead"),
    ],
)
def test_a_detector_of_masks_is_refused_where_there_are_none(config, kind):
    model = section(config)
    error = refused(check_data, model, "detector probe", 3, False)
    assert error.message == f"detector probe: its {kind} learns from segmentations, and the data set has none."
    assert error.hint.startswith("Give --data a set whose annotations have segmentations")
    check_data(model, "detector probe", 3, masks=True)


def test_a_detector_of_one_class_is_refused_for_more():
    model = section("crowddet/crowddet-rcnn_r50_fpn_8xb2-30e_crowdhuman.py")
    check_data(model, "detector probe", 1, masks=False)
    error = refused(check_data, model, "detector probe", 3, False)
    assert error.message == ("detector probe: its MultiInstanceBBoxHead tells 1 class apart, and the data set has 3.")


@pytest.mark.parametrize(
    ("config", "kind", "package", "install"),
    [
        ("paa/paa_r50_fpn_1x_coco.py", "PAAHead", "sklearn", "pip install scikit-learn"),
        ("boxinst/boxinst_r50_fpn_ms-90k_coco.py", "BoxInstDataPreprocessor", "skimage", "pip install scikit-image"),
        ("convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.py", "mmpretrain.ConvNeXt", "mmpretrain",
         "pip install mmpretrain==1.2.0"),
    ],
)  # fmt: skip
def test_a_package_that_is_not_there_is_named(monkeypatch, config, kind, package, install):
    real = families.importlib.util.find_spec
    absent = ("sklearn", "skimage", "mmpretrain", "timm")
    monkeypatch.setattr(families.importlib.util, "find_spec", lambda name: None if name in absent else real(name))
    with pytest.raises(PkdError) as caught:
        check_packages(section(config), "detector probe")
    error = caught.value
    assert error.message == f"detector probe: its {kind} needs the package {package}, which is not installed."
    assert error.hint == f"Type: {install}"
    assert error.code == ExitCode.MISSING
    monkeypatch.setattr(families.importlib.util, "find_spec", lambda name: object())
    check_packages(section(config), "detector probe")


def test_a_backbone_of_timm_needs_two_packages():
    assert [one.module for one in needs_of("mmpretrain.TIMMBackbone")] == ["mmpretrain", "timm"]
    assert needs_of("ResNet") == ()
    assert isinstance(needs_of("PAAHead")[0], Package)


def test_what_has_no_place_here_is_refused_with_the_reason():
    error = refused(check_packages, section("fast_rcnn/fast-rcnn_r50_fpn_1x_coco.py"), "detector probe")
    assert error.message == (
        "detector probe: a FastRCNN can't be used here: it takes its region proposals from a file, which no data set "
        "here has."
    )


def test_a_plug_in_adds_what_it_knows_of_a_type(probe):
    probe(ProbeDet="det", ProbeNet="net")
    assert heads_of(["ProbeDet"]) == (*families.HEADS, "query_head", "roi_head.box")
    assert parts_of(["ProbeDet"]) == (*families.PARTS, "query_head")
    model = {"type": "probe.ProbeDet", "query_head": {"type": "Q", "masks": 1}}
    drop_masks(model)
    assert model == {"type": "ProbeBoxes", "query_head": {"type": "Q"}}
    assert backbone_strides({"type": "ProbeNet"}) == [2, 4, 8, 16]
    neck = {"num_outs": 3, "out_channels": 8}
    levels = neck_levels({"backbone": {"type": "ProbeNet", "out_indices": (2, 3)}, "neck": neck}, "student")
    assert [level.stride for level in levels] == [8, 16, 32]
    assert family_of("ProbeNet").compiled_by_size
    error = refused(check_heads, {"type": "ProbeDet", "query_head": {"type": "Q"}}, {"type": "ProbeDet"})
    assert error.message.startswith("init: inherit: the student's query_head is a Q, the teacher has none")


def test_one_that_a_run_uses_is_noted_down(probe):
    probe(RetinaNet="none", ResNet="net")
    (used,) = used_plugins(resolve(Request(scale="tiny", loss="none")))  # of an FCOS
    assert (used.kind, used.name) == ("families", "ResNet")


def test_a_broken_one_is_told_where_its_type_stands_and_nowhere_else(probe):
    probe(ProbeDet="none", MaskRCNN="det")
    source = "of the plug-in pkd-probe 0.1 (entry point ProbeDet = probe_families:none of pkdcli.detector_families)"
    assert refused(family_of, "ProbeDet").message == (
        f"detector family 'ProbeDet' {source}: probe_families:none is no pkdcli.config.families.Family."
    )
    assert refused(family_of, "MaskRCNN").message == (
        "detector family 'MaskRCNN' is not clear: these have that name:\n  pkdcli itself\n"
        "  pkd-probe 0.1 (entry point MaskRCNN = probe_families:det of pkdcli.detector_families)"
    )
    assert family_of("FasterRCNN") == Family()
