"""A detector at a scale: rules, classes, pretrained weights, mask heads, keys of one's own."""

from __future__ import annotations

import pytest

from pkdcli.config.detector import detector_model, hand_on, notes, shrink
from pkdcli.config.keys import set_key
from pkdcli.errors import PkdError
from pkdcli.recipe import library
from pkdcli.recipe.detectors.read import modules
from pkdcli.recipe.detectors.shrinking import matches, with_family_rules
from pkdcli.recipe.schema import Rule

PAPER, TINY = library.load("scales", "paper"), library.load("scales", "tiny")


def detector(name, **changes):
    return library.load("detectors", name).model_copy(update=changes)


def pretrained(model):
    """The weights that a model's modules would start from."""
    inits = [module.get("init_cfg") for module in modules(model)]
    return [init for init in inits if isinstance(init, dict) and init.get("type") == "Pretrained"]


def test_scale_paper_is_mmdets_model_but_for_the_classes():
    from pkdcli.recipe.detectors.read import load_config

    which = detector("gfl101")
    theirs = load_config(which.config)["model"]
    assert detector_model(which, PAPER, 80) == theirs
    ours = detector_model(which, PAPER, 3)
    assert ours["bbox_head"].pop("num_classes") == 3
    theirs["bbox_head"].pop("num_classes")
    assert ours == theirs


def test_scale_tiny_keeps_the_families():
    for name in library.names("detectors"):
        which = with_family_rules(detector(name), TINY)
        paper, tiny = (detector_model(which, scale, 5, pretrained=False) for scale in (PAPER, TINY))
        assert tiny["type"] == paper["type"]
        for part in ("backbone", "neck", "bbox_head", "rpn_head", "roi_head"):
            assert (part in tiny) == (part in paper), (name, part)
            if part in tiny and isinstance(tiny[part], dict):
                assert tiny[part]["type"] == paper[part]["type"], (name, part)
        assert not pretrained(tiny)


def test_without_pretrained_weights_none_are_named():
    assert pretrained(detector_model(detector("fcos50"), PAPER, 80))
    assert not pretrained(detector_model(detector("fcos50"), PAPER, 80, pretrained=False))


def test_a_mask_head_goes_where_there_are_no_masks():
    whole = detector_model(detector("maskswin"), PAPER, 80, with_mask=True)
    without = detector_model(detector("maskswin"), PAPER, 80, with_mask=False)
    assert (whole["type"], without["type"]) == ("MaskRCNN", "FasterRCNN")
    assert whole["roi_head"]["mask_head"]["num_classes"] == 80
    assert not {"mask_head", "mask_roi_extractor"} & without["roi_head"].keys()


def test_ones_own_keys_have_the_last_word():
    model = detector_model(
        detector("fcos50", set={"bbox_head.num_classes": 9, "bbox_head.norm_on_bbox": False}), PAPER, 3
    )
    assert (model["bbox_head"]["num_classes"], model["bbox_head"]["norm_on_bbox"]) == (9, False)


def test_a_wrong_key_names_the_nearest():
    with pytest.raises(PkdError) as caught:
        detector_model(detector("fcos50", set={"bbox_hed.x.y": 1}), PAPER, 3)
    assert caught.value.message == "detector fcos50: set: bbox_hed.x.y: there is no key 'bbox_hed'."
    assert caught.value.hint.startswith("Did you mean 'bbox_head'? Keys there: backbone, bbox_head, ")


def test_keys_in_lists():
    node = {"a": [{"b": 1}, {"b": 2}], "c": [1, 2]}
    set_key(node, "a.1.b", 5, "here")
    set_key(node, "c.0", 7, "here")
    assert node == {"a": [{"b": 1}, {"b": 5}], "c": [7, 2]}
    for path in ("a.2.b", "c.9", "c.x", "a.b.c"):
        with pytest.raises(PkdError, match="there is no key"):
            set_key(node, path, 0, "here")


def test_the_first_rule_that_matches_is_applied():
    model = {"backbone": {"type": "ResNet", "depth": 50}, "neck": {"type": "FPN", "in_channels": [1], "x": 1}}
    rules = [
        Rule(match={"type": "ResNet", "depth": 101}, set={"depth": 1}),
        Rule(match={"type": "ResNet"}, set={"depth": 18, "init_cfg": None}, channels=[8, 16]),
        Rule(match={"type": "ResNet"}, set={"depth": 34}),
        Rule(match={"type": "FPN"}, set={"x": None, "norm_cfg": {"type": "GN"}}),
    ]
    assert shrink(model, rules) == [8, 16]
    assert model["backbone"] == {"type": "ResNet", "depth": 18, "init_cfg": None}
    assert model["neck"] == {"type": "FPN", "in_channels": [1], "norm_cfg": {"type": "GN"}}
    model["neck"]["norm_cfg"]["type"] = "BN"  # a rule's value is not shared between models
    assert rules[3].set["norm_cfg"] == {"type": "GN"}


# Rules of families beyond the paper's

PAPERS = ["faster101", "faster50", "fcos50", "fcos50-plain", "fcosx101", "gfl101", "gfl50", "maskswin", "reppoints50",
          "reppointsx101", "retina50", "retinax101"]  # fmt: skip


def shrunk(config):
    """A detector of mmdet's own config at scale tiny: the types its families' rules match, and its model."""
    which = with_family_rules(detector("gfl50", config=config), TINY)
    return [rule.match["type"] for rule in which.rules], detector_model(which, TINY, 3, pretrained=False)


@pytest.mark.parametrize("name", PAPERS)
def test_the_papers_detectors_have_none_of_them(name):
    assert with_family_rules(detector(name), TINY).rules == []


@pytest.mark.parametrize(
    "config", ["yolof/yolof_r50-c5_8xb8-1x_coco.py", "detr/detr_r50_8xb2-150e_coco.py", "ssd/ssd300_coco.py"]
)
def test_nor_has_a_family_that_none_is_for(config):
    assert shrunk(config)[0] == []


NECKS, HEADS = ["CSPNeXtPAFPN", "YOLOXPAFPN"], {"rtmdet": ["RTMDetSepBNHead", "RTMDetHead"], "yolox": "YOLOXHead"}


@pytest.mark.parametrize("family", ["rtmdet", "yolox"])
@pytest.mark.parametrize(
    ("size", "widen", "into_neck", "out_of_neck"),
    [
        ("tiny", 0.25, (64, 128, 256), 48),
        ("s", 0.25, (64, 128, 256), 48),
        ("m", 0.375, (96, 192, 384), 64),
        ("l", 0.375, (96, 192, 384), 64),
        ("x", 0.375, (96, 192, 384), 64),
    ],
)
def test_the_size_of_an_rtmdet_or_yolox_tells_a_student_from_a_teacher(family, size, widen, into_neck, out_of_neck):
    config = f"{family}/{family}_{size}_{'8xb32' if family == 'rtmdet' else '8xb8'}-300e_coco.py"
    types, model = shrunk(config)
    assert types == ["CSPNeXt" if family == "rtmdet" else "CSPDarknet", NECKS, HEADS[family]]
    assert (model["backbone"]["widen_factor"], tuple(model["neck"]["in_channels"])) == (widen, into_neck)
    head = model["bbox_head"]
    assert {model["neck"]["out_channels"], head["in_channels"], head["feat_channels"]} == {out_of_neck}
    parts = [model[part]["norm_cfg"] for part in ("backbone", "neck", "bbox_head")]
    assert parts == [{"type": "GN", "num_groups": 4}] * 3
    assert [model[part]["init_cfg"]["type"] for part in ("backbone", "neck")] == ["Kaiming"] * 2
    if family == "rtmdet":
        assert head["exp_on_reg"] is True


@pytest.mark.parametrize(
    ("config", "types", "head"),
    [
        ("atss/atss_r50_fpn_1x_coco.py", ["ATSSHead"], (64, 64, 2)),
        ("vfnet/vfnet_r50_fpn_1x_coco.py", ["VFNetHead"], (64, 64, 2)),
        ("tood/tood_r50_fpn_1x_coco.py", ["TOODHead", "TOOD"], (64, 64, 3)),
        ("retinanet/retinanet_r18_fpn_1x_coco.py", [18], (64, 64, 2)),
    ],
)
def test_one_stage_heads_become_as_narrow_as_those_of_the_papers(config, types, head):
    found, model = shrunk(config)
    assert sorted(map(str, found)) == sorted("ResNet" if one == 18 else one for one in types)
    assert tuple(model["bbox_head"][key] for key in ("in_channels", "feat_channels", "stacked_convs")) == head
    small = 18 in types
    assert model["neck"]["in_channels"] == ([8, 16, 32, 64] if small else [16, 32, 64, 128])
    assert model["backbone"]["base_channels"] == (8 if small else 16)


def test_a_cascade_has_fewer_proposals_in_each_of_its_stages():
    types, model = shrunk("cascade_rcnn/cascade-rcnn_r101_fpn_20e_coco.py")
    assert types == ["CascadeRCNN"]
    assert [stage["sampler"]["num"] for stage in model["train_cfg"]["rcnn"]] == [32, 32, 32]
    assert [one["fc_out_channels"] for one in model["roi_head"]["bbox_head"]] == [256, 256, 256]
    assert (model["train_cfg"]["rpn_proposal"]["max_per_img"], model["test_cfg"]["rpn"]["max_per_img"]) == (100, 100)


@pytest.mark.parametrize(
    ("config", "depth", "in_channels"),
    [
        ("dino/dino-4scale_r50_8xb2-12e_coco.py", 34, [64, 128, 256]),
        ("deformable_detr/deformable-detr_r50_16xb2-50e_coco.py", 18, [32, 64, 128]),
    ],
)
def test_a_deformable_detr_is_narrow_from_its_neck_to_its_head(config, depth, in_channels):
    _, model = shrunk(config)
    assert (model["backbone"]["depth"], model["neck"]["in_channels"]) == (depth, in_channels)
    encoder, decoder = model["encoder"]["layer_cfg"], model["decoder"]["layer_cfg"]
    widths = [part["embed_dims"] for layer in (encoder, decoder) for part in layer.values() if "embed_dims" in part]
    assert (widths, model["neck"]["out_channels"], model["bbox_head"]["embed_dims"]) == ([64] * 5, 64, 64)
    assert (model["num_queries"], model["positional_encoding"]["num_feats"]) == (100, 32)


def test_a_neck_keeps_a_tuple_of_channels_a_tuple():
    """SSD's compares what goes in with what comes out."""
    neck = shrunk("ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco.py")[1]["neck"]
    assert (neck["in_channels"], neck["out_channels"]) == ((24, 1280), (24, 1280, 128, 64, 64, 32))


def test_a_list_in_a_match_means_any_of_its_values():
    rule = {"type": ["A", "B"], "sizes": [1, 2], "depth": [18, 34]}
    assert matches({"type": "A", "sizes": [1, 2], "depth": 34}, rule)
    assert matches({"type": "B", "sizes": 1, "depth": 18}, rule)
    assert not matches({"type": "C", "sizes": [1, 2], "depth": 34}, rule)
    assert not matches({"type": "A", "sizes": [1], "depth": 34}, rule)
    assert not matches({"type": "A", "sizes": [1, 2]}, rule)


# Detectors that no rule was written for


@pytest.mark.parametrize(
    ("out_indices", "before", "after"),
    [
        ((0, 1, 2, 3), [256, 512, 1024, 2048], [16, 32, 64, 128]),
        ((1, 2, 3), [512, 1024, 2048], [32, 64, 128]),
        ((3,), [2048], [128]),
        ((3,), 2048, 128),
    ],
)
def test_a_neck_takes_the_channels_of_the_stages_that_a_backbone_puts_out(out_indices, before, after):
    model = {"backbone": {"type": "ResNet", "out_indices": out_indices}, "neck": {"in_channels": before}}
    hand_on(model, [16, 32, 64, 128], "detector x")
    assert model["neck"]["in_channels"] == after


def test_what_a_scale_can_not_shrink_is_refused():
    with pytest.raises(PkdError) as caught:
        hand_on({"backbone": {"type": "ResNet"}, "rpn_head": {}}, [16, 32, 64, 128], "detector c4")
    assert caught.value.message == (
        "detector c4: it has no neck to which this scale could hand the channels of its shrunk backbone."
    )
    with pytest.raises(PkdError, match="names the channels of 4 stages, and its backbone puts out stage 4"):
        hand_on({"backbone": {"out_indices": (1, 4)}, "neck": {"in_channels": [1, 2]}}, [16, 32, 64, 128], "detector x")


def test_necks_and_heads_follow_a_shrunk_neck():
    which = detector("gfl50", config="dyhead/atss_r50_fpn_dyhead_1x_coco.py")
    model = detector_model(which, TINY, 3)
    assert [neck["in_channels"] for neck in model["neck"]] == [[16, 32, 64, 128], 64]
    assert model["bbox_head"]["in_channels"] == model["neck"][1]["out_channels"] == 256
    atss = detector_model(detector("gfl50", config="atss/atss_r50_fpn_1x_coco.py"), TINY, 3)
    assert atss["bbox_head"]["in_channels"] == 64


CHECKPOINT = {"backbone.init_cfg.checkpoint": "torchvision://resnet18"}


def test_a_checkpoint_that_is_set_goes_with_the_section_and_is_said():
    which = detector("faster50", set={"backbone.depth": 18, **CHECKPOINT, "neck.in_channels": [64, 128, 256, 512]})
    pretrained = detector_model(which, PAPER, 3)["backbone"]["init_cfg"]
    assert pretrained == {"type": "Pretrained", "checkpoint": "torchvision://resnet18"}
    assert notes(which, PAPER) == []
    assert detector_model(which, PAPER, 3, pretrained=False)["backbone"]["init_cfg"] is None
    said = "FasterRCNN-Res50: set backbone.init_cfg.checkpoint is left out: nothing is pretrained here."
    assert notes(which, PAPER, pretrained=False) == [said]
    tiny = detector_model(which, TINY, 3, pretrained=False)
    assert (tiny["backbone"]["init_cfg"], tiny["neck"]["in_channels"]) == (None, [16, 32, 64, 128])
    assert notes(which, TINY, pretrained=False) == [
        said,
        "FasterRCNN-Res50: set neck.in_channels is left out: the scale says how many channels the backbone has.",
    ]


def test_a_wrong_key_beside_it_is_refused_as_ever():
    with pytest.raises(PkdError, match=r"set: backbone.init_cgf.checkpoint: there is no key 'init_cgf'"):
        detector_model(detector("faster50", set={"backbone.init_cgf.checkpoint": 1}), PAPER, 3, pretrained=False)


# Tuples, which YAML does not know


def test_a_list_in_the_place_of_a_tuple_becomes_one():
    node = {
        "scale": (1333, 800), "one": [1, 2], "scales": [(1, 2), (3, 4)], "nested": ((1, 2), [3]),
        "pipeline": [{"type": "Resize", "scale": (8, 8), "keep_ratio": True}, {"type": "Pack", "meta_keys": ("a",)}],
    }  # fmt: skip
    set_key(node, "scale", [96, 96], "here")
    set_key(node, "one", [3, 4], "here")
    set_key(node, "scales", [[5, 6], [7, 8], [9, 10]], "here")
    set_key(node, "nested.0", [5, 6], "here")
    set_key(node, "pipeline.0.scale.1", 9, "here")
    set_key(node, "pipeline.1", {"type": "Pack", "meta_keys": ["b"]}, "here")
    set_key(node, "pipeline.2", {"type": "Mosaic", "img_scale": [96, 96], "pad_val": 114.0}, "here")
    set_key(node, "pipeline.3", {"type": "RandomResize", "scale": [[96, 96], [64, 64]]}, "here")
    set_key(node, "pipeline.4", {"type": "RandomFlip", "prob": [0.3, 0.3]}, "here")
    assert node == {
        "scale": (96, 96), "one": [3, 4], "scales": [(5, 6), (7, 8), (9, 10)], "nested": ((5, 6), [3]),
        "pipeline": [
            {"type": "Resize", "scale": (8, 9), "keep_ratio": True},
            {"type": "Pack", "meta_keys": ("b",)},
            {"type": "Mosaic", "img_scale": (96, 96), "pad_val": 114.0},
            {"type": "RandomResize", "scale": [(96, 96), (64, 64)]},
            {"type": "RandomFlip", "prob": [0.3, 0.3]},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "message", "hint"),
    [
        ("empty.x", "here: empty.x: empty is empty, so there is no key in it.", "Set empty itself to a mapping."),
        ("number.x", "here: number.x: number is 3, so there is no key in it.", "Set number itself to a mapping."),
        ("list.7", "here: list.7: there is no key '7'.", "Items there: 0 to 1."),
        ("lists.x", "here: lists.x: there is no key 'lists'.", "Did you mean 'list'? Keys there: empty, list, number."),
    ],
)
def test_a_path_that_leads_nowhere(path, message, hint):
    with pytest.raises(PkdError) as caught:
        set_key({"empty": None, "number": 3, "list": [1, 2]}, path, 0, "here")
    assert (caught.value.message, caught.value.hint) == (message, hint)
