"""Checks a user's COCO-format data set before anything is trained on it, so that what is wrong is said at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pkdcli.data.coco_parts import (
    Findings,
    check_annotations,
    check_categories,
    check_images,
    check_keys,
    load,
    prefix,
    quoted,
)
from pkdcli.data.image_files import check_files, renamed
from pkdcli.data.run_lengths import run_lengths_of_another_size
from pkdcli.errors import ExitCode, PkdError, nearest

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
        n_empty: Images without any annotation.
        n_trainable: Images that mmdet trains on: at least `MIN_SIDE` a side, with an annotation of a class asked for.
        has_masks: Whether every annotation has a segmentation, as a Mask R-CNN needs.
        file_names: Of each image, as listed.
        sizes: Of each image, the annotated (width, height) in pixels.
        odd_masks: Run lengths of another size than their image, a place each.
        problems: What is odd but does not stand in the way, one sentence each.
    """

    images: Path
    annotations: Path
    n_images: int
    n_annotations: int
    classes: list[str]
    per_class: dict[str, int]
    n_zero_size: int = 0
    n_outside: int = 0
    n_empty: int = 0
    n_trainable: int = 0
    has_masks: bool = False
    file_names: list[str] = field(default_factory=list, repr=False)
    sizes: list[tuple[float, float]] = field(default_factory=list, repr=False)
    odd_masks: list[str] = field(default_factory=list, repr=False)
    problems: list[str] = field(default_factory=list)


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

    Raises:
        PkdError: With every problem of the file, the places of the first few, and what to do.
    """
    images, annotations = Path(images), Path(annotations)
    coco = load(annotations, where, absent, remedy)
    if not images.is_dir():
        kind = "is not a folder" if images.exists() else "does not exist"
        hint = remedy or "`images` in a data recipe names the folder of the image files, relative to the recipe."
        raise PkdError(f"{prefix(where)}the image folder {images} {kind}.", hint, absent)

    found = Findings(limit_list)
    check_keys(coco, found)
    found.refuse(annotations, where)
    classes = check_categories(coco, found)
    sizes = check_images(coco, found)
    taken = check_files([image["file_name"] for image in coco["images"]], images, found)
    zero, outside, masks = check_annotations(
        coco, sizes, {c["id"] for c in coco["categories"] if type(c["id"]) is int}, found
    )
    items = coco["annotations"]
    usable = sum(1 for item in items if not item.get("iscrowd")) - zero - outside
    if not coco["images"]:
        found.add("images is an empty list", "", "A split needs at least one image.")
    elif not items and not may_be_empty:
        found.add(
            "annotations is an empty list",
            "",
            "Nothing can be learned from images without boxes, or measured on them: label them, or name another file.",
        )
    elif usable <= 0 and not may_be_empty:
        found.add(
            f"none of its {len(items)} annotations is a usable box",
            "",
            "bbox is [x, y, width, height] in pixels with width and height of at least 1, and inside the image.",
        )
    found.refuse(annotations, where)

    names = {c["id"]: c["name"] for c in coco["categories"]}
    counts = Counter(names[item["category_id"]] for item in items)
    report = SplitReport(
        images=images,
        annotations=annotations,
        n_images=len(coco["images"]),
        n_annotations=len(items),
        classes=classes,
        per_class={name: counts[name] for name in classes},
        n_zero_size=zero,
        n_outside=outside,
        n_empty=len(sizes) - len({item["image_id"] for item in items}),
        n_trainable=_trainable(coco, classes if only is None else only),
        has_masks=bool(items) and masks == len(items),
        file_names=[image["file_name"] for image in coco["images"]],
        sizes=[(image["width"], image["height"]) for image in coco["images"]],
        odd_masks=run_lengths_of_another_size(items, sizes),
    )
    report.problems.extend(renamed(taken))
    report.problems.extend(_odd(report, masks))
    return report


def _trainable(coco: dict[str, Any], classes: Collection[str]) -> int:
    wanted = {category["id"] for category in coco["categories"] if category["name"] in classes}
    # Crowds and boxes without area count as well: mmdet drops those boxes, but only later.
    with_object = {item["image_id"] for item in coco["annotations"] if item["category_id"] in wanted}
    return sum(
        image["id"] in with_object and min(image["width"], image["height"]) >= MIN_SIDE for image in coco["images"]
    )


def read_classes(annotations: Path, *, where: str | None = None, absent: ExitCode = ExitCode.USAGE) -> list[str]:
    """The names of the categories of an annotation file, in its order, which is the order of mmdet's labels.

    Raises:
        PkdError: The file can't be read, or its categories can't.
    """
    annotations = Path(annotations)
    coco = load(annotations, where, absent, None)
    found = Findings(5)
    check_keys(coco, found, parts=("categories",))
    found.refuse(annotations, where)
    classes = check_categories(coco, found)
    found.refuse(annotations, where)
    return classes


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


def _odd(report: SplitReport, masks: int) -> list[str]:
    """What is odd about a split that can be used all the same."""
    total, found = report.n_annotations, []
    if report.n_zero_size:
        found.append(f"{report.n_zero_size} of {total} boxes have a side below one pixel or no area and are ignored.")
    if report.n_outside:
        found.append(f"{report.n_outside} of {total} boxes lie outside their image and are ignored.")
    if 0 < masks < total:
        found.append(
            f"{total - masks} of {total} annotations have no segmentation: no mask can be learned from this split."
        )
    unused = [name for name, count in report.per_class.items() if not count]
    if unused and total:
        found.append(f"no annotation of {quoted(unused)}.")
    return found
