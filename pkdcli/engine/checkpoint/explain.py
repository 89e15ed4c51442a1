"""Why a checkpoint does not fit a detector, told by the names and shapes of their tensors."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]

_DEPTHS = {
    (False, (2, 2, 2, 2)): "a ResNet-18",
    (False, (3, 4, 6, 3)): "a ResNet-34",
    (True, (3, 4, 6, 3)): "a ResNet-50",
    (True, (3, 4, 23, 3)): "a ResNet-101",
    (True, (3, 8, 36, 3)): "a ResNet-152",
}
_RES_BLOCK = re.compile(r"layer(\d)\.(\d+)\.conv([123])\.weight")

# By what a backbone's tensors are called; the first that is found counts.
_BACKBONES = (
    ("patch_embed.projection.", "a Swin"),
    ("stages.0.blocks.0.", "a Swin"),
    ("downsample_layers.", "a ConvNeXt"),
    ("stage2.0.branches.", "an HRNet"),
    ("stem.0.", "a CSPNeXt or CSPDarknet"),
    ("stem.conv.", "a CSPDarknet"),
    ("conv1.conv.", "a Darknet"),
    ("features.", "a VGG"),
    ("layers.0.0.projection.", "a PVT"),
    ("layer1.0.conv.0.", "a MobileNetV2"),
)
# By what a detector's heads have; the first that is found counts.
_DETECTORS = (
    ("bbox_head.gfl_cls", "GFL"),
    ("bbox_head.atss_cls", "ATSS"),
    ("bbox_head.retina_cls", "RetinaNet"),
    ("bbox_head.rtm_cls", "RTMDet"),
    ("bbox_head.tood_cls", "TOOD"),
    ("bbox_head.vfnet_cls", "VFNet"),
    ("bbox_head.reppoints_cls_conv", "RepPoints"),
    ("bbox_head.multi_level_conv_cls", "YOLOX"),
    ("bbox_head.convs_pred", "YOLOv3"),
    ("bbox_head.heatmap_head", "CenterNet"),
    ("bbox_head.conv_centerness", "FCOS"),
    ("bbox_head.fcos_cls", "FCOS"),
    ("encoder.layers", "a DETR"),
    ("roi_head.mask_head", "Mask R-CNN"),
    ("roi_head.bbox_head.0", "Cascade R-CNN"),
    ("roi_head.", "Faster R-CNN"),
    ("rpn_head.", "RPN"),
)


def shares(theirs: Shapes, ours: Shapes) -> list[str]:
    """How many tensors of each part of a model are in a checkpoint with their shape: `backbone 12 of 62`.

    Args:
        theirs: The checkpoint's.
        ours: The model's that count.
    """
    found: dict[str, list[int]] = {}
    for name, shape in ours.items():
        counts = found.setdefault(name.partition(".")[0], [0, 0])
        counts[0] += theirs.get(name) == shape
        counts[1] += 1
    return [f"{part} {fitting} of {every}" for part, (fitting, every) in found.items()]


def reason(theirs: Shapes, ours: Shapes) -> str | None:
    """The likeliest cause why a checkpoint does not fit, a sentence; None where nothing tells.

    Args:
        theirs: The checkpoint's tensors.
        ours: The model's that count.
    """
    if not theirs.keys() & ours.keys():
        return "They have no name in common: it is of another framework, or a wrapper has renamed all."
    return _backbone(_below(theirs), _below(ours)) or _heads(theirs.keys(), ours.keys())


def _backbone(theirs: Shapes, ours: Shapes) -> str | None:
    if not ours or (theirs.keys() <= ours.keys() and all(theirs.get(name) == shape for name, shape in ours.items())):
        return None
    if not theirs:
        return "It has no backbone."
    kinds = tuple(_kind(one) for one in (theirs, ours))
    if None not in kinds and kinds[0] != kinds[1]:
        return f"Its backbone is {kinds[0]}, the model's {kinds[1]}."
    common = [name for name in ours if name in theirs]
    first = next((name for name in common if theirs[name] != ours[name]), None)
    if first is not None:
        return (
            f"Its backbone is of another width ({first}: {theirs[first][0]} channels in the file, {ours[first][0]} in "
            "the model): another --scale, or another size of the same detector?"
        )
    if len(common) < len(ours):
        return f"Its backbone has {len(common)} of the model's {len(ours)} tensors: another depth?"
    return None


def _heads(theirs: Collection[str], ours: Collection[str]) -> str | None:
    kinds = tuple(next((what for begin, what in _DETECTORS if _any(one, begin)), None) for one in (theirs, ours))
    if None not in kinds and kinds[0] != kinds[1]:
        return f"Its heads are those of {kinds[0]}, the model's of {kinds[1]}: another detector."
    return None


def _kind(shapes: Shapes) -> str | None:
    """What a backbone is, as far as its names tell; of a ResNet its depth."""
    blocks: dict[int, set[int]] = {}
    deep = False
    for name in shapes:
        if found := _RES_BLOCK.match(name):
            blocks.setdefault(int(found[1]), set()).add(int(found[2]))
            deep = deep or found[3] == "3"
    if blocks:
        counts = tuple(len(blocks.get(stage, ())) for stage in (1, 2, 3, 4))
        # Stages that nobody asks for are not built.
        known = (what for (bottle, depths), what in _DEPTHS.items() if bottle == deep and _begins(depths, counts))
        return next(known, f"a ResNet of {'-'.join(map(str, counts))} blocks")
    return next((what for begin, what in _BACKBONES if _any(shapes, begin)), None)


def _begins(depths: tuple[int, ...], counts: tuple[int, ...]) -> bool:
    built = [count for count in counts if count]
    return list(depths[: len(built)]) == built


def _below(shapes: Shapes) -> Shapes:
    prefix = "backbone."
    return {name[len(prefix) :]: shape for name, shape in shapes.items() if name.startswith(prefix)}


def _any(names: Collection[str], begin: str) -> bool:
    return any(name.startswith(begin) for name in names)


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shapes of tensors by their names."""
    return {name: tuple(value.shape) for name, value in state.items()}
