"""A comparison as pictures: differences with their intervals, classes, kinds of errors, calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pkdcli.reporting.compare.groups import Against, Group, labels
from pkdcli.reporting.compare.tables import KINDS
from pkdcli.reporting.plots.figure import Figure, Panel, Series
from pkdcli.reporting.plots.groups import DEVIATION
from pkdcli.reporting.statistics import Interval
from pkdcli.runs.record import METRICS

SIX_KINDS = ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")
BOTH_SUMS = ("FP", "FN")
MOST_CLASSES = 24
"""Classes in the picture of classes: of more, those that differ most in either direction."""


def compared_figures(found: Sequence[Against], teacher: Group | None = None) -> list[Figure]:
    """The pictures of a comparison.

    Args:
        found: The groups, each against the same A.
        teacher: Their teacher, where its detections are kept.
    """
    names = labels([found[0].a, *(one.b for one in found)])
    figures = [_differences(found, names), _classes(found, names)]
    shown = [("teacher", "teacher", teacher)] if teacher is not None else []
    shown.append((names[0], _look(found[0].a), found[0].a))
    shown += [(name, _look(one.b), one.b) for name, one in zip(names[1:], found, strict=True)]
    return [*figures, _errors(shown), _calibration(shown)]


def _look(group: Group) -> str | None:
    """What a group's loss looks like in every picture."""
    recipe = group.runs[0].recipe
    return None if recipe is None else "baseline" if recipe.loss.name == "none" else recipe.loss.name


def _differences(found: Sequence[Against], names: Sequence[str]) -> Figure:
    panels = []
    for title, of in (("over images", "by_images"), ("over seeds", "by_seeds")):
        series = []
        for name, one in zip(names[1:], found, strict=True):
            intervals = [getattr(one.metrics[metric], of) for metric in METRICS]
            # A single pair has none over seeds; a metric without objects has none at all.
            if of == "by_images" or any(math.isfinite(interval.lower) for interval in intervals):
                series.append(_series(name, intervals, _look(one.b)))
        if series:
            panels.append(_intervals(f"95 % intervals {title}", series, list(METRICS)))
    told = "; ".join(
        f"{name}: " + ", ".join(f"{metric} {_told(one.metrics[metric].by_images)}" for metric in METRICS)
        for name, one in zip(names[1:], found, strict=True)
    )
    caption = f"AP points above (right of the line) or below {names[0]}, with 95 % intervals. {told}."
    return Figure("compare-differences", "differences", f"Better or worse than {names[0]}", caption, panels)


def _classes(found: Sequence[Against], names: Sequence[str]) -> Figure:
    known = [name for name, interval in found[0].classes.items() if math.isfinite(interval.mean)]
    order = sorted(known, key=lambda name: -found[0].classes[name].mean)
    shown = order if len(order) <= MOST_CLASSES else [*order[: MOST_CLASSES // 2], *order[-MOST_CLASSES // 2 :]]
    series = [
        _series(name, [one.classes[label] for label in shown], _look(one.b))
        for name, one in zip(names[1:], found, strict=True)
    ]
    caption = f"AP of each class above or below {names[0]}, with 95 % intervals over images, the largest gain first."
    if len(order) > len(shown):
        caption += f" Of {len(order)} classes those {len(shown)} that differ most."
    return Figure(
        "compare-classes", "classes", f"AP by class, less that of {names[0]}", caption, [_intervals("", series, shown)]
    )


def _errors(shown: Sequence[tuple[str, str | None, Group]]) -> Figure:
    panels = []
    for title, kinds in (("by kind", SIX_KINDS), ("all that is wrong, and all that is missed", BOTH_SUMS)):
        series = [Series(name, list(map(float, range(len(kinds)))), [_known(group.errors[kind]) for kind in kinds],
                         [_known(group.errors_spread[kind]) for kind in kinds] if len(group.runs) > 1 else [], look)
                  for name, look, group in shown]  # fmt: skip
        panels.append(Panel(title, "kind of error", "AP50 that it costs", series, kind="bars", categories=list(kinds)))
    words = "; ".join(f"{kind}: {KINDS[kind]}" for kind in (*SIX_KINDS, *BOTH_SUMS))
    told = "; ".join(
        f"{name}: " + ", ".join(f"{kind} {_number(group.errors[kind], 1)}" for kind in SIX_KINDS)
        for name, _, group in shown
    )
    caption = f"What AP50 would gain without the errors of each kind (TIDE). {words}. {told}."
    if any(len(group.runs) > 1 for _, _, group in shown):
        caption += DEVIATION
    return Figure("compare-errors", "errors", "Which errors there are", caption, panels)


def _calibration(shown: Sequence[tuple[str, str | None, Group]]) -> Figure:
    series = [Series(name, *map(list, zip(*group.calibration, strict=True)), look=look) for name, look, group in shown
              if group.calibration]  # fmt: skip
    series.append(Series("scores that are as often right", [0.0, 100.0], [0.0, 100.0]))
    panel = Panel("", "mean score in %", "right at IoU 0.5, in %", series, points=True, y_range=(0.0, 100.0))
    told = ", ".join(f"{name} {_number(group.calibration_error, 3)}" for name, _, group in shown)
    caption = (
        "How often detections of a score are right. Below the diagonal a detector is surer than it should be. Expected "
        f"calibration error: {told}."
    )
    return Figure("compare-calibration", "calibration", "Calibration", caption, [panel])


def _intervals(title: str, series: list[Series], categories: list[str]) -> Panel:
    ends = [0.0, *(y for one in series for y in one.y if y is not None)]
    ends += [end for one in series for pair in one.ends if pair is not None for end in pair]
    room = 0.04 * (max(ends) - min(ends)) or 1.0
    y_range = min(ends) - room, max(ends) + room
    return Panel(title, "difference in AP points", "", series, kind="intervals", categories=categories, y_range=y_range)


def _series(name: str, intervals: Sequence[Interval], look: str | None) -> Series:
    means = [one.mean if math.isfinite(one.mean) else None for one in intervals]
    ends = [(one.lower, one.upper) if math.isfinite(one.half_width) else None for one in intervals]
    return Series(name, list(map(float, range(len(means)))), means, look=look, ends=ends)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}" if math.isfinite(value) else "not known"


def _told(interval: Interval) -> str:
    if not math.isfinite(interval.mean):
        return "not known"
    if not math.isfinite(interval.lower):
        return f"{interval.mean:+.1f}"
    return f"{interval.mean:+.1f} ({interval.lower:+.1f} to {interval.upper:+.1f})"
