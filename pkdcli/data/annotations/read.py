"""The one reading of a COCO annotation file: the check, the training and the evaluation all see its data through it.

So what the check accepts can be learned from and measured on. Ids may be any whole numbers; inside, an image and a
class are known by their place in the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pkdcli.data.annotations.coco_file import collector_paused, read_file
from pkdcli.data.annotations.masks import FLAT_POLYGON, NO_MASK
from pkdcli.data.annotations.rows import ID_HINT, AnnotationColumns, read_categories, read_images
from pkdcli.data.checks.findings import Findings, short
from pkdcli.errors import ExitCode


@dataclass(frozen=True, eq=False)
class Annotations:
    """An annotation file in columns, in the file's order; N images, M annotations, K classes.

    Attributes:
        file: The COCO-format JSON file.
        image_id: int64 (N,).
        size: float64 (N, 2), width and height in pixels as the file says.
        file_name: N paths relative to the image folder.
        classes: K names; a class's place is mmdet's label where all classes are used.
        category_id: int64 (K,).
        id: int64 (M,).
        image: int64 (M,), the place of the annotation's image.
        category: int64 (M,), the place of its class.
        bbox: float64 (M, 4), x, y, width, height in pixels.
        area: float64 (M,), square pixels; that of the box where the file gives none.
        iscrowd: bool (M,), a region of many objects, which is neither learned nor counted as one object.
        ignore: bool (M,), left out of learning by mmdet, and out of measuring here.
        mask: uint8 (M,), the form of the segmentation: `NO_MASK`, `POLYGONS`, `RUN_LENGTHS` or `FLAT_POLYGON`.
        mask_unusable: bool (M,), a segmentation of which mmdet can make nothing.
        mask_wrong_size: bool (M,), run lengths of another size than their image.
        segmentation_begin: int64 (M,), where its text begins in `text`.
        segmentation_length: int64 (M,), its bytes; 0 without a mask.
        text: UTF-8 text in which the segmentations stand, most often the file itself; empty if they were not kept.
        n_computed: Annotations without `area`.
        run_size: (height, width) of the masks of run lengths, by the annotation's place.
    """

    file: Path
    image_id: np.ndarray
    size: np.ndarray
    file_name: list[str]
    classes: list[str]
    category_id: np.ndarray
    id: np.ndarray
    image: np.ndarray
    category: np.ndarray
    bbox: np.ndarray
    area: np.ndarray
    iscrowd: np.ndarray
    ignore: np.ndarray
    mask: np.ndarray
    mask_unusable: np.ndarray
    mask_wrong_size: np.ndarray
    segmentation_begin: np.ndarray = field(repr=False)
    segmentation_length: np.ndarray = field(repr=False)
    text: bytes = field(repr=False)
    n_computed: int = 0
    run_size: Mapping[int, tuple[int, int]] = field(default_factory=dict, repr=False)

    def segmentation(self, index: int) -> list[list[float]] | dict[str, Any] | None:
        """An annotation's polygons or run lengths as mmdet takes them; None where it has none."""
        if self.mask[index] == NO_MASK:
            return None
        begin = int(self.segmentation_begin[index])
        value = json.loads(self.text[begin : begin + int(self.segmentation_length[index])])
        return [value] if self.mask[index] == FLAT_POLYGON else value

    def labels(self, classes: Sequence[str]) -> np.ndarray:
        """int64 (M,), the place of each annotation's class among `classes`, -1 for one that is not among them."""
        places = {name: place for place, name in enumerate(classes)}
        return np.array([places.get(name, -1) for name in self.classes], dtype=np.int64)[self.category]

    @property
    def tiny(self) -> np.ndarray:
        """bool (M,): a side below one pixel or no area, for which mmdet does not learn a box."""
        return (self.bbox[:, 2:] < 1).any(axis=1) | (self.area <= 0)

    @property
    def outside(self) -> np.ndarray:
        """bool (M,): wholly outside the image, for which mmdet does not learn a box."""
        begin, end = self.bbox[:, :2], self.bbox[:, :2] + self.bbox[:, 2:]
        return (np.minimum(end, self.size[self.image]) <= np.maximum(begin, 0)).any(axis=1)

    @property
    def loaded(self) -> np.ndarray:
        """bool (M,): what mmdet's CocoDataset keeps of an image, crowds included, which it marks as ignored."""
        return ~(self.tiny | self.outside | self.ignore)


def read(
    file: Path,
    *,
    where: str | None = None,
    absent: ExitCode = ExitCode.USAGE,
    remedy: str | None = None,
    segmentations: bool = True,
    found: Findings | None = None,
) -> Annotations:
    """Read an annotation file.

    Args:
        file: The COCO-format JSON file.
        where: The place that names it, such as ``bccd.yaml: val``; put before every message.
        absent: The exit code where there is no such file.
        remedy: What to do about an absent file, for a data set that is known.
        segmentations: Keep the masks' text, which is most of the file; without it `segmentation` can't be asked for.
        found: Takes what is wrong with single values, for a caller that has more to find and refuses then itself;
            columns hold -1 and NaN there.

    Raises:
        PkdError: With every problem, the key paths of the first few, and what to do.
    """
    file = Path(file)
    shape, wrong = Findings(), Findings() if found is None else found
    with collector_paused():
        parts = read_file(file, ("images", "annotations", "categories"), where, absent, remedy)
        ids, names, alias = _categories(*read_categories(parts, shape, wrong), wrong)
        image_ids, sizes, file_names = read_images(parts, shape, wrong)
        columns = AnnotationColumns(parts, shape, wrong, keep=segmentations)
        shape.refuse(file, where)
    del parts
    _once("images", image_ids, wrong)
    _once("annotations", columns.id, wrong)
    image = _places(image_ids, np.arange(len(image_ids)), columns.image_id)
    category = _places(*alias, columns.category_id)
    hint = "Every `image_id` is the `id` of one of `images`: remove these annotations or list their images."
    _unlisted("image", image, columns, hint, wrong)
    hint = "Every `category_id` is the `id` of one of `categories`: list the class, or correct the annotation."
    _unlisted("category", category, columns, hint, wrong)
    if found is None:
        wrong.refuse(file, where)
    other_size = np.zeros(len(image), dtype=bool)
    for index, (height, width) in columns.masks.run_size.items():
        other_size[index] = image[index] >= 0 and (width, height) != tuple(sizes[image[index]])
    return Annotations(
        file=file,
        image_id=image_ids,
        size=sizes,
        file_name=file_names,
        classes=names,
        category_id=ids,
        id=columns.id,
        image=image,
        category=category,
        bbox=columns.bbox,
        area=columns.area,
        iscrowd=columns.iscrowd,
        ignore=columns.ignore,
        mask=columns.masks.mask,
        mask_unusable=columns.masks.unusable,
        mask_wrong_size=other_size,
        segmentation_begin=columns.masks.begin,
        segmentation_length=columns.masks.length,
        text=columns.masks.text,
        n_computed=columns.n_computed,
        run_size=columns.masks.run_size,
    )


def read_classes(file: Path, *, where: str | None = None, absent: ExitCode = ExitCode.USAGE) -> list[str]:
    """The names of the categories of an annotation file, in its order, which is the order of mmdet's labels.

    Args:
        file: The COCO-format JSON file.
        where: The place that names the file, put before every message.
        absent: The exit code where there is no such file.

    Raises:
        PkdError: The file can't be read, or its categories can't.
    """
    file, shape, wrong = Path(file), Findings(), Findings()
    with collector_paused():
        parts = read_file(file, ("categories",), where, absent)
        categories = read_categories(parts, shape, wrong)
        shape.refuse(file, where)
    _, names, _ = _categories(*categories, wrong)
    wrong.refuse(file, where)
    return names


def _categories(
    ids: list[int], names: list[Any], above: list[Any], found: Findings
) -> tuple[np.ndarray, list[str], tuple[np.ndarray, np.ndarray]]:
    """Ids and names of the classes, and the place of the class of every id.

    Roboflow lists the project's name above its classes; where a class has that name too, both are the one class.
    """
    hint = "Every class is listed once, by a name of its own."
    if not ids:
        found.add("categories is an empty list", "", hint)
    _once("categories", np.array(ids, dtype=np.int64), found)
    roots = {
        place
        for place, name in enumerate(names)
        if above[place] == "none" and any(name == other and above[at] == name for at, other in enumerate(names))
    }
    first: dict[str, int] = {}
    for place, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            found.add("classes have no name", f"categories[{place}].name = {short(name)}", hint)
        elif place not in roots and first.setdefault(name, place) != place:
            pair = f"categories[{first[name]}].name and categories[{place}].name = {name!r}"
            found.add("classes are listed twice", pair, hint)
    kept = [place for place in range(len(ids)) if place not in roots]
    places = {names[place]: at for at, place in enumerate(kept) if isinstance(names[place], str)}
    of_ids = np.array([places.get(name, 0) if isinstance(name, str) else 0 for name in names], dtype=np.int64)
    all_ids = np.array(ids, dtype=np.int64)
    return all_ids[kept], [names[place] for place in kept], (all_ids, of_ids)


def _once(part: str, ids: np.ndarray, found: Findings) -> None:
    """Note ids that are used twice, each with its first place."""
    order = np.argsort(ids, kind="stable")
    again = np.flatnonzero((ids[order][1:] == ids[order][:-1]) & (ids[order][1:] >= 0)) + 1
    if not len(again):
        return
    firsts = {int(index): int(np.argmax(ids == ids[index])) for index in np.sort(order[again])[:50]}
    found.add_all(
        f"ids of {part} are used twice",
        np.sort(order[again]),
        lambda index: f"{part}[{firsts[index]}].id and {part}[{index}].id = {ids[index]}",
        ID_HINT,
    )


def _places(ids: np.ndarray, places: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """int64, the place that belongs to each wanted id, -1 for one that is not there."""
    if not len(ids):
        return np.full(len(wanted), -1, dtype=np.int64)
    order = np.argsort(ids, kind="stable")
    at = np.minimum(np.searchsorted(ids[order], wanted), len(ids) - 1)
    return np.where((ids[order][at] == wanted) & (wanted >= 0), places[order][at], -1)


def _unlisted(kind: str, places: np.ndarray, columns: AnnotationColumns, hint: str, found: Findings) -> None:
    """Note references to what is not listed, and apart from them those that are no ids, of which nobody can say it."""
    key = f"{kind}_id"
    ids = getattr(columns, key)
    odd = {index: value for (of, index), value in columns.odd.items() if of == key}
    missing = np.flatnonzero(places < 0)
    what = "images" if kind == "image" else "classes"
    found.add_all(
        f"annotations name {what} by what is no whole number",
        missing[np.isin(missing, list(odd))],
        lambda index: f"annotations[{index}].{key} = {short(odd[index])}",
        f"{ID_HINT} Text is none: write 1 in place of \"1\", in `id` and `{key}` alike.",
    )
    found.add_all(
        f"annotations name {what} that are not listed",
        missing[~np.isin(missing, list(odd))],
        lambda index: f"annotations[{index}].{key} = {ids[index]}",
        hint,
    )
