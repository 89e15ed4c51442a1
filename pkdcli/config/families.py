"""What is known of families of detectors that a config does not say: heads, masks, strides. Plug-ins add theirs.

A family is named by the type of the detector or of its backbone in a config: `MaskRCNN`, `SwinTransformer`. An entry
point of `pkdcli.detector_families` has such a type as its name, so that it is loaded for configs that have that type.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from pkdcli import plugins
from pkdcli.errors import ExitCode, PkdError
from pkdcli.recipe.detectors.read import modules

HEADS = ("bbox_head", "rpn_head", "roi_head.bbox_head")
"""Where detectors keep the heads that find boxes, which a student can inherit."""
PARTS = ("bbox_head", "rpn_head", "roi_head", "mask_head", "panoptic_head", "semantic_head")
"""Where they keep whatever is fed by the neck."""
MASK_PARTS = ("roi_head.mask_roi_extractor", "roi_head.mask_head")
"""What goes where the data has no masks."""


class Package(NamedTuple):
    """A Python package that some detectors need.

    Attributes:
        module: As it is imported.
        install: What to type to have it.
    """

    module: str
    install: str


@dataclass(frozen=True)
class Family:
    """What is known of detectors, of backbones, or of other modules, of one type.

    Attributes:
        heads: Key paths of heads in the model, such as `query_head`, beside those that all detectors may have.
        without_masks: The type of the same module without its mask head, for data without segmentations.
        mask_parts: Key paths of what goes with that head, beside those of a Mask R-CNN.
        learns_from_masks: A detector whose boxes come from its masks: it can't learn without segmentations.
        strides: Of a backbone: pixels of the image per position in the output of each stage, the finest first.
        compiled_by_size: Of a backbone: `torch.compile` would compile it anew for each size of images, since it works
            out numbers from that.
        plain: The type of the same module without a teacher, or a task, of its own.
        extra: Keys of what goes with that teacher or task, which no data set here can train.
        needs: Packages that it imports, and pkd does not bring.
        unfrozen: Of a backbone: its `frozen_stages` that freeze nothing.
        multiple: Of a backbone: sides of images have to be multiples of so many pixels.
        branches: Of a backbone: in a training step it puts out the batch once for each of several branches. Keys of its
            section, with their defaults: how many there are, and which of them predicts.
        classes: Of a head: how many classes it can tell apart at most.
        refused: Why such a detector can't be trained or evaluated here; None where it can.
        note: What is done otherwise with it, for docs/detectors.md.
    """

    heads: tuple[str, ...] = ()
    without_masks: str | None = None
    mask_parts: tuple[str, ...] = ()
    learns_from_masks: bool = False
    strides: tuple[int, ...] | None = None
    compiled_by_size: bool = False
    plain: str | None = None
    extra: tuple[str, ...] = ()
    needs: tuple[Package, ...] = ()
    unfrozen: int = -1
    multiple: int | None = None
    branches: tuple[tuple[str, int], tuple[str, int]] | None = None
    classes: int | None = None
    refused: str | None = None
    note: str = ""


SKLEARN = Package("sklearn", "pip install scikit-learn")
TIMM = Package("timm", "pip install timm")
SKIMAGE = Package("skimage", "pip install scikit-image")
MMPRETRAIN = Package("mmpretrain", "pip install mmpretrain==1.2.0")
_MASKS = Family(learns_from_masks=True)
_STUFF = ("semantic_head", "semantic_roi_extractor")  # learn from maps of stuff, which no data set here has
_NO_STUFF = "trained without its semantic head"
_NO_TEACHER = "trained without the teacher inside it"

FAMILIES = {
    # Detectors and heads with masks.
    "MaskRCNN": Family(without_masks="FasterRCNN"),
    "MaskScoringRCNN": Family(without_masks="FasterRCNN"),
    "MaskScoringRoIHead": Family(without_masks="StandardRoIHead", mask_parts=("mask_iou_head",)),
    "PointRend": Family(without_masks="FasterRCNN"),
    "PointRendRoIHead": Family(without_masks="StandardRoIHead", mask_parts=("point_head",)),
    "HybridTaskCascade": Family(without_masks="CascadeRCNN"),
    "HybridTaskCascadeRoIHead": Family(
        extra=_STUFF,
        without_masks="CascadeRoIHead",
        mask_parts=("interleaved", "mask_info_flow", "semantic_fusion", *_STUFF),
        note=_NO_STUFF,
    ),
    "SCNet": Family(learns_from_masks=True),
    "SCNetRoIHead": Family(extra=_STUFF, note=_NO_STUFF),
    "PanopticFPN": Family(plain="MaskRCNN", extra=("semantic_head", "panoptic_fusion_head"), note=_NO_STUFF),
    "CondInst": _MASKS,
    "Mask2Former": _MASKS,
    "MaskFormer": _MASKS,
    "RTMDetInsSepBNHead": _MASKS,
    "RTMDetInsHead": _MASKS,
    "SOLO": _MASKS,
    "SOLOv2": _MASKS,
    "YOLACT": _MASKS,
    # mmdet's own distillation: the student inside.
    "KnowledgeDistillationSingleStageDetector": Family(
        plain="SingleStageDetector", extra=("teacher_config", "teacher_ckpt", "eval_teacher"), note=_NO_TEACHER
    ),
    "LDHead": Family(plain="GFLHead", extra=("loss_ld",)),
    "LAD": Family(
        plain="PAA",
        extra=("teacher_backbone", "teacher_neck", "teacher_bbox_head", "teacher_ckpt", "eval_teacher"),
        note=_NO_TEACHER,
    ),
    "LADHead": Family(plain="PAAHead", needs=(SKLEARN,)),
    "MultiInstanceBBoxHead": Family(classes=1, note="for data of one class"),
    # Packages.
    "PAAHead": Family(needs=(SKLEARN,)),
    "BoxInstDataPreprocessor": Family(needs=(SKIMAGE,)),
    "TIMMBackbone": Family(needs=(TIMM,)),
    # Backbones.
    "SwinTransformer": Family(compiled_by_size=True),
    "PyramidVisionTransformer": Family(compiled_by_size=True),
    "PyramidVisionTransformerV2": Family(compiled_by_size=True),
    "EfficientNet": Family(unfrozen=0),
    "HourglassNet": Family(multiple=128, note="images are padded to multiples of 128 pixels"),
    "TridentResNet": Family(
        branches=(("num_branch", 3), ("test_branch_idx", 1)), note="as a student, the branch that predicts is compared"
    ),
    # What has no place here.
    "FastRCNN": Family(refused="it takes its region proposals from a file, which no data set here has"),
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
    """Turn a Mask R-CNN into the Faster R-CNN inside it, and others likewise, for data without segmentations.

    What finds boxes by masks alone stays as it is: with weights that are given it needs none to learn from.
    """
    if any(family_of(module["type"]).learns_from_masks for module in modules(model)):
        return
    whole = family_of(model["type"])
    for path in (*MASK_PARTS, *whole.mask_parts):
        _drop(model, path)
    for module in modules(model):
        family = family_of(module["type"])
        if module is not model:
            for path in family.mask_parts:
                _drop(module, path)
        module["type"] = family.without_masks or module["type"]


def drop_extra(model: dict[str, Any]) -> None:
    """Turn detectors with a teacher or a task of their own into the plain ones inside them."""
    for module in modules(model):
        family = family_of(module["type"])
        for path in family.extra:
            _drop(module, path)
        module["type"] = family.plain or module["type"]


def check_data(model: dict[str, Any], who: str, classes: int, masks: bool) -> None:
    """Refuse to train a detector that can't learn from some data.

    Args:
        model: mmdet model section.
        who: The detector, for the error.
        classes: How many the data have.
        masks: They have segmentations.

    Raises:
        PkdError: It needs segmentations, or tells fewer classes apart.
    """
    for module in modules(model):
        family, kind = family_of(module["type"]), str(module["type"]).rpartition(".")[2]
        if family.learns_from_masks and not masks:
            raise PkdError(
                f"{who}: its {kind} learns from segmentations, and the data set has none.",
                "Give --data a set whose annotations have segmentations, or choose a detector that learns from boxes "
                "alone.",
            )
        if family.classes is not None and classes > family.classes:
            raise PkdError(
                f"{who}: its {kind} tells {family.classes} class apart, and the data set has {classes}.",
                "Choose another detector, or list a single one as `classes` in the data recipe.",
            )


def check_packages(model: dict[str, Any], who: str) -> None:
    """Make sure that the packages are there which the modules of a detector import.

    Args:
        model: mmdet model section.
        who: The detector, for the error.

    Raises:
        PkdError: One is absent (exit code 3), or such a detector has no place here.
    """
    for module in modules(model):
        kind = str(module["type"])
        if family_of(kind).refused:
            raise PkdError(
                f"{who}: a {kind.rpartition('.')[2]} can't be used here: {family_of(kind).refused}.",
                "Choose another one; docs/detectors.md lists those that work.",
            )
        for package in needs_of(kind):
            if importlib.util.find_spec(package.module) is None:
                raise PkdError(
                    f"{who}: its {kind} needs the package {package.module}, which is not installed.",
                    f"Type: {package.install}",
                    ExitCode.MISSING,
                )


def needs_of(kind: str) -> tuple[Package, ...]:
    """The packages that a module of some type needs: its family's, and the library that its name begins with."""
    library = {"mmpretrain": (MMPRETRAIN,), "mmcls": (MMPRETRAIN,)}.get(kind.partition(".")[0], ())
    return (*library, *family_of(kind).needs)


def _drop(model: dict[str, Any], path: str) -> None:
    """Take a key out of a model, if it is there."""
    *outer, last = path.split(".")
    node: Any = model
    for key in outer:
        node = node.get(key) if isinstance(node, dict) else None
    if isinstance(node, dict):
        node.pop(last, None)
