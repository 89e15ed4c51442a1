"""The items of an annotation file as columns: fast where they are of the usual form, one by one where they are not.

Exporters write the same fact in several forms (`iscrowd` as 0, "0", false, null or not at all). All of them are read
here, and what can't be read is told with its key path.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from pkdcli.data.annotations.coco_file import LIST_HINT, CocoFile
from pkdcli.data.annotations.masks import MaskColumns
from pkdcli.data.checks.findings import Findings, kind_of, short

MAX_ID = 2**63 - 1
ID_HINT = f"Ids are whole numbers from 0 to {MAX_ID}, each used once."
_CHUNK = 1 << 14  # items that are Python objects at a time
_REQUIRED = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}
_FLAGS = {"": False, "0": False, "1": True, "false": False, "true": True, "no": False, "yes": True}


class _Image(msgspec.Struct, gc=False):
    id: int
    file_name: str
    width: float
    height: float


class _Annotation(msgspec.Struct, gc=False):
    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float | None = None
    iscrowd: int | bool | float | str | None = None
    ignore: int | bool | float | str | None = None
    segmentation: msgspec.Raw = msgspec.Raw(b"")


_IMAGES = msgspec.json.Decoder(list[_Image])
_ANNOTATIONS = msgspec.json.Decoder(list[_Annotation])


class Shapeless(ValueError):
    """An item is of no form that can be read; what it lacks was noted."""


def _chunks(
    file: CocoFile, part: str, decoder: msgspec.json.Decoder, fast: Callable, slow: Callable
) -> Iterator[tuple[int, Sequence[Any], Any]]:
    """(place of the first item, the unread items, their columns) of one chunk of a part after the other.

    `fast` makes columns of a chunk's decoded structs; where one is of another form, `slow` makes them of Python values.
    """
    items = file.parts[part]
    for start in range(0, len(items), _CHUNK):
        chunk = items[start : start + _CHUNK]
        if file.text is not None:
            text = b"[" + b",".join(chunk) + b"]"
            try:
                columns = fast(decoder.decode(text))
            except (msgspec.MsgspecError, ValueError, OverflowError, TypeError):
                columns = slow(start, json.loads(text))
        else:
            columns = slow(start, chunk)
        yield start, chunk, columns


def read_images(file: CocoFile, shape: Findings, found: Findings) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The images of a file.

    Args:
        file: Its unread parts.
        shape: Takes items that are no objects or lack keys.
        found: Takes values that are wrong.

    Returns:
        Ids int64 (N,), -1 for one that is none; sizes float64 (N, 2), width and height in pixels, NaN where wrong; and
        the file names.
    """

    def fast(rows: list[_Image]) -> tuple[list[int], np.ndarray, list[str]]:
        sizes = np.array([(row.width, row.height) for row in rows], dtype=np.float64).reshape(-1, 2)
        names = [row.file_name for row in rows]
        if not (sizes >= 1).all() or not all(names):
            raise Shapeless
        return _ids([row.id for row in rows]), sizes, names

    def slow(start: int, items: list[Any]) -> tuple[list[int], np.ndarray, list[str]]:
        rows = [_image(item, start + place, shape, found) for place, item in enumerate(items)]
        return [row[0] for row in rows], np.array([row[1:3] for row in rows]).reshape(-1, 2), [row[3] for row in rows]

    parts = [columns for _, _, columns in _chunks(file, "images", _IMAGES, fast, slow)]
    ids = np.array([id_ for part in parts for id_ in part[0]], dtype=np.int64)
    sizes = np.concatenate([np.zeros((0, 2)), *(part[1] for part in parts)])
    return ids, sizes, [name for part in parts for name in part[2]]


def _image(item: Any, index: int, shape: Findings, found: Findings) -> tuple[int, float, float, str]:
    if not _has_keys(item, "images", index, shape):
        return -1, math.nan, math.nan, ""
    width, height, name = item["width"], item["height"], item["file_name"]
    for key, value in (("width", width), ("height", height)):
        if not _finite(value) or value < 1:
            hint = "`width` and `height` are those of the image file, in pixels."
            found.add("sizes are not positive numbers", f"images[{index}].{key} = {short(value)}", hint)
            width = height = math.nan
    if not isinstance(name, str) or not name:
        hint = "`file_name` is the path of the image file, relative to the image folder."
        found.add("file names are not strings", f"images[{index}].file_name = {short(name)}", hint)
        name = ""
    return _own_id(item, "images", index, found), width, height, name


def read_categories(file: CocoFile, shape: Findings, found: Findings) -> tuple[list[int], list[str], list[Any]]:
    """Ids (-1 for one that is none), names and supercategories of a file's categories.

    Args:
        file: With the part `categories`.
        shape: Takes what is no object, or lacks a key.
        found: Takes what is wrong with an id.
    """
    ids, names, above = [], [], []
    for index, item in enumerate(file.parts["categories"]):
        value = json.loads(bytes(item)) if file.text is not None else item
        if _has_keys(value, "categories", index, shape):
            ids.append(_own_id(value, "categories", index, found))
            names.append(value["name"])
            above.append(value.get("supercategory"))
    return ids, names, above


class AnnotationColumns:
    """The annotations of a file, one column a key.

    Attributes:
        id: int64 (N,), -1 for one that is none.
        image_id: int64 (N,), -1 for one that is none, whose value is in `odd`.
        category_id: The same.
        odd: By (key, place), a reference that is no id.
        bbox: float64 (N, 4), x, y, width, height in pixels; NaN where wrong.
        area: float64 (N,), that of the box where the file gives none.
        iscrowd: bool (N,).
        ignore: bool (N,).
        masks: The segmentations.
        n_computed: Annotations whose area the file does not give.
    """

    def __init__(self, file: CocoFile, shape: Findings, found: Findings, keep: bool = True) -> None:
        n = len(file.parts["annotations"])
        self.id, self.image_id, self.category_id = (np.full(n, -1, dtype=np.int64) for _ in range(3))
        self.bbox, self.area = np.full((n, 4), np.nan), np.full(n, np.nan)
        self.iscrowd, self.ignore = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        self.masks = MaskColumns(n, keep)
        self.odd: dict[tuple[str, int], Any] = {}
        self.n_computed = 0
        self._shape, self._found = shape, found
        for start, items, rows in _chunks(file, "annotations", _ANNOTATIONS, self._fast, self._slow):
            self._store(start, rows)
            self.masks.add(start, items, rows["segmentation"], file.text)
        self.masks.finish(file.text)

    def _fast(self, rows: list[_Annotation]) -> dict[str, Any]:
        area = np.array([math.nan if row.area is None else row.area for row in rows])
        return {
            "id": _ids([row.id for row in rows]),
            "image_id": _ids([row.image_id for row in rows]),
            "category_id": _ids([row.category_id for row in rows]),
            "bbox": np.array([row.bbox for row in rows]),
            "area": area,
            "computed": np.isnan(area),
            "iscrowd": _flags([row.iscrowd for row in rows]),
            "ignore": _flags([row.ignore for row in rows]),
            "segmentation": [bytes(row.segmentation) for row in rows],
        }

    def _slow(self, start: int, items: list[Any]) -> dict[str, Any]:
        rows = [self._one(item, start + place) for place, item in enumerate(items)]
        return {key: [row[key] for row in rows] for key in rows[0]}

    def _one(self, item: Any, index: int) -> dict[str, Any]:
        row: dict[str, Any] = {"id": -1, "image_id": -1, "category_id": -1, "bbox": [math.nan] * 4, "area": math.nan}
        row |= {"computed": False, "iscrowd": False, "ignore": False, "segmentation": ""}
        if not _has_keys(item, "annotations", index, self._shape):
            return row
        row["id"] = _own_id(item, "annotations", index, self._found)
        for key in ("image_id", "category_id"):
            row[key] = whole(item[key])
            if row[key] < 0:
                self.odd[key, index] = item[key]
        box, area = item["bbox"], item.get("area")
        if type(box) is not list or len(box) != 4 or not all(map(_finite, box)):
            hint = "`bbox` is [x, y, width, height] in pixels: four finite numbers."
            self._found.add("boxes are not four finite numbers", f"annotations[{index}].bbox = {short(box)}", hint)
        else:
            row["bbox"] = box
        if area is None:
            row["computed"] = True
        elif not _finite(area):
            hint = "`area` is that of the mask, in square pixels, or width x height where there is none."
            self._found.add("areas are not finite numbers", f"annotations[{index}].area = {short(area)}", hint)
        else:
            row["area"] = area
        for key in ("iscrowd", "ignore"):
            try:
                row[key] = flag(item.get(key))
            except Shapeless:
                hint = f"`{key}` is 0 or 1, or absent."
                place = f"annotations[{index}].{key} = {short(item[key])}"
                self._found.add("flags are neither 0 nor 1", place, hint)
        segmentation = item.get("segmentation")
        if segmentation is not None and not isinstance(segmentation, list | dict):
            hint = "`segmentation` is a list of polygons or an object of run lengths; absent or [] where there is none."
            place = f"annotations[{index}].segmentation = {short(segmentation)}"
            self._found.add("segmentations are neither a list nor an object", place, hint)
        elif segmentation:
            row["segmentation"] = json.dumps(segmentation)
        return row

    def _store(self, start: int, rows: dict[str, Any]) -> None:
        here = slice(start, start + len(rows["id"]))
        for key in ("id", "image_id", "category_id", "bbox", "area", "iscrowd", "ignore"):
            getattr(self, key)[here] = rows[key]
        computed = np.asarray(rows["computed"], dtype=bool)
        self.n_computed += int(computed.sum())
        box = self.bbox[here]
        self.area[here][computed] = (box[:, 2] * box[:, 3])[computed]


def _ids(values: list[int]) -> np.ndarray:
    ids = np.array(values, dtype=np.int64)  # OverflowError above MAX_ID
    if len(ids) and ids.min() < 0:
        raise Shapeless
    return ids


def _flags(values: list[Any]) -> np.ndarray:
    kinds = {value: flag(value) for value in set(values)}
    return np.array([kinds[value] for value in values], dtype=bool)


def flag(value: Any) -> bool:
    """What 0 or 1 an exporter means.

    Raises:
        Shapeless: Neither.
    """
    if value is None:
        return False
    if isinstance(value, bool | int | float) and math.isfinite(value):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in _FLAGS:
        return _FLAGS[value.strip().lower()]
    raise Shapeless


def whole(value: Any) -> int:
    """An id, also where it is written 1.0; -1 for what is none."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= MAX_ID else -1


def _own_id(item: dict[str, Any], part: str, index: int, found: Findings) -> int:
    value = whole(item["id"])
    if value < 0:
        big = isinstance(item["id"], int | float) and not isinstance(item["id"], bool) and item["id"] > MAX_ID
        kind = f"ids are above {MAX_ID}" if big else "ids are not whole numbers from 0"
        found.add(kind, f"{part}[{index}].id = {short(item['id'])}", ID_HINT)
    return value


def _has_keys(item: Any, part: str, index: int, shape: Findings) -> bool:
    """Whether an item is an object with every key that is needed; what it lacks is noted."""
    if not isinstance(item, dict):
        shape.add(f"{part} holds what is no object", f"{part}[{index}] is {kind_of(item)}", LIST_HINT)
        return False
    missing = [key for key in _REQUIRED[part] if key not in item]
    for key in missing:
        hint = f"Every one of `{part}` needs {', '.join(f'`{key}`' for key in _REQUIRED[part])}."
        shape.add("keys are missing", f"{part}[{index}].{key}", hint)
    return not missing


def _finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
