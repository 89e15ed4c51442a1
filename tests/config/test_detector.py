"""A detector at a scale: rules, classes, pretrained weights, mask heads, keys of one's own."""

from __future__ import annotations

import pytest

from pkdcli.config.detector import detector_model, modules, set_key, shrink
from pkdcli.errors import PkdError
from pkdcli.recipe import library
from pkdcli.recipe.schema import Rule

PAPER, TINY = library.load("scales", "paper"), library.load("scales", "tiny")


def detector(name, **changes):
    return library.load("detectors", name).model_copy(update=changes)


def pretrained(model):
    """The weights that a model's modules would start from."""
    inits = [module.get("init_cfg") for module in modules(model)]
    return [init for init in inits if isinstance(init, dict) and init.get("type") == "Pretrained"]


def test_scale_paper_is_mmdets_model_but_for_the_classes():
    from pkdcli.config.zoo import load_config

    which = detector("gfl101")
    theirs = load_config(which.config)["model"]
    assert detector_model(which, PAPER, 80) == theirs
    ours = detector_model(which, PAPER, 3)
    assert ours["bbox_head"].pop("num_classes") == 3
    theirs["bbox_head"].pop("num_classes")
    assert ours == theirs


def test_scale_tiny_keeps_the_families():
    for name in library.names("detectors"):
        paper, tiny = (detector_model(detector(name), scale, 5, pretrained=False) for scale in (PAPER, TINY))
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
