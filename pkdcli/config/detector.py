"""A detector recipe -> the mmdet `model` section: at a scale, with the data's classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pkdcli.config import zoo
from pkdcli.errors import PkdError, nearest
from pkdcli.recipe.schema import Detector, Rule, Scale


def detector_model(
    detector: Detector, scale: Scale, num_classes: int, *, pretrained: bool = True, with_mask: bool = True
) -> dict[str, Any]:
    """The mmdet model of a detector at a scale.

    Args:
        detector: The recipe; its mmdet config gives the architecture, its `set` has the last word.
        scale: Its rules shrink modules; scale `paper` has none.
        num_classes: Outputs of every classification head but the region proposals'.
        pretrained: Keep the backbone's pretrained weights; without them none of it is frozen.
        with_mask: Keep a mask head; False where the data has no segmentations.

    Raises:
        PkdError: The config or a key path of `set` does not exist.
    """
    model = zoo.config_of(detector)["model"]
    if not with_mask and detector.mask:
        drop_mask_head(model)
    for module in modules(model):
        if "num_classes" in module:
            module["num_classes"] = num_classes
    backbone_channels = shrink(model, scale.rules)
    if backbone_channels:
        model["neck"]["in_channels"] = backbone_channels
    if not pretrained:
        for module in modules(model):
            init = module.get("init_cfg")
            if isinstance(init, dict) and init.get("type") == "Pretrained":
                module["init_cfg"] = None
                unfreeze(module)
    for module in modules(model):
        if module.get("dcn"):
            # mmdet's default draws the offsets' weights too, where deformable convolutions start from offsets of zero
            # (and draw their own weights so): gradients through 30 layers of offsets at random are infinite.
            module["init_cfg"] = without_drawn_convolutions(module.get("init_cfg", []))
    for path, value in detector.set.items():
        set_key(model, path, value, f"detector {detector.name}: set")
    return model


def without_drawn_convolutions(init: Any) -> Any:
    """An `init_cfg` that leaves convolutions as they were built; pretrained weights stay."""
    if isinstance(init, list):
        return [one for one in init if one.get("layer") != "Conv2d"]
    return [] if init is None else init


def modules(node: Any) -> Iterator[dict[str, Any]]:
    """Every module (a dict with a `type`) inside a model, outer ones first."""
    if isinstance(node, dict):
        if "type" in node:
            yield node
        for value in list(node.values()):
            yield from modules(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from modules(value)


def shrink(model: dict[str, Any], rules: list[Rule]) -> list[int] | None:
    """Apply a scale's rules in place, the first that matches each module; return the backbone's new channels."""
    channels = None
    for module in modules(model):
        rule = next((rule for rule in rules if _matches(module, rule.match)), None)
        if rule is None:
            continue
        for key, value in rule.set.items():
            if value is None and key not in ("init_cfg",):
                module.pop(key, None)
            else:
                set_key(module, key, _copy(value), f"scale's rule for {module['type']}: set")
        channels = rule.channels or channels
    return channels


def _matches(module: dict[str, Any], match: dict[str, Any]) -> bool:
    return all(key in module and module[key] == value for key, value in match.items())


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def unfreeze(backbone: dict[str, Any]) -> None:
    """Let a backbone that learns from nothing learn all of it, as mmdet's configs/scratch do.

    Statistics and stages are frozen for the sake of pretrained weights. Frozen at their initial values, batch norm does
    nothing, and the features of a ResNeXt-101 double with every block.
    """
    for key, value in (("frozen_stages", -1), ("norm_eval", False)):
        if key in backbone:
            backbone[key] = value
    if isinstance(backbone.get("norm_cfg"), dict):
        backbone["norm_cfg"] = {**backbone["norm_cfg"], "requires_grad": True}


def drop_mask_head(model: dict[str, Any]) -> None:
    """Turn a Mask R-CNN into the Faster R-CNN inside it, for data without segmentations."""
    model["type"] = {"MaskRCNN": "FasterRCNN"}.get(model["type"], model["type"])
    for key in ("mask_roi_extractor", "mask_head"):
        model.get("roi_head", {}).pop(key, None)


def set_key(node: dict[str, Any], path: str, value: Any, where: str) -> None:
    """Set a key with dots in nested dicts and lists; the last part may be new, the others must exist.

    Raises:
        PkdError: A part of the path leads nowhere; names the nearest key.
    """
    parts = path.split(".")
    for part in parts[:-1]:
        if isinstance(node, (list, tuple)) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        elif isinstance(node, dict) and isinstance(node.get(part), (dict, list, tuple)):
            node = node[part]
        else:
            keys = sorted(node) if isinstance(node, dict) else []
            guess = nearest(part, keys)
            hint = (f"Did you mean {guess!r}? " if guess else "") + (f"Keys there: {', '.join(keys)}." if keys else "")
            raise PkdError(f"{where}: {path}: there is no key {part!r}.", hint or None)
    if isinstance(node, list) and parts[-1].isdigit() and int(parts[-1]) < len(node):
        node[int(parts[-1])] = value
    elif isinstance(node, dict):
        node[parts[-1]] = value
    else:
        raise PkdError(f"{where}: {path}: there is no key {parts[-1]!r}.")
