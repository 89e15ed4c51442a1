"""Checks a user's COCO-format data set before anything is trained on it, so that what is wrong is said at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from pkdcli.data.annotations.masks import NO_MASK
from pkdcli.data.annotations.read import Annotations, read, read_classes
from pkdcli.data.checks.boxes import check_form, check_names, mostly_outside, unusable_why
from pkdcli.data.checks.findings import Findings, prefix, quoted
from pkdcli.data.checks.image_files import check_files, renamed
from pkdcli.errors import ExitCode, PkdError, nearest

__all__ = ["MIN_SIDE", "SplitReport", "check_split", "examine", "read_classes", "same_classes"]

MIN_SIDE = 32  # pixels; mmdet's configs leave smaller images out of training


@dataclass(frozen=True)
class SplitReport:
    """What one split of a data set holds.

    Attributes:
        images: The folder of its images.
        annotations: Its annotation file.
        n_images: Images listed.
        n_annotations: Annotations listed, ignored ones and crowds included.
        classes: Names of the categories in the file's order, which is the order of mmdet's labels.
        per_class: Annotations of each class.
        n_zero_size: Boxes with a side below one pixel or an area of zero or less, which mmdet leaves out.
        n_outside: Other boxes that lie wholly outside their image, which mmdet leaves out.
        n_ignored: Other annotations with `ignore`, which mmdet leaves out and the evaluation does not count.
        n_empty: Images without any annotation.
        n_background: Images of at least `MIN_SIDE` a side without an annotation of a class asked for.
        n_small: Images below `MIN_SIDE`.
        n_trainable: Images that mmdet trains on: at least `MIN_SIDE` a side, with an annotation of a class asked for.
        has_masks: Whether every annotation has a segmentation, as a Mask R-CNN needs.
        file_names: Of each image, as listed.
        sizes: Of each image, the annotated (width, height) in pixels.
        odd_masks: Run lengths of another size than their image, a place each.
        problems: What is odd but does not stand in the way, one sentence each.
        mostly_outside: What to say where most boxes leave their pictures, on which no training should start.
    """

    images: Path
    annotations: Path
    n_images: int
    n_annotations: int
    classes: list[str]
    per_class: dict[str, int]
    n_zero_size: int = 0
    n_outside: int = 0
    n_ignored: int = 0
    n_empty: int = 0
    n_background: int = 0
    n_small: int = 0
    n_trainable: int = 0
    has_masks: bool = False
    file_names: list[str] = field(default_factory=list, repr=False)
    sizes: list[tuple[float, float]] = field(default_factory=list, repr=False)
    odd_masks: list[str] = field(default_factory=list, repr=False)
    problems: list[str] = field(default_factory=list)
    mostly_outside: str | None = None


def check_split(
    images: Path,
    annotations: Path,
    *,
    limit_list: int = 5,
    where: str | None = None,
    may_be_empty: bool = False,
    absent: ExitCode = ExitCode.USAGE,
    remedy: str | None = None,
    only: Collection[str] | None = None,
    use: Literal["learn", "measure"] | None = None,
    accept: Collection[str] = (),
    background: bool = False,
) -> SplitReport:
    """Check one split: the annotation file, what its parts refer to, and that every image file is there.

    Image files are looked up in one listing of each folder and not opened.

    Args:
        images: The folder that `file_name` is relative to.
        annotations: The COCO-format JSON file.
        limit_list: How many examples of a problem to name.
        where: The place that names these paths, such as ``bccd.yaml: val``; put before every message.
        may_be_empty: Accept a split without annotations, which nothing can be learned from or measured on.
        absent: The exit code where the file or folder is absent as a whole: `ExitCode.MISSING` for a public data set
            that the machine lacks.
        remedy: What to do about an absent file or folder, for a data set that is known.
        only: The classes asked for; all of the file's by default.
        use: What the split is for, which decides what there is to say of what is left out; None says less.
        accept: What the data recipe lets pass, by the words of its `accept`.
        background: Whether images without objects are trained on.

    Raises:
        PkdError: With every problem of the file, the places of the first few, and what to do.
    """
    images, found = Path(images), Findings(limit_list)
    truth = read(Path(annotations), where=where, absent=absent, remedy=remedy, segmentations=False, found=found)
    if not images.is_dir():
        kind = "is not a folder" if images.exists() else "does not exist"
        hint = remedy or "`images` in a data recipe names the folder of the image files, relative to the recipe."
        raise PkdError(f"{prefix(where)}the image folder {images} {kind}.", hint, absent)
    report = examine(
        truth, images, found, may_be_empty=may_be_empty, only=only, use=use, accept=accept, background=background
    )
    found.refuse(truth.file, where)
    assert report is not None  # else something was found
    return report


def examine(
    truth: Annotations,
    images: Path,
    found: Findings,
    *,
    may_be_empty: bool = False,
    only: Collection[str] | None = None,
    use: Literal["learn", "measure"] | None = None,
    accept: Collection[str] = (),
    background: bool = False,
) -> SplitReport | None:
    """Check a split that has been read, without stopping at what is wrong.

    Args:
        truth: The split.
        images: The folder that `file_name` is relative to, which is there.
        found: Takes what is wrong; what reading has found stands in it already.
        may_be_empty: As for `check_split`.
        only: The same.
        use: The same.
        accept: The same.
        background: The same.

    Returns:
        What the split holds; None where something is wrong, so that it can't be said.
    """
    taken = check_files([name for name in truth.file_name if name], images, found)
    total, kept = len(truth.image), ~truth.iscrowd
    if not len(truth.image_id):
        found.add("images is an empty list", "", "A split needs at least one image.")
    elif not total and not may_be_empty:
        found.add(
            "annotations is an empty list",
            "",
            "Nothing can be learned from images without boxes, or measured on them: label them, or name another file.",
        )
    if found:  # columns hold what is no number where something is wrong
        return None
    tiny, outside = truth.tiny & kept, truth.outside & ~truth.tiny & kept
    if total and not (kept & truth.loaded).any() and not may_be_empty:
        found.add(f"none of its {total} annotations is a usable box", "", unusable_why(truth))
        return None
    odd = check_form(truth, accept, found)
    if found:
        return None

    large, with_object = truth.size.min(axis=1) >= MIN_SIDE, np.zeros(len(truth.image_id), dtype=bool)
    # Crowds and boxes without area count as well: mmdet drops those boxes, but only later.
    with_object[truth.image[truth.labels(truth.classes if only is None else list(only)) >= 0]] = True
    counts = np.bincount(truth.category, minlength=len(truth.classes)).tolist()
    masks = int((truth.mask != NO_MASK).sum())
    report = SplitReport(
        images=images,
        annotations=truth.file,
        n_images=len(truth.image_id),
        n_annotations=total,
        classes=truth.classes,
        per_class=dict(zip(truth.classes, counts, strict=True)),
        n_zero_size=int(tiny.sum()),
        n_outside=int(outside.sum()),
        n_ignored=int((truth.ignore & ~tiny & ~outside & kept).sum()),
        n_empty=len(truth.image_id) - len(np.unique(truth.image)),
        n_background=int((large & ~with_object).sum()),
        n_small=int((~large).sum()),
        n_trainable=int((large & (with_object | background)).sum()),
        has_masks=bool(total) and masks == total,
        file_names=truth.file_name,
        sizes=[(width, height) for width, height in truth.size.tolist()],
        odd_masks=_odd_masks(truth) if use != "measure" else [],
        mostly_outside=mostly_outside(truth),
    )
    report.problems.extend([*renamed(taken), *_odd(report, truth, masks, use), *odd, *check_names(truth)])
    if use == "learn":
        report.problems.extend(_left_out(report, truth, with_object & large, background))
    return report


def same_classes(first: Sequence[str], second: Sequence[str], first_file: Path | str, second_file: Path | str) -> None:
    """Check that two splits have the same classes in the same order: their labels would mean different things if not.

    Args:
        first: Classes of one split, as in its report.
        second: Classes of the other.
        first_file: The annotation file of the one.
        second_file: The annotation file of the other.

    Raises:
        PkdError: Naming the classes that only one of them has, or the two orders.
    """
    first, second = list(first), list(second)
    if first == second:
        return
    lacking = [name for name in first if name not in second]
    more = [name for name in second if name not in first]
    if lacking or more:
        parts = [
            f"only {file} has {quoted(only)}" for file, only in ((first_file, lacking), (second_file, more)) if only
        ]
        message = f"the classes of two splits differ: {'; '.join(parts)}."
    else:
        message = (
            f"two splits list their classes in different orders: {first_file} has {quoted(first)}, "
            f"{second_file} has {quoted(second)}."
        )
    hint = "List the same categories in the same order in every file; a class without annotations is listed too."
    pairs = [(name, nearest(name, more)) for name in lacking]
    similar = [f"{name!r} and {other!r}" for name, other in pairs if other]
    if similar:
        hint = f"Are these meant to be the same: {'; '.join(similar)}? {hint}"
    raise PkdError(message, hint)


def _odd(report: SplitReport, truth: Annotations, masks: int, use: str | None) -> list[str]:
    """What is odd about a split that can be used all the same."""
    total, found = report.n_annotations, []
    measured = " When measuring they count all the same, as objects that are not found." if use == "measure" else ""
    if report.n_zero_size:
        text = f"{report.n_zero_size} of {total} boxes have a side below one pixel or no area and are ignored."
        found.append(text + measured)
    if report.n_outside:
        found.append(f"{report.n_outside} of {total} boxes lie outside their image and are ignored.{measured}")
    if truth.ignore.any():
        found.append(
            f"{int(truth.ignore.sum())} of {total} annotations are marked `ignore`: they are not learned from, and "
            "detections on them count neither as right nor as wrong. Remove the key to keep them."
        )
    if truth.n_computed:
        found.append(f"{truth.n_computed} of {total} annotations have no `area`: width x height of the box is taken.")
    if 0 < masks < total:
        found.append(
            f"{total - masks} of {total} annotations have no segmentation: no mask can be learned from this split."
        )
    if truth.mask_unusable.any() and use != "measure":
        index = int(np.flatnonzero(truth.mask_unusable)[0])
        found.append(
            f"{int(truth.mask_unusable.sum())} of {total} segmentations are no polygon of at least three points and no "
            f"run lengths, the first is annotations[{index}].segmentation: a Mask R-CNN does not learn these objects."
        )
    unused = [name for name, count in report.per_class.items() if not count]
    if unused and total:
        found.append(f"no annotation of {quoted(unused)}.")
    return found


def _odd_masks(truth: Annotations) -> list[str]:
    """Where run lengths are of another size than their image: a mask head can't learn from them."""
    return [
        f"annotations[{index}].segmentation.size = {list(truth.run_size[index])} for [{height:g}, {width:g}]"
        for index in np.flatnonzero(truth.mask_wrong_size).tolist()
        for width, height in [truth.size[truth.image[index]].tolist()]
    ]


def _left_out(report: SplitReport, truth: Annotations, with_object: np.ndarray, background: bool) -> list[str]:
    """What of a training split is not learned from, how much, and how to keep it."""
    found = []
    if report.n_background and not background:
        found.append(
            f"{report.n_background} of {report.n_images} images have no object of the classes and are left out of "
            "training: write `background: true` into the data recipe to train on them."
        )
    if report.n_small:
        found.append(
            f"{report.n_small} of {report.n_images} images have a side below {MIN_SIDE} pixels and are left out of "
            "training: enlarge them, with their boxes, to keep them."
        )
    if truth.iscrowd.any():
        found.append(
            f"{int(truth.iscrowd.sum())} of {report.n_annotations} annotations have `iscrowd` 1, a region of many "
            "objects: none is learned there."
        )
    barren = with_object.copy()
    barren[truth.image[truth.loaded & ~truth.iscrowd]] = False
    if barren.any():
        first = report.file_names[int(np.flatnonzero(barren)[0])]
        found.append(
            f"{int(barren.sum())} of {report.n_images} images have annotations but no usable box, and are trained on "
            f"as background, the first is {first}."
        )
    return found
