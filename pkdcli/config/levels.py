"""Which level of the student's neck is compared with which of the teacher's, and what must lie between them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pkdcli.config.families import family_of
from pkdcli.errors import PkdError

# mmrazor's official PKD configs pair the first four levels: (0, 0) to (3, 3).
OFFICIAL_LEVELS = 4
# Necks that put out num_outs levels of out_channels: the backbone's strides, and above these the double each time.
_KEEP_TO_THEIR_KEYS = {"BFP", "ChannelMapper", "DyHead", "FPG", "FPN", "FPN_CARAFE", "NASFCOS_FPN", "NASFPN", "PAFPN"}
_REMEDY = (
    "Name the levels yourself: --levels 0:0,1:1 pairs the student's level 0 with the teacher's level 0, and so on."
)


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
    """

    levels: list[Level]
    module: str = "neck"
    single: bool = False


Look = Callable[[dict[str, Any], str], Outputs]
"""Finds out what a model section puts out by running it; `student` or `teacher` is for messages (`config.look`)."""


@dataclass(frozen=True)
class Pairing:
    """The levels that are compared.

    Attributes:
        student: What the student puts out.
        teacher: What the teacher puts out.
        pairs: (student, teacher) indices.
        adapters: For a student level of another number of channels than its partner: (its own, the partner's).
        alone_student: Levels of the student that are not compared.
        alone_teacher: Levels of the teacher that are not compared.
        warnings: What a user may not have meant.
    """

    student: Outputs
    teacher: Outputs
    pairs: list[tuple[int, int]]
    adapters: dict[int, tuple[int, int]] = field(default_factory=dict)
    alone_student: list[int] = field(default_factory=list)
    alone_teacher: list[int] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def pairing(levels: str, student: dict[str, Any], teacher: dict[str, Any], look: Look | None = None) -> Pairing:
    """Pair the levels of two detectors.

    Args:
        levels: `index`: level i with level i, the first four, as in mmrazor's official configs, whatever the strides.
            `stride`: levels of equal stride, the student's first four of those. Or pairs, `0:1,1:2`.
        student: mmdet model section.
        teacher: mmdet model section.
        look: Asked where the config of a detector does not tell its levels; None refuses such a detector.

    Raises:
        PkdError: No level has a partner, a level does not exist or stands twice, or the strides can't be told.
    """
    student_outputs, teacher_outputs = outputs(student, "student", look), outputs(teacher, "teacher", look)
    ours, theirs = student_outputs.levels, teacher_outputs.levels
    if levels == "index":
        count = min(len(ours), len(theirs), OFFICIAL_LEVELS)
        pairs = [(index, index) for index in range(count)]
        expected = range(min(len(ours), OFFICIAL_LEVELS))
    elif levels == "stride":
        pairs = _by_stride(ours, theirs)
        expected = range(min(len(ours), OFFICIAL_LEVELS))
    else:
        pairs = _as_given(levels, ours, theirs)
        expected = range(0)
    paired_student, paired_teacher = {s for s, _ in pairs}, {t for _, t in pairs}
    alone = [index for index in range(len(ours)) if index not in paired_student]
    return Pairing(
        student=student_outputs,
        teacher=teacher_outputs,
        pairs=pairs,
        adapters={
            s: (ours[s].channels, theirs[t].channels) for s, t in pairs if ours[s].channels != theirs[t].channels
        },
        alone_student=alone,
        alone_teacher=[index for index in range(len(theirs)) if index not in paired_teacher],
        warnings=[
            f"the student's level {index}{ours[index]} has no partner among the teacher's {len(theirs)} levels "
            f"(--levels {levels}) and learns nothing from it. {_REMEDY}"
            for index in alone
            if index in expected
        ],
    )


def far_apart(student: dict[str, Any], teacher: dict[str, Any], look: Look | None = None) -> str | None:
    """Why level i should not be compared with level i, in words; None where all that meet are near.

    The official way pairs a one-stage student's P3 with a two-stage teacher's P2, a factor of two. Beyond that levels
    see objects of other sizes, as where YOLOv3, whose coarsest level comes first, meets an FPN.

    Args:
        student: mmdet model section.
        teacher: mmdet model section.
        look: As in `pairing`.
    """
    ours, theirs = outputs(student, "student", look).levels, outputs(teacher, "teacher", look).levels
    for index, (one, other) in enumerate(zip(ours[:OFFICIAL_LEVELS], theirs, strict=False)):
        if one.stride and other.stride and not 0.5 <= one.stride / other.stride <= 2:
            return f"the student's level {index}{one} would meet the teacher's level {index}{other}"
    return None


def by_default(student: dict[str, Any], teacher: dict[str, Any], look: Look | None = None) -> str:
    """`index`, or `stride` where levels of one index are far apart and some of equal stride are there.

    Args:
        student: mmdet model section.
        teacher: mmdet model section.
        look: As in `pairing`.
    """
    if far_apart(student, teacher, look) is None:
        return "index"
    theirs = {level.stride for level in outputs(teacher, "teacher", look).levels}
    shared = any(level.stride in theirs for level in outputs(student, "student", look).levels if level.stride)
    return "stride" if shared else "index"


def outputs(model: dict[str, Any], who: str, look: Look | None = None) -> Outputs:
    """What comes out of a detector's neck: as its config tells it, else as it is found by looking.

    Args:
        model: mmdet model section.
        who: `student` or `teacher`, for messages.
        look: As in `pairing`.

    Raises:
        PkdError: Neither tells.
    """
    if look is None or _told(model):
        return Outputs(neck_levels(model, who))
    return look(model, who)


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


def _by_stride(ours: list[Level], theirs: list[Level]) -> list[tuple[int, int]]:
    for who, levels in (("student", ours), ("teacher", theirs)):
        if all(level.stride is None for level in levels):
            raise PkdError(f"--levels stride: the strides of the {who}'s backbone are not known.", _REMEDY)
    # Of several levels of one stride (SSD's smallest) the first meets the first; the last one meets all that are left.
    partners: dict[int | None, deque[int]] = {}
    for index, level in enumerate(theirs):
        partners.setdefault(level.stride, deque()).append(index)
    pairs = []
    for index, level in enumerate(ours):
        left = partners.get(level.stride) if level.stride else None
        if left:
            pairs.append((index, left.popleft() if len(left) > 1 else left[0]))
    if not pairs:
        s, t = (", ".join(str(level.stride) for level in levels) for levels in (ours, theirs))
        raise PkdError(
            f"--levels stride: no level has a partner; the student's strides are {s}, the teacher's {t}.", _REMEDY
        )
    return pairs[:OFFICIAL_LEVELS]


def _as_given(levels: str, ours: list[Level], theirs: list[Level]) -> list[tuple[int, int]]:
    pairs = [tuple(int(index) for index in pair.split(":")) for pair in levels.split(",")]
    for who, known, indices in (("student", ours, [s for s, _ in pairs]), ("teacher", theirs, [t for _, t in pairs])):
        for index in indices:
            if not 0 <= index < len(known):
                raise PkdError(
                    f"--levels: the {who} has no level {index}; it has levels 0 to {len(known) - 1}, of strides "
                    f"{', '.join(str(level.stride or '?') for level in known)}.",
                    _REMEDY,
                )
    twice = next((s for s, _ in pairs if [a for a, _ in pairs].count(s) > 1), None)
    if twice is not None:
        raise PkdError(f"--levels: the student's level {twice} stands twice; each has one partner.", _REMEDY)
    return pairs
