"""A comparison as tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pkdcli.reporting.compare.groups import Against, Group
from pkdcli.reporting.compare.pairs import differ_in, recovered
from pkdcli.reporting.statistics import Interval
from pkdcli.reporting.table import Table, points, signed
from pkdcli.runs.record import METRICS

KINDS = {
    "Cls": "found where it is, as another class",
    "Loc": "of its class, but too far off",
    "Both": "of another class and too far off",
    "Dupe": "found a second time",
    "Bkg": "nothing is there",
    "Miss": "not found at all",
    "FP": "all that is found and wrong",
    "FN": "all that is there and not found",
}
"""TIDE's kinds of errors in words."""
_SHOWN = 6


def compared_tables(
    found: Sequence[Against], teacher: Mapping[str, float] | None = None, taught_by: Group | None = None
) -> list[Table]:
    """The tables of a comparison: metrics, classes, errors and images of each group held against the first.

    Args:
        found: The groups, each against the same A.
        teacher: The metrics of their teacher, where its detections are kept or its result is known.
        taught_by: That teacher, where its detections are kept.
    """
    tables = []
    for one in found:
        tables += [_metrics(one, teacher), _classes(one), _errors(one, taught_by), _confusions(one), _images(one)]
    return [table for table in tables if table.sections[0]]


def _metrics(one: Against, teacher: Mapping[str, float] | None) -> Table:
    rows = []
    for name in METRICS:
        metric = one.metrics[name]
        cells = [name, points(_known(metric.a)), points(_known(metric.b)), signed(_known(metric.by_images.mean))]
        rows.append([*cells, _interval(metric.by_images), _interval(metric.by_seeds)])
    columns = ["metric", "A", "B", "B - A", "95 % over images", "95 % over seeds"]
    table = Table(f"A: {one.a.word}, B: {one.b.word}", columns, 1, [rows])
    images, seeds = len(one.pairs[0][0].found.images), len(one.pairs)
    table.notes.append(
        f"{seeds} pair{'s' if seeds > 1 else ''} of runs, {images} images. Over images: with these seeds, on other "
        "images of the same kind. Over seeds: on these images, with other seeds"
        + (", of which one pair tells nothing." if seeds == 1 else ".")
    )
    seeds_of = [[run.recipe.seed for run in pair] for pair in one.pairs]
    if seeds_of[0][0] != seeds_of[0][1]:  # the only two there are
        table.notes.append(
            f"Their seeds differ, {seeds_of[0][0]} and {seeds_of[0][1]}: some of the difference is luck of the seed."
        )
    if keys := differ_in(*one.pairs[0]):
        more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
        table.notes.append(f"They differ in more than the method: {', '.join(keys[:_SHOWN])}{more}.")
    if one.alone:
        table.notes.append(f"Left out, having no partner of the same seed: {', '.join(one.alone)}.")
    table.notes += [left.text for left in one.left_out if not left.alone]
    if one.better is not None:
        table.notes.append(f"B's mAP is higher in {100 * one.better:.0f} % of the resamples of images.")
    if one.p_value is not None:
        table.notes.append(f"Permutation test over seeds: p = {one.p_value:.3g}.")
    reached = one.a.metrics["mAP"], one.b.metrics["mAP"]
    if teacher is not None and math.isfinite(sum(reached)) and teacher["mAP"] not in reached:  # it is neither of them
        table.notes.append(_lead(one, teacher))
    return table


def _lead(one: Against, teacher: Mapping[str, float]) -> str:
    share = recovered(one.a.metrics, one.b.metrics, teacher)
    of = f"The teacher has {points(teacher['mAP'])} mAP"
    if share is None:
        return f"{of}: no lead over A."
    if share < 0:
        return f"{of}: B is behind A, and makes up none of its lead."
    return f"{of}: B makes up {100 * share:.0f} % of its lead over A."


def _classes(one: Against) -> Table:
    a, b = one.a.by_class, one.b.by_class
    order = sorted(a, key=lambda name: (math.isnan(b[name] - a[name]), a[name] - b[name], name))
    rows = []
    for name in order:
        rows.append([name, points(_known(a[name])), points(_known(b[name])), signed(_known(b[name] - a[name]))])
        rows[-1].append(_interval(one.classes[name]))
    return Table("AP by class", ["class", "A", "B", "B - A", "95 % over images"], 1, [rows])


def _errors(one: Against, teacher: Group | None) -> Table:
    a, b = one.a.errors, one.b.errors
    rows = [[kind, words, *(points(_known(of[kind])) for of in (a, b)), signed(_known(b[kind] - a[kind]))]
            for kind, words in KINDS.items()]  # fmt: skip
    columns = ["kind", "what it is", "A", "B", "B - A"]
    if len(one.pairs) > 1:
        columns.append("95 % over seeds")
        rows = [[*row, _interval(one.errors[row[0]])] for row in rows]
    if teacher is not None:
        columns.append("teacher")
        rows = [[*row, points(_known(teacher.errors[row[0]]))] for row in rows]
    table = Table("Errors (TIDE): AP50 that each kind costs", columns, 2, [rows])
    table.notes.append("Below zero: B makes fewer of them. These have no interval over images.")
    if math.isfinite(a["FP"] + b["FP"]) and not math.isfinite(a["FN"] + b["FN"]):
        table.notes.append("Miss and FN: what a run that finds nothing loses by them can't be told.")
    ours, theirs = (f"{group.calibration_error:.3f}" if math.isfinite(group.calibration_error) else "not known"
                    for group in (one.a, one.b))  # fmt: skip
    table.notes.append(f"Expected calibration error: A {ours}, B {theirs} (0: scores are as often right).")
    if "not known" in (ours, theirs):
        table.notes.append("It is not known without a detection, or where scores are not from 0 to 1.")
    return table


def _confusions(one: Against) -> Table:
    """The classes that are most often taken for others, from a score of 0.3 on."""
    rows = [[*found, f"{a:.4g}", f"{b:.4g}", f"{b - a:+.4g}" if a != b else "0"]
            for found, a, b in confused(one)[:_SHOWN]]  # fmt: skip
    return Table("Most frequent confusions", ["object", "found as", "A", "B", "B - A"], 2, [rows])


def confused(one: Against) -> list[tuple[tuple[str, str], float, float]]:
    """((class of the object, class that it was found as), how often in A, in B), the most frequent first.

    Args:
        one: The groups; of several runs it is their mean.
    """
    names = one.a.runs[0].classes
    found = [((names[i], names[j]), float(one.a.confusion[i, j]), float(one.b.confusion[i, j]))
             for i in range(len(names)) for j in range(len(names)) if i != j]  # fmt: skip
    return sorted((row for row in found if max(row[1:]) > 0), key=lambda row: -max(row[1:]))


def _images(one: Against) -> Table:
    truth = one.pairs[0][0].truth
    rows = []
    for image, a, b in one.by_image[:_SHOWN]:
        name = truth.annotations.file_name[truth.image_place(image)]
        rows.append([name, points(100 * a), points(100 * b), signed(100 * (b - a))])
    of = f", seed {one.pairs[0][0].recipe.seed}" if len(one.pairs) > 1 else ""
    return Table(f"Images where they differ most (AP50 of the image{of})", ["image", "A", "B", "B - A"], 1, [rows])


def _interval(interval: Interval) -> str:
    if not math.isfinite(interval.lower):
        return ""
    return f"{signed(interval.lower)} to {signed(interval.upper)}"


def _known(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
