"""What comes out of a detector's neck, as the keys of its config tell it; where they don't, somebody else is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pkdcli.config.families import family_of
from pkdcli.errors import PkdError

# Necks that put out num_outs levels of out_channels: the backbone's strides, and above these the double each time.
_KEEP_TO_THEIR_KEYS = {"BFP", "ChannelMapper", "FPG", "FPN", "FPN_CARAFE", "NASFCOS_FPN", "NASFPN", "PAFPN"}


class Level(NamedTuple):
    """One output of a neck.

    Attributes:
        stride: Pixels of the image per position, or None where the backbone is not one whose strides are known, or the
            output is of one size whatever the image's.
        channels: Of the feature map.
    """

    stride: int | None
    channels: int

    def __str__(self) -> str:
        return "" if self.stride is None else f" (stride {self.stride})"


@dataclass(frozen=True)
class Outputs:
    """What comes out of the module of a detector that is compared.

    Attributes:
        levels: In the order in which they come: mostly the finest first, in YOLOv3 the coarsest.
        module: Its name in the detector: `neck`, or `backbone` where there is no neck.
        single: It puts out one tensor, rather than a tuple of one or more.
        sizes: Of an encoder, whose one tensor has a row for each position of all levels: the module that puts out the
            maps which it takes, and which say where each level lies. None of any other module.
    """

    levels: list[Level]
    module: str = "neck"
    single: bool = False
    sizes: str | None = None


class Named(NamedTuple):
    """A detector whose levels are asked for.

    Attributes:
        model: mmdet model section.
        who: What to call it in errors: `student` or `teacher`.
        tap: The module whose outputs are meant, by its name; None for the neck, or without one the backbone.
    """

    model: dict[str, Any]
    who: str
    tap: str | None = None


Look = Callable[[Sequence[Named]], list[Outputs]]
"""Finds out what comes out of detectors by running them (`config.levels.look`), all of them at once."""


def outputs(model: dict[str, Any], who: str, look: Look | None = None) -> Outputs:
    """What comes out of a detector's neck: as its config tells it, else as it is found by looking.

    Args:
        model: mmdet model section.
        who: `student` or `teacher`, for messages.
        look: Asked where its config does not tell; None refuses such a detector.

    Raises:
        PkdError: Neither tells.
    """
    return outputs_of([Named(model, who)], look)[0]


def outputs_of(models: Sequence[Named], look: Look | None = None) -> list[Outputs]:
    """The same for several detectors, with one look at all that need one.

    Args:
        models: Their sections, with names for errors.
        look: As for `outputs`.
    """
    untold = [] if look is None else [number for number, one in enumerate(models) if one.tap or not _told(one.model)]
    looked = look([models[number] for number in untold]) if look and untold else []
    found = dict(zip(untold, looked, strict=True))
    return [found.get(number) or Outputs(neck_levels(one.model, one.who)) for number, one in enumerate(models)]


def _told(model: dict[str, Any]) -> bool:
    """Whether the config of a detector tells its levels and their strides: its necks are of kinds that keep to it."""
    necks = model.get("neck")
    kinds = [one.get("type") for one in (necks if isinstance(necks, (list, tuple)) else [necks]) if one]
    backbone = model.get("backbone")
    if not kinds or not set(kinds) <= _KEEP_TO_THEIR_KEYS or not isinstance(backbone, dict):
        return False
    try:
        return all(level.stride for level in neck_levels(model, ""))
    except (PkdError, LookupError, TypeError):
        return False


def neck_levels(model: dict[str, Any], who: str) -> list[Level]:
    """The outputs of a detector's neck, finest first.

    Args:
        model: mmdet model section.
        who: `student` or `teacher`, for messages.

    Raises:
        PkdError: The detector has no feature pyramid whose levels can be told from its config.
    """
    neck = neck_section(model, who)
    count, channels = neck["num_outs"], neck["out_channels"]
    strides = backbone_strides(model.get("backbone") or {})
    if strides is not None:
        end = neck.get("end_level", -1)
        used = strides[neck.get("start_level", 0) : None if end == -1 else end + 1][:count]
        # Levels above the backbone's are each made from the one below with stride 2.
        strides = used + [used[-1] * 2 ** (i + 1) for i in range(count - len(used))] if used else None
    return [Level(strides[index] if strides else None, channels) for index in range(count)]


def neck_section(model: dict[str, Any], who: str) -> dict[str, Any]:
    """The part of a neck, or of a list of necks, that says how many levels of how many channels come out.

    Args:
        model: mmdet model section.
        who: `student` or `teacher`, for messages.

    Raises:
        PkdError: There is none.
    """
    necks = model.get("neck")
    for neck in reversed(necks if isinstance(necks, (list, tuple)) else [necks]):
        if isinstance(neck, dict) and all(isinstance(neck.get(key), int) for key in ("num_outs", "out_channels")):
            return neck
    raise PkdError(
        f"the {who} ({model.get('type')}) has no feature pyramid (neck) with num_outs and out_channels to compare.",
        "Choose detectors with an FPN, such as those of `pkd list detectors`.",
    )


def backbone_strides(backbone: dict[str, Any]) -> list[int] | None:
    """Strides of a backbone's outputs in pixels; None for a family this does not know.

    Of ResNet's family (a stem of stride 4, then stages of stride 1, 2, 2, 2) and Swin's (patches of 4, then 2, 2, 2),
    and of those that plug-ins know.
    """
    family = str(backbone.get("type", ""))
    if (known := family_of(family).strides) is not None:
        return [known[index] for index in backbone.get("out_indices", range(len(known)))]
    if "Swin" in family:
        steps, stem = backbone.get("strides", (4, 2, 2, 2)), 1
    elif family.startswith(("Res", "DetectoRS_Res", "SSDRes", "TridentRes")):
        steps, stem = backbone.get("strides", (1, 2, 2, 2)), 4
    else:
        return None
    strides, total = [], stem
    for step in steps:
        total *= step
        strides.append(total)
    return [strides[index] for index in backbone.get("out_indices", range(len(strides)))]
