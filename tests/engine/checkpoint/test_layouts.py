"""Checkpoints of mmdet 2: each layout loads into today's detector, tensor by tensor."""

from __future__ import annotations

import re

import pytest
import torch
from mmengine.registry import DefaultScope

from pkdcli.compat import activate
from pkdcli.engine.checkpoint import load_into
from pkdcli.engine.checkpoint.layouts import renaming
from pkdcli.recipe.configs import config_path, read_config

activate()

from mmdet.registry import MODELS  # noqa: E402
from mmengine.config import ConfigDict  # noqa: E402

BACKBONE = {"base_channels": 4, "stem_channels": 4, "depth": 18, "init_cfg": None}


def small(config: str) -> dict:
    """One of mmdet's configs with a thin backbone, few layers and thin transformers."""
    model = read_config(config_path(config), "test")["model"]
    model["backbone"] = {**model["backbone"], **(BACKBONE if model["backbone"]["type"] == "ResNet" else {})}
    if model["backbone"]["type"] == "ResNet":
        neck = model.get("neck") or model.get("panoptic_head")
        stages = [4, 8, 16, 32]
        neck["in_channels"] = [stages[place] for place in model["backbone"]["out_indices"]]
    for part in ("encoder", "decoder"):
        if part in model:
            model[part]["num_layers"] = 2
    if "panoptic_head" in model:
        model["panoptic_head"]["pixel_decoder"]["encoder"]["num_layers"] = 2
        model["panoptic_head"]["transformer_decoder"]["num_layers"] = 2
    if "num_queries" in model:
        model["num_queries"] = 7
    return model


def built(config: str, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope("mmdet"):
        model = MODELS.build(ConfigDict(small(config)))
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.normal_()
    return model


# From today's names to those of mmdet 2.28, written down from its modules: what holds what, not how pkd renames it.
DETR_2 = (
    (r"^neck\.convs\.0\.conv\.", "bbox_head.input_proj."),
    (r"^query_embedding\.", "bbox_head.query_embedding."),
    (r"^(encoder|decoder)\.", r"bbox_head.transformer.\1."),
    (r"\.layers\.(\d+)\.self_attn\.", r".layers.\1.attentions.0."),
    (r"\.layers\.(\d+)\.cross_attn\.", r".layers.\1.attentions.1."),
    (r"\.layers\.(\d+)\.ffn\.", r".layers.\1.ffns.0."),
)
DETR_24 = (  # before attentions had numbers
    *DETR_2[:3],
    (r"\.layers\.(\d+)\.cross_attn\.", r".layers.\1.multihead_attn."),
    (r"\.decoder\.post_norm\.", ".decoder.norm."),
)
DEFORMABLE_2 = (
    (r"^level_embed$", "bbox_head.transformer.level_embeds"),
    (r"^reference_points_fc\.", "bbox_head.transformer.reference_points."),
    (r"^memory_trans_fc\.", "bbox_head.transformer.enc_output."),
    (r"^memory_trans_norm\.", "bbox_head.transformer.enc_output_norm."),
    (r"^pos_trans_fc\.", "bbox_head.transformer.pos_trans."),
    (r"^pos_trans_norm\.", "bbox_head.transformer.pos_trans_norm."),
    *DETR_2[1:],
)
MASK2FORMER_2 = (
    (r"^(panoptic_head\.pixel_decoder\.encoder\.layers\.\d+)\.self_attn\.", r"\1.attentions.0."),
    (r"^(panoptic_head\.transformer_decoder\.layers\.\d+)\.cross_attn\.", r"\1.attentions.0."),
    (r"^(panoptic_head\.transformer_decoder\.layers\.\d+)\.self_attn\.", r"\1.attentions.1."),
    (r"\.layers\.(\d+)\.ffn\.", r".layers.\1.ffns.0."),
)
MASKFORMER_2 = (
    (r"^(panoptic_head\..*\.layers\.\d+)\.self_attn\.", r"\1.attentions.0."),
    (r"^(panoptic_head\.transformer_decoder\.layers\.\d+)\.cross_attn\.", r"\1.attentions.1."),
    (r"\.layers\.(\d+)\.ffn\.", r".layers.\1.ffns.0."),
)
SSD_210 = (
    (r"^neck\.l2_norm\.", "backbone.l2_norm."),
    (r"^(bbox_head\.(?:cls|reg)_convs\.\d+)\.0\.", r"\1."),
)

CASES = {
    "DETR 2.28": ("detr/detr_r50_8xb2-150e_coco.py", DETR_2, "a DETR of mmdet 2"),
    "DETR 2.4": ("detr/detr_r50_8xb2-150e_coco.py", DETR_24, "a DETR of mmdet 2"),
    "Deformable DETR": ("deformable_detr/deformable-detr_r50_16xb2-50e_coco.py", DEFORMABLE_2, "a DETR of mmdet 2"),
    "two-stage Deformable DETR": (
        "deformable_detr/deformable-detr-refine-twostage_r50_16xb2-50e_coco.py", DEFORMABLE_2, "a DETR of mmdet 2",
    ),
    "Mask2Former": ("mask2former/mask2former_r50_8xb2-lsj-50e_coco.py", MASK2FORMER_2, "a MaskFormer of mmdet 2"),
    "MaskFormer": ("maskformer/maskformer_r50_ms-16xb1-75e_coco.py", MASKFORMER_2, "a MaskFormer of mmdet 2"),
    "SSD": ("ssd/ssd300_coco.py", SSD_210, "an SSD of mmdet before 2.11"),
}  # fmt: skip


def old_name(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    if found := re.fullmatch(r"neck\.extra_layers\.(\d+)\.([01])\.conv\.(.*)", name):
        return f"backbone.extra.{2 * int(found[1]) + int(found[2])}.{found[3]}"
    return name


@pytest.mark.parametrize("case", CASES)
def test_a_layout_of_mmdet_2_loads_tensor_by_tensor(case, tmp_path):
    config, rules, what = CASES[case]
    source, model = built(config, 1), built(config, 2)
    state = source.state_dict()
    old = {old_name(key, rules): value for key, value in state.items()}
    assert len(old) == len(state)
    moved = [key for key in old if key not in state]
    assert len(moved) >= 8
    assert renaming(list(old))[0] == what
    torch.save({"meta": {"mmdet_version": "2.28.2"}, "state_dict": old}, tmp_path / "old.pth")
    report = load_into(model, tmp_path / "old.pth", strict="exact", what="the teacher")
    assert (len(report.loaded), report.missing, report.unexpected, report.mismatched) == (len(state), [], [], {})
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert renaming(list(state)) is None


def test_names_as_mmdet_2_wrote_them():
    """Lines of the state dicts of mmdet 2's own zoo."""
    for old, new in {
        "bbox_head.transformer.encoder.layers.5.attentions.0.attn.in_proj_weight":
            "encoder.layers.5.self_attn.attn.in_proj_weight",
        "bbox_head.transformer.decoder.layers.0.attentions.1.sampling_offsets.bias":
            "decoder.layers.0.cross_attn.sampling_offsets.bias",
        "bbox_head.transformer.encoder.layers.0.ffns.0.layers.0.0.weight": "encoder.layers.0.ffn.layers.0.0.weight",
        "bbox_head.transformer.decoder.post_norm.weight": "decoder.post_norm.weight",
        "bbox_head.reg_ffn.layers.0.0.weight": "bbox_head.reg_ffn.layers.0.0.weight",
    }.items():  # fmt: skip
        _, rename = renaming(["bbox_head.transformer.level_embeds", old])
        assert rename(old) == new
