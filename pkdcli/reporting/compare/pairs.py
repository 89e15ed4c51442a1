"""Which runs can be held against each other, and how much of a teacher's lead one has made up."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pkdcli.errors import PkdError
from pkdcli.reporting.compare.members import NO_PARTNER, LeftOut
from pkdcli.reporting.compare.scored import Scored
from pkdcli.reporting.verdict.unlike import unlike

if TYPE_CHECKING:
    from pkdcli.reporting.compare.groups import Group


def alike(a: Scored, b: Scored) -> None:
    """Make sure that two runs can be compared image by image.

    Args:
        a: One of them.
        b: The other.

    Raises:
        PkdError: They were evaluated on other data, another split, other images or other classes; with both names.
    """
    for what, one, other in (
        ("data set", a.found.data, b.found.data),
        ("split", a.found.split, b.found.split),
        ("annotations (fingerprint)", a.found.fingerprint, b.found.fingerprint),
        ("classes", sorted(a.found.classes), sorted(b.found.classes)),
    ):
        if one != other and None not in (one, other):  # a fingerprint that nobody noted down tells nothing
            raise PkdError(
                f"{a.run} and {b.run} can't be compared: they differ in {what}: {_short(one)} and {_short(other)}.",
                "Compare runs that were trained and evaluated on the same data.",
            )
    ours, theirs = set(a.found.images.tolist()), set(b.found.images.tolist())
    if ours != theirs:
        only = sorted(ours ^ theirs)
        fewer = a if len(ours) < len(theirs) else b
        raise PkdError(
            f"{a.run} and {b.run} can't be compared: they were evaluated on {len(ours)} and {len(theirs)} images, and "
            f"{len(only)} of these are not in both, such as id {only[0]}.",
            f"A smoke run evaluates a few images alone; pkd eval {fewer.target or fewer.run} evaluates all.",
        )


def paired(a: Group, b: Group) -> list[tuple[Scored, Scored]]:
    """The runs to hold against each other, A's first: those of equal seeds, or the only two that were named.

    Args:
        a: What is compared with.
        b: The other.

    Raises:
        PkdError: There are several and none has a seed of the other group's, with the command that makes one.
    """
    if _sole(a, b):
        return [(a.runs[0], b.runs[0])]
    theirs = {run.recipe.seed: run for run in b.runs}
    pairs = [(run, theirs[run.recipe.seed]) for run in a.runs if run.recipe.seed in theirs]
    if pairs:
        return pairs
    message = f"{a.word} has seeds {_listed(a.seeds)} and {b.word} seeds {_listed(b.seeds)}: none is in both."
    if waiting := [one for one in without_partner(a, b) if one.partner]:
        raise PkdError(f"{message} {waiting[0].partner} has a partner, but {waiting[0].why}", waiting[0].hint)
    raise PkdError(
        message,
        f"Runs are compared seed by seed. One with a seed of the other's: {_with_seed(a.runs[0], b.seeds[0])}",
    )


def without_partner(a: Group, b: Group) -> list[LeftOut]:
    """The runs of two groups that are in no number: those that can't be measured, and those without a partner.

    Args:
        a: What is compared with.
        b: The other.
    """
    if _sole(a, b):
        return []
    found: list[LeftOut] = []
    for group, other in ((a, b), (b, a)):
        by_seed = {run.recipe.seed: run.run for run in other.runs}
        found += [replace(one, of="ab"[group is b], partner=by_seed.get(one.seed)) for one in group.left_out]
    waiting = {one.partner for one in found}
    for group, other in ((a, b), (b, a)):
        found += [LeftOut(run.run, run.recipe.seed, NO_PARTNER, of="ab"[group is b], alone=True) for run in group.runs
                  if run.recipe.seed not in other.seeds and run.run not in waiting]  # fmt: skip
    return found


def _sole(a: Group, b: Group) -> bool:
    """Whether each means a single run: those are a pair whatever their seeds."""
    return len(a.runs) == len(b.runs) == 1 and not a.left_out and not b.left_out


def _with_seed(run: Scored, seed: int) -> str:
    """The command that trains the same with another seed."""
    return f"pkd train --recipe {shlex.quote(str(run.root or f'runs/{run.run}'))} --seed {seed}"


def differ_in(a: Scored, b: Scored) -> list[str]:
    """In what two runs differ beyond the method and the seed: `student`, or keys of the recipe like `schedule.epochs`.

    Args:
        a: One of them.
        b: The other.

    Returns:
        Nothing where one of them is a teacher, which is trained in a way of its own.
    """
    if "teacher" in (a.recipe.role, b.recipe.role):
        return []
    keys = [key for key in unlike(a.recipe, b.recipe, most=None) if key != "seed"]
    if "student.name" in keys:  # another detector has another config, learning rate, ...
        keys = ["student", *(key for key in keys if not key.startswith("student."))]
    return keys


def recovered(
    baseline: Mapping[str, float], student: Mapping[str, float], teacher: Mapping[str, float]
) -> float | None:
    """The share of the teacher's lead over the baseline that the student has made up, in mAP; None where it has none.

    Args:
        baseline: Metrics of the student that learned alone.
        student: Metrics of the one that was taught.
        teacher: The teacher's.
    """
    lead = teacher["mAP"] - baseline["mAP"]
    return (student["mAP"] - baseline["mAP"]) / lead if lead > 0 else None


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))
