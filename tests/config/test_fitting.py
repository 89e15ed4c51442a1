"""What a detector's model section says otherwise at every scale: classes, weights, norms and images' sizes."""

from __future__ import annotations

import pytest

from pkdcli.config.fitting import fit_to_torch, set_classes, unfreeze, without_pretrained
from pkdcli.recipe.detectors.read import load_config


def section(config: str) -> dict:
    return load_config(config)["model"]


def test_every_head_gets_the_datas_classes():
    model = section("cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py")
    set_classes(model, 3)
    assert [head["num_classes"] for head in model["roi_head"]["bbox_head"]] == [3, 3, 3]


def test_a_mask_transformer_counts_things_and_weighs_each_class():
    model = section("mask2former/mask2former_r50_8xb2-lsj-50e_coco.py")
    set_classes(model, 3)
    head, fusion = model["panoptic_head"], model["panoptic_fusion_head"]
    assert [(part["num_things_classes"], part["num_stuff_classes"]) for part in (head, fusion)] == [(3, 0), (3, 0)]
    assert head["loss_cls"]["class_weight"] == [1.0, 1.0, 1.0, 0.1]


def test_a_panoptic_detector_finds_things_and_keeps_its_stuff_where_it_is_not_trained():
    for trained, stuff in ((True, 0), (False, 53)):
        model = section("maskformer/maskformer_r50_ms-16xb1-75e_coco.py")
        assert model["test_cfg"]["panoptic_on"]
        set_classes(model, 80, trained=trained)
        assert (model["test_cfg"]["panoptic_on"], model["test_cfg"]["instance_on"]) == (False, True)
        assert model["panoptic_head"]["num_stuff_classes"] == stuff
        assert len(model["panoptic_head"]["loss_cls"]["class_weight"]) == 80 + stuff + 1


@pytest.mark.parametrize(
    ("config", "places"),
    [
        ("pvt/retinanet_pvt-t_fpn_1x_coco.py", ["backbone.init_cfg"]),  # a checkpoint without a type
        ("detectors/cascade-rcnn_r50-rfp_1x_coco.py", ["backbone.init_cfg", "neck.rfp_backbone.pretrained"]),
        ("timm_example/retinanet_timm-tv-resnet50_fpn_1x_coco.py", ["backbone.pretrained"]),
        ("atss/atss_r50_fpn_1x_coco.py", ["backbone.init_cfg"]),
    ],
)
def test_no_weights_are_fetched_however_a_config_says_it(config, places):
    model = section(config)
    for place in places:
        assert value_at(model, place), place
    assert len(without_pretrained(model)) == len(places)
    assert not any(value_at(model, place) for place in places)
    assert not [text for text in texts(model) if "://" in text]


def value_at(node, place):
    for key in place.split("."):
        node = node[key]
    return node


def texts(node):
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        return [text for one in node for text in texts(one)]
    return [node] if isinstance(node, str) else []


def test_a_backbone_is_unfrozen_by_its_own_number():
    for config, number in (("efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco.py", 0),
                           ("atss/atss_r50_fpn_1x_coco.py", -1)):  # fmt: skip
        backbone = {"frozen_stages": 1, **section(config)["backbone"]}
        unfreeze(backbone)
        assert backbone["frozen_stages"] == number


def test_variances_get_something_added_that_pytorch_takes():
    model = section("nas_fcos/nas-fcos_r50-caffe_fpn_nashead-gn-head_4xb4-1x_coco.py")
    assert model["backbone"]["norm_cfg"]["eps"] == 0
    fit_to_torch(model)
    assert model["backbone"]["norm_cfg"] == {"type": "BN", "requires_grad": False, "eps": 1e-12}


def test_images_of_an_hourglass_are_padded_to_what_it_can_halve():
    model = section("cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco.py")
    fit_to_torch(model)
    assert model["data_preprocessor"]["pad_size_divisor"] == 128
    resnet = section("atss/atss_r50_fpn_1x_coco.py")
    fit_to_torch(resnet)
    assert resnet["data_preprocessor"]["pad_size_divisor"] == 32
