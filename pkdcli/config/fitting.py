"""What a detector's model section says otherwise here at every scale: its classes, its start, what PyTorch takes."""

from __future__ import annotations

import math
from typing import Any

from pkdcli.config.families import family_of
from pkdcli.recipe.detectors.read import modules


def set_classes(model: dict[str, Any], number: int, *, trained: bool = True) -> None:
    """Give every classification head the data's number of classes, and its loss a weight for each.

    Args:
        model: Changed in place.
        number: Of the data's classes.
        trained: It is trained here, on things alone, of which boxes are found.
    """
    for module in modules(model):
        before, after = module.get("num_classes"), number
        if "num_things_classes" in module:  # mask transformers count things and stuff; no data set here has stuff
            before = module["num_things_classes"] + module.get("num_stuff_classes", 0)
            module.update(num_things_classes=number, **({"num_stuff_classes": 0} if trained else {}))
            after = number + module.get("num_stuff_classes", 0)
        if "num_classes" in module:
            module["num_classes"] = number
        weights = (module.get("loss_cls") or {}).get("class_weight")
        if isinstance(weights, (list, tuple)) and before and len(weights) == before + 1:  # the last is the background's
            module["loss_cls"]["class_weight"] = [weights[0]] * after + [weights[-1]]
    if "panoptic_fusion_head" in model:  # boxes are those of instances
        model["test_cfg"] = {**(model.get("test_cfg") or {}), "panoptic_on": False, "instance_on": True}


SMALLEST = 1e-12
"""Added to variances in place of zero; what is computed is the same unless a variance is smaller than 1e-5."""


def fit_to_torch(model: dict[str, Any]) -> None:
    """Change what a current PyTorch refuses, and images' sizes to those that the backbone can take.

    NAS-FCOS's batch norms add 0 to their variances, and PyTorch demands more. An Hourglass halves its maps seven times
    and adds them to doubled ones, which fit where sides are multiples of 128: mmdet's own configs train on crops alone.

    Args:
        model: Changed in place.
    """
    for module in modules(model):
        norm = module.get("norm_cfg")
        if isinstance(norm, dict) and norm.get("eps") == 0:
            module["norm_cfg"] = {**norm, "eps": SMALLEST}
    backbone, preprocessor = model.get("backbone"), model.get("data_preprocessor")
    if isinstance(backbone, dict) and isinstance(preprocessor, dict):
        multiple = family_of(backbone.get("type")).multiple
        if multiple:
            preprocessor["pad_size_divisor"] = math.lcm(multiple, preprocessor.get("pad_size_divisor", 1))


def without_pretrained(model: dict[str, Any]) -> list[dict[str, Any]]:
    """Take out where modules get pretrained weights from, however they say it; returns those modules.

    Args:
        model: Changed in place.
    """
    found = []
    for module in modules(model):
        init = module.get("init_cfg")
        if isinstance(init, dict) and (init.get("type") == "Pretrained" or "checkpoint" in init):
            module["init_cfg"] = None
        elif module.get("pretrained"):  # an address, or `True` of timm's
            module["pretrained"] = False if module["pretrained"] is True else None
        else:
            continue
        found.append(module)
    return found


def without_drawn_convolutions(init: Any) -> Any:
    """An `init_cfg` that leaves convolutions as they were built; pretrained weights stay."""
    if isinstance(init, list):
        return [one for one in init if one.get("layer") != "Conv2d"]
    return [] if init is None else init


def unfreeze(backbone: dict[str, Any]) -> None:
    """Let a backbone that learns from nothing learn all of it, as mmdet's configs/scratch do.

    Statistics and stages are frozen for the sake of pretrained weights. Frozen at their initial values, batch norm does
    nothing, and the features of a ResNeXt-101 double with every block.
    """
    unfrozen = family_of(backbone.get("type")).unfrozen
    for key, value in (("frozen_stages", unfrozen), ("norm_eval", False)):
        if key in backbone:
            backbone[key] = value
    if isinstance(backbone.get("norm_cfg"), dict):
        backbone["norm_cfg"] = {**backbone["norm_cfg"], "requires_grad": True}
