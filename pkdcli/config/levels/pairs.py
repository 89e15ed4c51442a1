"""Which level of the student's neck is compared with which of the teacher's, and what must lie between them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from pkdcli.config.levels.keys import Level, Look, Named, Outputs, outputs_of
from pkdcli.errors import PkdError

# mmrazor's official PKD configs pair the first four levels: (0, 0) to (3, 3).
OFFICIAL_LEVELS = 4
_REMEDY = (
    "Name the levels yourself: --levels 0:0,1:1 pairs the student's level 0 with the teacher's level 0, and so on."
)


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


Taps = tuple[str | None, str | None]
"""The modules of student and teacher that are compared in place of their necks, by name; None for the neck."""
NO_TAPS: Taps = (None, None)


def pairing(
    levels: str, student: dict[str, Any], teacher: dict[str, Any], look: Look | None = None, taps: Taps = NO_TAPS
) -> Pairing:
    """Pair the levels of two detectors.

    Args:
        levels: `index`: level i with level i, the first four, as in mmrazor's official configs, whatever the strides.
            `stride`: levels of equal stride, the student's first four of those. Or pairs, `0:1,1:2`.
        student: mmdet model section.
        teacher: mmdet model section.
        look: Asked where the config of a detector does not tell its levels; None refuses such a detector.
        taps: What is compared in place of the necks.

    Raises:
        PkdError: No level has a partner, a level does not exist or stands twice, or the strides can't be told.
    """
    student_outputs, teacher_outputs = _outputs(student, teacher, look, taps)
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


def _outputs(student: dict[str, Any], teacher: dict[str, Any], look: Look | None, taps: Taps) -> list[Outputs]:
    return outputs_of([Named(student, "student", taps[0]), Named(teacher, "teacher", taps[1])], look)


def far_apart(
    student: dict[str, Any], teacher: dict[str, Any], look: Look | None = None, taps: Taps = NO_TAPS
) -> str | None:
    """Why level i should not be compared with level i, in words; None where all that meet are near.

    The official way pairs a one-stage student's P3 with a two-stage teacher's P2, a factor of two. Beyond that levels
    see objects of other sizes, as where YOLOv3, whose coarsest level comes first, meets an FPN.

    Args:
        student: mmdet model section.
        teacher: mmdet model section.
        look: As in `pairing`.
        taps: The same.
    """
    ours, theirs = _outputs(student, teacher, look, taps)
    for index, (one, other) in enumerate(zip(ours.levels[:OFFICIAL_LEVELS], theirs.levels, strict=False)):
        if one.stride and other.stride and not 0.5 <= one.stride / other.stride <= 2:
            return f"the student's level {index}{one} would meet the teacher's level {index}{other}"
    return None


def at_other_strides(
    student: dict[str, Any], teacher: dict[str, Any], look: Look | None = None, taps: Taps = NO_TAPS
) -> str | None:
    """Which strides meet by index, in words; None where they are equal, or not known.

    Args:
        student: mmdet model section.
        teacher: mmdet model section.
        look: As in `pairing`.
        taps: The same.
    """
    ours, theirs = _outputs(student, teacher, look, taps)
    met = [(one.stride, other.stride) for one, other in zip(ours.levels, theirs.levels, strict=False)][:OFFICIAL_LEVELS]
    if all(one == other or None in (one, other) for one, other in met):
        return None
    strides = (", ".join(str(pair[side] or "?") for pair in met) for side in (0, 1))
    return "the student's levels of strides {} meet the teacher's of strides {}".format(*strides)


def by_default(
    student: dict[str, Any], teacher: dict[str, Any], look: Look | None = None, taps: Taps = NO_TAPS
) -> str:
    """`index`, or `stride` where levels of one index are far apart and some of equal stride are there.

    Args:
        student: mmdet model section.
        teacher: mmdet model section.
        look: As in `pairing`.
        taps: The same.
    """
    if far_apart(student, teacher, look, taps) is None:
        return "index"
    ours, theirs = _outputs(student, teacher, look, taps)
    strides = {level.stride for level in theirs.levels}
    return "stride" if any(level.stride in strides for level in ours.levels if level.stride) else "index"


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
