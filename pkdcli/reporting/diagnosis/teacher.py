"""A teacher that has nothing to teach here: no better than the student, or shown what it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli.reporting.curves import number
from pkdcli.reporting.diagnosis.beside import home_of, teachers_input
from pkdcli.reporting.diagnosis.cause import Cause, Evidence, ramp
from pkdcli.reporting.table import points
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_object

if TYPE_CHECKING:
    from pkdcli.reporting.diagnosis.facts import Facts

LEAD = (3.0, 0.0)
"""AP points over the student alone. The paper's teachers lead by 3 to 12; one that does not lead can't lift."""
BEHIND = (0.0, -3.0)
"""The same over this run, where nothing is known of the student alone: to come near its teacher is what it is to do."""
USELESS = 5.0
"""mAP below which no detector has learned its task, whatever the data."""
_BY_ITSELF = 0.9
"""A lead is small for a reason; where a rule finds it (its input, its domain), that comes first."""
MEANS, STDS = 10.0, 1.5
"""Apart by more than this: grey levels of the mean, factor of the deviation. Between ImageNet's usual ones there is
less than 3 and 1.03 channel by channel; caffe's way (deviation 1) against torchvision's is a factor of 57."""
DOMAIN = (0.8, 0.4)
"""Share of its mAP at home that a teacher still has here. Another sample of such images costs it a fifth at most."""


def weak(facts: Facts) -> Cause | None:
    """The teacher is no better than the student alone."""
    teacher = _mAP(facts.result.get("teacher_metrics")) if facts.distilled else None
    looked = facts.look["teacher"].get("mAP") if facts.look and facts.distilled else None
    mAP = teacher if teacher is not None else looked
    if mAP is None:
        return None
    alone, student = facts.record.get("baseline_mAP"), facts.mAP
    against, bounds = (alone, LEAD) if alone is not None else (student, BEHIND)
    evidence = [Evidence("mAP of the teacher on this data", points(mAP), "3 or more above the student's")]
    if teacher is not None and looked is not None:
        evidence.append(Evidence("the same on the images of --look", points(looked), ""))
    if alone is not None:
        evidence.append(Evidence("mAP of the student alone", points(alone), ""))
    if student is not None:
        evidence.append(Evidence("mAP of this run", points(student), ""))
    score = 1.0 if mAP < USELESS else 0.0 if against is None else _BY_ITSELF * ramp(mAP - against, *bounds)
    return Cause(
        "weak-teacher",
        "the teacher is no better than the student on this data",
        score,
        evidence,
        "Train the teacher on this data first: without --teacher-checkpoint that is done.",
        facts.command(teacher_checkpoint=None),
    )


def normalisation(facts: Facts) -> Cause | None:
    """A detector is shown images otherwise normalised than its own config says."""
    found: list[Evidence] = []
    who_is = []
    for who in ("teacher", "student"):
        asked, own = facts.preprocessor(who), facts.own_preprocessor(who)
        own = (teachers_input(facts) or own) if who == "teacher" else own
        # A student that starts from nothing gets used to any input; weights that were trained do not.
        if asked is None or own is None or (who == "student" and not facts.recipe.pretrained):
            continue
        apart = _apart(asked, own)
        found += [Evidence(f"{who}: {what}", here, good) for what, here, good in apart]
        who_is += [who] if apart else []
    if not found:
        return None
    keys = [key for key in facts.recipe.config if "data_preprocessor" in key]
    remedy = f"Leave out --set config.{keys[0]}=..." if keys else "Give it the input of its own config."
    return Cause(
        "normalisation",
        f"the {' and the '.join(who_is)} sees images normalised otherwise than it was trained with",
        1.0,
        found,
        remedy,
        facts.command(**{f"set:config.{key}": None for key in keys}) if keys else None,
    )


def _apart(asked: Mapping[str, Any], own: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    found = []
    for key, far in (("mean", _means_apart), ("std", _stds_apart)):
        here, good = asked.get(key), own.get(key)
        if (here is None) != (good is None) or (here is not None and far(here, good)):
            found.append((key, _numbers(here), _numbers(good)))
    for key in ("bgr_to_rgb", "rgb_to_bgr"):
        if bool(asked.get(key)) != bool(own.get(key)):
            found.append((key, str(bool(asked.get(key))).lower(), str(bool(own.get(key))).lower()))
    return found


def _means_apart(here: Sequence[float], good: Sequence[float]) -> bool:
    return len(here) != len(good) or any(abs(a - b) > MEANS for a, b in zip(here, good, strict=True))


def _stds_apart(here: Sequence[float], good: Sequence[float]) -> bool:
    if len(here) != len(good):
        return True
    return any(not 1 / STDS <= a / b <= STDS for a, b in zip(here, good, strict=True) if a and b)


def _numbers(values: Sequence[float] | None) -> str:
    return "none" if values is None else ", ".join(f"{one:g}" for one in values)


def domain(facts: Facts) -> Cause | None:
    """The teacher comes from other images, sizes or classes, and is much worse here than there."""
    file, home = facts.recipe.teacher_checkpoint, home_of(facts)
    if not facts.distilled or file is None or home is None:
        return None
    result = read_object(RunPaths(Path(file).expanduser().parent).result)
    there, here = _mAP(result.get("metrics")), _mAP(facts.result.get("teacher_metrics"))
    rows = [
        Evidence(what, str(here_), str(there_))
        for what, here_, there_ in (
            ("image size", _size(facts.recipe), _size(home)),
            ("data set", facts.recipe.data.name, home.data.name),
            ("classes", ", ".join(facts.recipe.data.classes or ()), ", ".join(home.data.classes or ())),
        )
        if here_ != there_
    ]
    # One that has not learned its task at home has no domain, and a smoke run's few images tell of none.
    if there is None or here is None or there < USELESS or home.max_iters or not rows:
        return None
    rows.insert(0, Evidence("mAP of the teacher: here, and where it was trained", points(here), points(there)))
    return Cause(
        "domain",
        "the teacher is off its domain: it was trained on other images",
        ramp(here / there, *DOMAIN),
        rows,
        "Train the teacher on this data, at this size: without --teacher-checkpoint that is done.",
        facts.command(teacher_checkpoint=None),
    )


def _size(recipe: Any) -> str:
    """The images' size in pixels: no larger than they are, where the scale does not enlarge them."""
    width, height = recipe.scale.image
    side = recipe.data.image
    if side and not recipe.scale.upscale:
        width, height = min(width, side), min(height, side)
    return f"{width}x{height}"


def _mAP(metrics: Any) -> float | None:
    return number(metrics.get("mAP")) if isinstance(metrics, dict) else None
