"""Which runs can be held against each other, and how much of a teacher's lead one has made up."""

from __future__ import annotations

from collections.abc import Mapping

from pkdcli.errors import PkdError
from pkdcli.reporting.compare.scored import Scored
from pkdcli.reporting.verdict.unlike import unlike


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
