"""A comparison as plain data: the rows of csv, json and a data frame."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pkdcli.reporting.compare.groups import Against, Group
from pkdcli.reporting.compare.pairs import recovered
from pkdcli.reporting.compare.tables import confused
from pkdcli.reporting.statistics import Interval

DATA_COLUMNS = ("against", "kind", "key", "a", "b", "difference", "images_lower", "images_upper", "seeds_lower",
                "seeds_upper", "p_value", "better", "teacher", "recovered", "why")  # fmt: skip


def compared_rows(
    found: Sequence[Against], teacher: Mapping[str, float] | None = None, taught_by: Group | None = None
) -> list[dict[str, Any]]:
    """All numbers of a comparison as rows with the columns `DATA_COLUMNS`; what is not known is None.

    `kind` tells what a row is of: `run` (what was asked for), `pair` (the runs of one seed and their difference in
    mAP), `left_out` (the runs of one seed that are in no number, and `why`), `metric`, `class`, `error`, `calibration`,
    `confusion`, `image`. The row of mAP has the permutation test's `p_value`, the share of resamples of images in which
    B is `better`, and the share of the teacher's lead that is `recovered`, both 0 to 1.

    Args:
        found: The groups, each against the same A.
        teacher: The metrics of their teacher, where its detections are kept or its result is known.
        taught_by: That teacher, where its detections are kept.
    """
    return [{"against": one.b.word, **row} for one in found for row in _rows(one, teacher or {}, taught_by)]


def _rows(one: Against, teacher: Mapping[str, float], taught_by: Group | None) -> Iterator[dict[str, Any]]:
    yield _row("run", "A and B", one.a.word, one.b.word)
    for (first, second), difference in zip(one.pairs, one.differences["mAP"], strict=True):
        yield _row("pair", str(second.recipe.seed), first.run, second.run) | {"difference": _known(difference)}
    yield from _left_out(one)
    for name, metric in one.metrics.items():
        row = _row("metric", name, metric.a, metric.b, metric.by_images, metric.by_seeds, teacher.get(name))
        if name == "mAP":
            row |= {"p_value": one.p_value, "better": one.better}
            row["recovered"] = recovered(one.a.metrics, one.b.metrics, teacher) if teacher else None
        yield row
    by_class, errors = (taught_by.by_class, taught_by.errors) if taught_by else ({}, {})
    for name, value in one.a.by_class.items():
        yield _row("class", name, value, one.b.by_class[name], one.classes[name], teacher=by_class.get(name))
    for name, value in one.a.errors.items():
        yield _row("error", name, value, one.b.errors[name], None, one.errors[name], errors.get(name))
    surest = taught_by.calibration_error if taught_by else None
    yield _row("calibration", "ece", one.a.calibration_error, one.b.calibration_error, teacher=surest)
    for (thing, taken_for), first, second in confused(one):
        yield _row("confusion", f"{thing} as {taken_for}", first, second)
    for image, first, second in one.by_image:
        yield _row("image", str(image), 100 * first, 100 * second)


def _left_out(one: Against) -> Iterator[dict[str, Any]]:
    """Runs that are in no number: those that can't be measured with their partners, and those without a partner."""
    for left in one.left_out:
        runs = (left.run, left.partner) if left.of == "a" else (left.partner, left.run)
        row = _row("left_out", "" if left.seed is None else str(left.seed), *runs)
        yield row | {"why": left.reason}


def _row(
    kind: str,
    key: str,
    a: float | str | None,
    b: float | str | None,
    images: Interval | None = None,
    seeds: Interval | None = None,
    teacher: float | None = None,
) -> dict[str, Any]:
    difference = b - a if isinstance(a, float) and isinstance(b, float) else None
    row: dict[str, Any] = {"kind": kind, "key": key, "a": a, "b": b, "difference": difference, "teacher": teacher}
    for name, bound in (("images", images), ("seeds", seeds)):
        if bound is not None:
            row |= {f"{name}_lower": bound.lower, f"{name}_upper": bound.upper}
    return {name: _known(value) if isinstance(value, float) else value for name, value in row.items()}


def _known(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
