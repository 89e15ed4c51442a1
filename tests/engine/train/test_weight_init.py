"""Starting values: a ResNeXt that learns from nothing starts from blocks that pass on what they get."""

from __future__ import annotations

import torch
from mmengine.registry import init_default_scope

from pkdcli import compat
from pkdcli.config.build import detector
from pkdcli.recipe.resolve import Request, resolve

compat.activate()

from mmdet.registry import MODELS  # noqa: E402

import pkdcli.engine.register  # noqa: E402, F401


def teacher_backbone(pair: str):
    recipe = resolve(Request(pair=pair, scale="tiny"))
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"classes": ["a", "b"]})})
    return detector(recipe, recipe.teacher)["backbone"]


def built(section):
    init_default_scope("mmdet")
    backbone = MODELS.build(section)
    backbone.init_weights()
    return backbone


def test_every_block_of_a_resnext_starts_as_its_shortcut():
    backbone = built(teacher_backbone("retinax101-retina50"))
    x = torch.randn(1, 64, 8, 8)
    second = backbone.layer1[1]
    assert torch.equal(second(x), x.relu())
    first = backbone.layer2[0]
    assert torch.equal(first(x), first.downsample(x).relu())
    assert all(norm.weight.min() == 1 for name, norm in backbone.named_modules() if name.endswith(("gn1", "gn2")))


def test_deformable_convolutions_keep_their_own_start():
    section = teacher_backbone("reppointsx101-reppoints50")
    assert section["dcn"]
    assert [init["type"] for init in section["init_cfg"]] == ["Constant", "PkdZeroResidual"]
    offsets = [module for name, module in built(section).named_modules() if name.endswith("conv_offset")]
    assert offsets
    assert all(not module.weight.any() for module in offsets)
