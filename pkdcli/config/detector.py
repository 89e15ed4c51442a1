"""A detector recipe -> the mmdet `model` section: at a scale, with the data's classes."""

from __future__ import annotations

from typing import Any

from pkdcli.config.families import check_data, check_packages, drop_extra, drop_masks, parts_of, types_of
from pkdcli.config.fitting import fit_to_torch, set_classes, unfreeze, without_drawn_convolutions, without_pretrained
from pkdcli.config.keys import set_key
from pkdcli.errors import PkdError
from pkdcli.recipe.detectors.read import config_of, modules
from pkdcli.recipe.detectors.shrinking import matches, rules_for
from pkdcli.recipe.schema import Detector, Rule, Scale


def detector_model(
    detector: Detector,
    scale: Scale,
    num_classes: int,
    *,
    pretrained: bool = True,
    with_mask: bool = True,
    trained: bool = True,
) -> dict[str, Any]:
    """The mmdet model of a detector at a scale.

    Args:
        detector: The recipe; its mmdet config gives the architecture, its `set` has the last word.
        scale: Its rules shrink modules; scale `paper` has none.
        num_classes: Outputs of every classification head but the region proposals'.
        pretrained: Keep the backbone's pretrained weights; without them none of it is frozen.
        with_mask: Keep a mask head; False where the data has no segmentations.
        trained: It is trained here, so that what no data set here can train is left out.

    Raises:
        PkdError: The config or a key path of `set` does not exist, a package that the detector needs is absent, or it
            can't learn from such data.
    """
    model = config_of(detector)["model"]
    if trained:
        drop_extra(model)
    if not with_mask and detector.mask:
        drop_masks(model)
    if trained:
        check_data(model, f"detector {detector.name}", num_classes, with_mask)
    check_packages(model, f"detector {detector.name}")
    set_classes(model, num_classes, trained=trained)
    before, fed = neck_channels(model), fed_by_neck(model)
    rules = rules_for(detector, scale)
    backbone_channels = shrink(model, rules)
    follow(model, before, rules)
    for section, key in fed:  # where a rule says otherwise, it is meant for another neck
        if key in section:
            section[key] = neck_channels(model)[-1]
    if rules:
        choose_fewer(model)
    if backbone_channels:
        hand_on(model, backbone_channels, f"detector {detector.name}")
    if not pretrained:
        for module in without_pretrained(model):
            unfreeze(module)
    for module in modules(model):
        if module.get("dcn"):
            # mmdet's default draws the offsets' weights too, where deformable convolutions start from offsets of zero
            # (and draw their own weights so): gradients through 30 layers of offsets at random are infinite.
            module["init_cfg"] = without_drawn_convolutions(module.get("init_cfg", []))
    fit_to_torch(model)
    for path, value in detector.set.items():
        if left_out(model, path, channels=backbone_channels is not None) is None:
            set_key(model, path, value, f"detector {detector.name}: set")
    return model


def left_out(model: dict[str, Any], path: str, channels: bool) -> str | None:
    """Why a key of a detector's `set` does nothing here, in words; None where it is carried out.

    Args:
        model: The detector's, all but its `set` carried out.
        path: The key.
        channels: A scale's rule has said how many channels the backbone has.
    """
    parts = path.split(".")
    if "init_cfg" in parts[1:-1]:
        node: Any = model
        for part in parts[: parts.index("init_cfg", 1) + 1]:
            node = node.get(part) if isinstance(node, dict) else False
        if node is None:
            return "nothing is pretrained here"
    if channels and parts[0] == "neck" and parts[-1] == "in_channels":
        return "the scale says how many channels the backbone has"
    return None


def notes(detector: Detector, scale: Scale, *, pretrained: bool = True) -> list[str]:
    """What of a detector's `set` does nothing here, a sentence each.

    Args:
        detector: Whose `set` is looked at.
        scale: At which its modules are shrunk.
        pretrained: Whether its backbone starts from weights.
    """
    if not detector.set:
        return []
    plain = detector_model(detector.model_copy(update={"set": {}}), scale, 1, pretrained=pretrained)
    channels = shrink(config_of(detector)["model"], rules_for(detector, scale)) is not None
    reasons = {path: left_out(plain, path, channels) for path in detector.set}
    return [f"{detector.title}: set {path} is left out: {why}." for path, why in reasons.items() if why]


def neck_channels(model: dict[str, Any]) -> list[Any]:
    """The channels that each neck of a model, or its only one, puts out; None where its config does not say."""
    neck = model.get("neck")
    necks = neck if isinstance(neck, (list, tuple)) else [neck]
    return [_puts_out(one) if isinstance(one, dict) else None for one in necks]


def _puts_out(neck: dict[str, Any]) -> Any:
    """As many as come in, where a neck (BFP) says that alone."""
    given = neck.get("in_channels")
    return neck.get("out_channels", given if isinstance(given, int) else None)


def fed_by_neck(model: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """The sections of heads, and their keys, that hold how many channels the last neck puts out."""
    channels = neck_channels(model)[-1]
    found = [(module, key) for part in parts_of(types_of(model)) for module in modules(model.get(part))
             for key in _as_wide(module) if key.endswith("in_channels") or _extracts(module)]  # fmt: skip
    return [(module, key) for module, key in found if channels is not None and module.get(key) == channels]


def follow(model: dict[str, Any], at_full_size: list[Any], rules: list[Rule]) -> None:
    """Have the heads, and further necks, that no rule of a scale names take the channels of the shrunk neck.

    Args:
        model: Changed in place.
        at_full_size: `neck_channels` before the rules were carried out.
        rules: The scale's.
    """
    for number, (before, after) in enumerate(zip(at_full_size, neck_channels(model), strict=True), 1):
        if before != after and number < len(at_full_size):
            model["neck"][number]["in_channels"] = after
    before, after = at_full_size[-1], neck_channels(model)[-1]
    if before == after or before is None:
        return
    for part in parts_of(types_of(model)):
        for module in modules(model.get(part)):
            if any(matches(module, {"type": rule.match.get("type")}) for rule in rules):
                continue
            # Parts without a type are built by the module itself: CondInst's mask_feature_head.
            untyped = [part for part in module.values() if isinstance(part, dict) and "type" not in part]
            for section in (module, *untyped):
                section.update({key: after for key in _as_wide(section) if section.get(key) == before})


def _as_wide(module: dict[str, Any]) -> list[str]:
    """The keys of a head's module that hold the number of channels of the neck, where they hold that number."""
    if _extracts(module):
        return ["out_channels"]
    more = ["out_channels"] if module.get("type") in ("DynamicConv", "ConvModule") else []  # from as many as there come
    ends = ("in_channels", "feature_channel", "feat_channels", "_out_channels", "out_conv_channels")
    return [key for key in module if key.endswith(ends)] + more


def _extracts(module: dict[str, Any]) -> bool:
    """Whether a module cuts regions out of the neck's maps."""
    return str(module.get("type")).endswith("RoIExtractor")


QUERIES = 100
"""Of a shrunk detector that chooses its queries among all positions: images of 192 pixels have 765 of them."""


def choose_fewer(model: dict[str, Any]) -> None:
    """Have a two-stage DETR choose no more queries than the positions of a small image."""
    if model.get("as_two_stage") and (model.get("num_queries") or 0) > QUERIES:
        model["num_queries"] = QUERIES
        most = model.get("test_cfg") or {}
        if most.get("max_per_img", 0) > QUERIES:
            most["max_per_img"] = QUERIES


def hand_on(model: dict[str, Any], channels: list[int], who: str) -> None:
    """Tell the neck, or what stands in its place, how many channels each output of a shrunk backbone has.

    Args:
        model: Changed in place.
        channels: Of all stages of the backbone.
        who: The detector, for errors.

    Raises:
        PkdError: A scale's rules can't shrink a detector without a neck.
    """
    backbone = model["backbone"]
    stages = backbone.get("out_indices", range(backbone.get("num_stages", len(channels))))
    if any(stage >= len(channels) for stage in stages):
        raise PkdError(
            f"{who}: the scale's rule names the channels of {len(channels)} stages, and its backbone puts out stage "
            f"{max(stages)}.",
            "Give --scale paper, or a scale of your own whose rule names them all.",
        )
    given = [channels[stage] for stage in stages]
    neck = model.get("neck")
    first = neck[0] if isinstance(neck, (list, tuple)) and neck else neck
    if not isinstance(first, dict) or "in_channels" not in first:
        raise PkdError(
            f"{who}: it has no neck to which this scale could hand the channels of its shrunk backbone.",
            "Give --scale paper, or choose a detector with a neck.",
        )
    before = first["in_channels"]
    if isinstance(before, (list, tuple)) and before[0] > before[-1]:
        given.reverse()  # YOLOv3's neck begins with the coarsest stage
    first["in_channels"] = type(before)(given) if isinstance(before, (list, tuple)) else given[-1]


def shrink(model: dict[str, Any], rules: list[Rule]) -> list[int] | None:
    """Apply a scale's rules in place: to each module the first that matches it.

    Args:
        model: mmdet model section, changed in place.
        rules: The scale's rules, in the order in which they are tried.

    Returns:
        The backbone's number of channels of each stage where a rule has set it, else None.
    """
    channels = None
    # Without a neck heads are as wide as the backbone, down to the blocks of a ResNet in them: both stay as they are.
    as_wide = None if model.get("neck") else model.get("backbone")
    for module in modules(model):
        rule = next((rule for rule in rules if matches(module, rule.match)), None)
        if rule is None or module is as_wide:
            continue
        for key, value in rule.set.items():
            if as_wide is not None and key in ("in_channels", "out_channels"):
                continue
            if value is None and key not in ("init_cfg",):
                module.pop(key, None)
            else:
                set_key(module, key, _copy(value), f"scale's rule for {module['type']}: set")
        channels = _with_bottlenecks(module, rule.channels) or channels
    return channels


def _with_bottlenecks(backbone: dict[str, Any], channels: list[int] | None) -> list[int] | None:
    """Keep a shrunk ResNet's bottlenecks where something is built into them; its output channels then.

    mmdet's basic blocks, of depths 18 and 34, take neither plug-ins (attention, GCNet) nor deformable convolutions.

    Args:
        backbone: As a rule has left it; changed in place.
        channels: As the rule has them.
    """
    built_in = backbone.get("dcn") or backbone.get("plugins")
    if channels is None or not built_in or backbone.get("depth") not in (18, 34):
        return channels
    backbone["depth"] = 50
    return [4 * number for number in channels]


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
