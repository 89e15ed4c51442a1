"""What is known of families of detectors that a config does not say: heads, masks, strides. Plug-ins add theirs.

A family is named by the type of the detector or of its backbone in a config: `MaskRCNN`, `SwinTransformer`. An entry
point of `pkdcli.detector_families` has such a type as its name, so that it is loaded for configs that have that type.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pkdcli import plugins

HEADS = ("bbox_head", "rpn_head", "roi_head.bbox_head")
"""Where detectors keep the heads that find boxes, which a student can inherit."""
PARTS = ("bbox_head", "rpn_head", "roi_head", "mask_head", "panoptic_head", "semantic_head")
"""Where they keep whatever is fed by the neck."""
MASK_PARTS = ("roi_head.mask_roi_extractor", "roi_head.mask_head")
"""What goes where the data has no masks."""


@dataclass(frozen=True)
class Family:
    """What is known of detectors, or of backbones, of one type.

    Attributes:
        heads: Key paths of heads in the model, such as `query_head`, beside those that all detectors may have.
        without_masks: The type of the same detector without its mask head, for data without segmentations.
        mask_parts: Key paths of what goes with that head, beside those of a Mask R-CNN.
        strides: Of a backbone: pixels of the image per position in the output of each stage, the finest first.
        compiled_by_size: Of a backbone: `torch.compile` would compile it anew for each size of images, since it works
            out numbers from that.
    """

    heads: tuple[str, ...] = ()
    without_masks: str | None = None
    mask_parts: tuple[str, ...] = ()
    strides: tuple[int, ...] | None = None
    compiled_by_size: bool = False


FAMILIES = {
    "MaskRCNN": Family(without_masks="FasterRCNN"),
    "SwinTransformer": Family(compiled_by_size=True),
    "PyramidVisionTransformer": Family(compiled_by_size=True),
    "PyramidVisionTransformerV2": Family(compiled_by_size=True),
}
"""What pkd itself knows."""


def family_of(kind: str | None) -> Family:
    """What is known of a type of detectors or backbones; an empty `Family` where that is nothing.

    Args:
        kind: The type in a config, with or without the module or registry that it is of.

    Raises:
        PkdError: Two families have the type's name, or a plug-in's is broken.
    """
    name = str(kind).rpartition(".")[2]
    plugin = plugins.find("families", name, FAMILIES)
    return FAMILIES.get(name, Family()) if plugin is None else plugin_family(plugin)


def plugin_family(plugin: plugins.Plugin) -> Family:
    """The family that a plug-in adds, imported.

    Raises:
        PkdError: It can't be imported, or is no `Family`.
    """
    found = plugin.load()
    if not isinstance(found, Family):
        raise plugin.broken(f"{plugin.value} is no pkdcli.config.families.Family")
    return found


def types_of(model: dict[str, Any]) -> list[str]:
    """The types by which a model's families are named: its own and its backbone's."""
    backbone = model.get("backbone")
    kinds = [model.get("type"), backbone.get("type") if isinstance(backbone, dict) else None]
    return [str(kind) for kind in kinds if kind is not None]


def heads_of(kinds: Iterable[str]) -> tuple[str, ...]:
    """Key paths of the heads that detectors of some types may have."""
    return tuple(dict.fromkeys([*HEADS, *(head for kind in kinds for head in family_of(kind).heads)]))


def parts_of(kinds: Iterable[str]) -> tuple[str, ...]:
    """Keys of the parts that are fed by the neck, in detectors of some types."""
    more = (head.partition(".")[0] for kind in kinds for head in family_of(kind).heads)
    return tuple(dict.fromkeys([*PARTS, *more]))


def drop_masks(model: dict[str, Any]) -> None:
    """Turn a Mask R-CNN into the Faster R-CNN inside it, and others likewise, for data without segmentations."""
    family = family_of(model["type"])
    model["type"] = family.without_masks or model["type"]
    for path in (*MASK_PARTS, *family.mask_parts):
        *outer, last = path.split(".")
        node: Any = model
        for key in outer:
            node = node.get(key) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node.pop(last, None)
