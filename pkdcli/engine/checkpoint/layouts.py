"""Names of mmdet 2.x that mmdet 3 has changed and that its own layers don't rename when they load.

mmdet's heads rename what was renamed inside them (`fcos_cls` to `conv_cls`). What moved from one part of a detector to
another is told here: the transformers of DETRs left their heads, and SSD's extra layers its backbone.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Rename = Callable[[str], str]

_BLOCKS = (
    (".multihead_attn.", ".cross_attn."),  # before 2.11
    (".ffns.0.", ".ffn."),
    (".decoder.norm.", ".decoder.post_norm."),
)

# DETR and Deformable DETR.
_DETR = (
    ("bbox_head.transformer.level_embeds", "level_embed"),
    ("bbox_head.transformer.reference_points.", "reference_points_fc."),
    ("bbox_head.transformer.enc_output.", "memory_trans_fc."),
    ("bbox_head.transformer.enc_output_norm.", "memory_trans_norm."),
    ("bbox_head.transformer.pos_trans.", "pos_trans_fc."),
    ("bbox_head.transformer.", ""),
    ("bbox_head.query_embedding.", "query_embedding."),
    ("bbox_head.input_proj.", "neck.convs.0.conv."),
)


def renaming(names: list[str]) -> tuple[str, Rename] | None:
    """What renames the tensors of an old checkpoint, and what it is; None where its names are today's.

    Args:
        names: All that a state dict has.
    """
    if any(name.startswith("bbox_head.transformer.") for name in names):
        return "a DETR of mmdet 2", _detr
    if any(re.match(r"panoptic_head\.transformer_decoder\.layers\.\d+\.attentions\.", name) for name in names):
        # Mask2Former attends to the image first, and to its queries then; MaskFormer the other way round.
        image_first = any(name.startswith("panoptic_head.level_embed") for name in names)
        return "a MaskFormer of mmdet 2", lambda name: _mask_former(name, image_first)
    if any(name.startswith("backbone.extra.") for name in names):
        return "an SSD of mmdet before 2.11", _ssd
    return None


def _detr(name: str) -> str:
    for before, after in _DETR:
        if name.startswith(before):
            name = after + name[len(before) :]
            break
    else:
        return name
    if name.startswith(("encoder.", "decoder.")):
        name = f".{name}"
        for before, after in (*_BLOCKS, (".attentions.0.", ".self_attn."), (".attentions.1.", ".cross_attn.")):
            name = name.replace(before, after)
        name = name[1:]
    return name


def _mask_former(name: str, image_first: bool) -> str:
    if not name.startswith("panoptic_head."):
        return name
    first, second = (".cross_attn.", ".self_attn.") if image_first else (".self_attn.", ".cross_attn.")
    if name.startswith("panoptic_head.pixel_decoder."):
        first = ".self_attn."
    return name.replace(".attentions.0.", first).replace(".attentions.1.", second).replace(".ffns.0.", ".ffn.")


def _ssd(name: str) -> str:
    if found := re.fullmatch(r"backbone\.extra\.(\d+)\.(.*)", name):
        layer = int(found[1])
        return f"neck.extra_layers.{layer // 2}.{layer % 2}.conv.{found[2]}"
    if name.startswith(("backbone.l2_norm.", "neck.l2_norm.")):
        return "neck.l2_norm." + name.partition("l2_norm.")[2]
    if found := re.fullmatch(r"(bbox_head\.(?:cls|reg)_convs\.\d+)\.(weight|bias)", name):
        return f"{found[1]}.0.{found[2]}"
    return name
