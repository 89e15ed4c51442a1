"""The parts of a COCO-format file: reading it, and checks of its images, categories and annotations."""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pkdcli.errors import ExitCode, PkdError, nearest

_SHAPE = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox", "area"),
    "categories": ("id", "name"),
}
_LIST_HINT = "`images`, `annotations` and `categories` are lists of objects."
_ID_HINT = "Ids are whole numbers from 0, each used once."


class Findings:
    """Problems by kind, each with its count, its first few places and its remedy."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._found: dict[str, tuple[list[str], list[int], str]] = {}

    def add(self, kind: str, place: str, hint: str) -> None:
        places, count, _ = self._found.setdefault(kind, ([], [0], hint))
        count[0] += 1
        if place and len(places) < self._limit:
            places.append(place)

    def refuse(self, file: Path, where: str | None) -> None:
        """Raise one error for everything found so far."""
        if not self._found:
            return
        lines = []
        for kind, (places, (count,), _) in self._found.items():
            more = f" and {count - len(places)} more" if places and count > len(places) else ""
            lines.append(f"{kind}{': ' if places else ''}{', '.join(places)}{more}.")
        hint = " ".join(dict.fromkeys(hint for _, _, hint in self._found.values()))
        if len(lines) == 1:
            raise PkdError(f"{prefix(where)}{file}: {lines[0]}", hint)
        raise PkdError("\n  ".join([f"{prefix(where)}{file}: {len(lines)} problems:", *lines]), hint)


def prefix(where: str | None) -> str:
    """The beginning of a message about what stands at `where`."""
    return f"{where}: " if where else ""


def quoted(words: Iterable[str]) -> str:
    return ", ".join(repr(word) for word in words)


def load(file: Path, where: str | None, absent: ExitCode, remedy: str | None) -> dict[str, Any]:
    """The content of an annotation file, at least an object."""
    at = prefix(where)
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        hint = remedy or "`annotations` in a data recipe names a COCO-format JSON file, relative to the recipe."
        raise PkdError(f"{at}the annotation file {file} does not exist.", hint, absent) from None
    except IsADirectoryError:
        raise PkdError(f"{at}{file} is a folder.", "Name the annotation file in it.") from None
    except OSError as error:
        hint = "Check the permissions of the file and of the folders above it."
        raise PkdError(f"{at}can't read {file}: {error.strerror or error}.", hint) from error
    if not data.strip():
        hint = "Its download or conversion was probably interrupted: fetch or make it again."
        raise PkdError(f"{at}{file} is empty.", hint)
    # A million small lists make the collector run over and over, for half of the time and to no purpose.
    collecting = gc.isenabled()
    gc.disable()
    try:
        coco = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError:
        hint = "If it is packed (.gz, .zip), unpack it; otherwise save it as JSON in UTF-8."
        raise PkdError(f"{at}{file} is not a text file in UTF-8.", hint) from None
    except json.JSONDecodeError as error:
        # Nothing but space after the place of the error, or a string that never ends: the file stops too early.
        cut = error.msg.startswith("Unterminated string") or not error.doc[error.pos :].strip()
        kind = "stops too early" if cut else "is not valid JSON"
        hint = (
            "Its download or conversion was probably interrupted: fetch or make it again."
            if cut
            else "Annotations are one JSON object in COCO's format, with `images`, `annotations` and `categories`."
        )
        raise PkdError(f"{at}{file} {kind}: line {error.lineno}, column {error.colno}: {error.msg}.", hint) from None
    except RecursionError:
        raise PkdError(f"{at}{file} is nested too deeply.", "It is not in COCO's format.") from None
    finally:
        if collecting:
            gc.enable()
    if not isinstance(coco, dict):
        hint = "Annotations are one JSON object with `images`, `annotations` and `categories`."
        if isinstance(coco, list) and coco and isinstance(coco[0], dict) and "score" in coco[0]:
            hint = f"These look like detections (they have a `score`), not annotations. {hint}"
        raise PkdError(f"{at}{file} holds {_kind(coco)}, not an object.", hint)
    return coco


def _kind(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return {dict: "an object", list: "a list", str: "a string"}.get(type(value), "a number")


def check_keys(coco: dict[str, Any], found: Findings, parts: Iterable[str] = tuple(_SHAPE)) -> None:
    """Every part is there, a list of objects, each with the keys that mmdet reads."""
    for part in parts:
        if part not in coco:
            guess = nearest(part, coco)
            hint = "A COCO-format file has the keys `images`, `annotations` and `categories`."
            found.add(f"the key {part} is missing" + (f" (there is {guess!r})" if guess else ""), "", hint)
        elif not isinstance(coco[part], list):
            found.add(f"{part} is {_kind(coco[part])}", "", _LIST_HINT)
        else:
            keys = frozenset(_SHAPE[part])
            for index, item in enumerate(coco[part]):
                if type(item) is dict and keys <= item.keys():
                    continue
                if not isinstance(item, dict):
                    found.add(f"{part} holds what is no object", f"{part}[{index}] is {_kind(item)}", _LIST_HINT)
                    continue
                hint = f"Every one of `{part}` needs {', '.join(f'`{key}`' for key in _SHAPE[part])}."
                if part == "annotations" and "area" not in item:
                    hint += " Where there is no mask, `area` is width x height of the box."
                for key in _SHAPE[part]:
                    if key not in item:
                        found.add("keys are missing", f"{part}[{index}].{key}", hint)


def _check_ids(part: str, items: list[dict[str, Any]], found: Findings) -> None:
    seen: dict[int, int] = {}
    for index, item in enumerate(items):
        value = item["id"]
        if type(value) is not int or value < 0:
            found.add("ids are not whole numbers from 0", f"{part}[{index}].id = {_short(value)}", _ID_HINT)
        elif seen.setdefault(value, index) != index:
            place = f"{part}[{seen[value]}].id and {part}[{index}].id = {value}"
            found.add(f"ids of {part} are used twice", place, _ID_HINT)


def check_categories(coco: dict[str, Any], found: Findings) -> list[str]:
    items, seen = coco["categories"], {}
    hint = "Every class is listed once, by a name of its own."
    if not items:
        found.add("categories is an empty list", "", hint)
    _check_ids("categories", items, found)
    for index, item in enumerate(items):
        name = item["name"]
        if not isinstance(name, str) or not name.strip():
            found.add("classes have no name", f"categories[{index}].name = {_short(name)}", hint)
        elif seen.setdefault(name, index) != index:
            place = f"categories[{seen[name]}].name and categories[{index}].name = {name!r}"
            found.add("classes are listed twice", place, hint)
    return [item["name"] for item in items]


def check_images(coco: dict[str, Any], found: Findings) -> dict[Any, tuple[float, float]]:
    """Width and height of every image by its id."""
    sizes: dict[Any, tuple[float, float]] = {}
    _check_ids("images", coco["images"], found)
    for index, item in enumerate(coco["images"]):
        width, height, name = item["width"], item["height"], item["file_name"]
        for key, value in (("width", width), ("height", height)):
            if not _finite(value) or value < 1:
                hint = "`width` and `height` are those of the image file, in pixels."
                found.add("sizes are not positive numbers", f"images[{index}].{key} = {_short(value)}", hint)
                width = height = math.inf
        if not isinstance(name, str) or not name:
            hint = "`file_name` is the path of the image file, relative to the image folder."
            found.add("file names are not strings", f"images[{index}].file_name = {_short(name)}", hint)
        if type(item["id"]) is int:
            sizes[item["id"]] = (width, height)
    return sizes


def check_annotations(
    coco: dict[str, Any], sizes: dict[Any, tuple[float, float]], categories: set[Any], found: Findings
) -> tuple[int, int, int]:
    """Count zero-size boxes, boxes outside their image, and annotations with a segmentation."""
    zero = outside = masks = 0
    _check_ids("annotations", coco["annotations"], found)
    for index, item in enumerate(coco["annotations"]):
        image, category, box, area = item["image_id"], item["category_id"], item["bbox"], item["area"]
        if type(image) is not int or image not in sizes:
            hint = "Every `image_id` is the `id` of one of `images`: remove these annotations or list their images."
            found.add(
                "annotations name images that are not listed", f"annotations[{index}].image_id = {_short(image)}", hint
            )
        if type(category) is not int or category not in categories:
            hint = "Every `category_id` is the `id` of one of `categories`: list the class, or correct the annotation."
            place = f"annotations[{index}].category_id = {_short(category)}"
            found.add("annotations name classes that are not listed", place, hint)
        masks += bool(item.get("segmentation"))
        if type(box) is not list or len(box) != 4 or not all(map(_finite, box)):
            hint = "`bbox` is [x, y, width, height] in pixels: four finite numbers."
            place = f"annotations[{index}].bbox = {_short(box)}"
            found.add("boxes are not four finite numbers", place, hint)
            continue
        if not _finite(area):
            hint = "`area` is that of the mask, in square pixels, or width x height where there is none."
            found.add("areas are not finite numbers", f"annotations[{index}].area = {_short(area)}", hint)
            continue
        x, y, width, height = box
        across, down = sizes.get(image, (math.inf, math.inf)) if type(image) is int else (math.inf, math.inf)
        # mmdet's CocoDataset.parse_data_info leaves out exactly these.
        if width < 1 or height < 1 or area <= 0:
            zero += not item.get("iscrowd")
        elif min(x + width, across) <= max(x, 0) or min(y + height, down) <= max(y, 0):
            outside += not item.get("iscrowd")
    return zero, outside, masks


def _finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
