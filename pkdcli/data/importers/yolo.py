"""YOLO: a text file for each image, a line an object: class, then centre, width and height as shares of the picture."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pkdcli.data.importers.files import IMAGES, Tree, sizes_of
from pkdcli.data.importers.polygons import area_of, box_of
from pkdcli.data.importers.source import Picture, Source, Thing, split_in
from pkdcli.errors import PkdError

FORM = "YOLO"
NAMES = ("classes.txt", "obj.names", "labels.txt", "names.txt", "predefined_classes.txt")
"""Files of class names, a line each, where there is no data.yaml."""

_EDGE = 1e-3  # of the picture, by which rounded numbers may lie beyond it


def config_of(tree: Tree) -> Path | None:
    """The data.yaml of a folder: a YAML file with `names`."""
    found = [path for path in tree.files(".yaml", ".yml") if "names" in (_yaml(path) or {})]
    named = [path for path in found if path.stem in ("data", "dataset")]
    return next(iter([*named, *found]), None)


def names_file(tree: Tree) -> Path | None:
    """The list of class names of a folder without a data.yaml."""
    return next((path for path in tree.files(".txt", ".names") if path.name in NAMES), None)


def read(tree: Tree, config: Path | None) -> Source:
    """The pictures of YOLO's label files; one without a label file has no objects.

    Args:
        tree: The files of the source.
        config: Its data.yaml; None to look for it, or for a list of names.

    Raises:
        PkdError: No names of classes, or a class number beyond them.
    """
    found = Source(FORM, tree.root)
    config = config or config_of(tree)
    listing = config or names_file(tree)
    if listing is None:
        raise PkdError(
            f"{tree.root}: labels of YOLO without the names of their classes.",
            f"Put a data.yaml there with `names: [cat, dog]`, or one of {', '.join(NAMES)} with a name a line.",
        )
    found.classes = _names(config) if config else _lines(listing)
    if not found.classes:
        raise PkdError(f"{listing}: it names no class.", "Example: `names: [cat, dog]`.")
    bare, used = 0, set()
    for path, split in _images(tree, config):
        label = _label_of(path)
        used.add(label)
        things = _things(label, path, found, tree, listing) if label else []
        if things is None:
            continue
        bare += label is None
        sizes = sizes_of(path)
        if isinstance(sizes, str):
            found.skip(tree.name_of(path), sizes)
            continue
        width, height = sizes[1]  # labelling tools, and YOLO itself, turn a photo upright first
        scaled = [_in_pixels(one, width, height) for one in things]
        found.pictures.append(Picture(path, tree.name_of(path), width, height, scaled, split))
    if bare:
        found.notes.append(f"{bare} images have no label file and so, as YOLO has it, no objects.")
    for path in tree.files(".txt"):
        if "labels" in tree.relative(path).split("/")[:-1] and path not in used and path != listing:
            found.skip(tree.relative(path), "there is no image of its name")
    return found


def _things(label: Path, image: Path, found: Source, tree: Tree, listing: Path) -> list[Thing] | None:
    """The objects of a label file, in shares of the picture; None for a file that can't be read."""
    said = tree.relative(label)
    try:
        lines = label.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        found.skip(said, f"can't be read as text: {getattr(error, 'strerror', None) or 'it is not UTF-8'}")
        return None
    things, seen = [], set()
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        place = f"{said}, line {number}"
        try:
            values = [float(word) for word in words]
        except ValueError:
            found.skip(place, f"{line.strip()[:40]!r} is not made of numbers")
            continue
        kind = values[0]
        if not all(map(math.isfinite, values)) or kind != int(kind) or kind < 0:
            found.skip(place, f"{line.strip()[:40]!r} does not begin with a class number, or is not finite")
            continue
        if kind >= len(found.classes):
            known = ", ".join(f"{at} {name}" for at, name in enumerate(found.classes[:8]))
            raise PkdError(
                f"{label}, line {number}: class {int(kind)}, but {listing} names {len(found.classes)}: {known}"
                f"{', ...' if len(found.classes) > 8 else ''}.",
                f"Add the missing names to {listing.name}, or correct the line: numbers begin at 0, so the last is "
                f"{len(found.classes) - 1}.",
            )
        thing = _thing(found.classes[int(kind)], values[1:])
        if isinstance(thing, str):
            found.skip(place, thing)
        elif tuple(values) in seen:
            found.skip(place, "stands there before")
        else:
            seen.add(tuple(values))
            things.append(thing)
    return things


def _thing(label: str, numbers: list[float]) -> Thing | str:
    """An object in shares of the picture, or what is wrong with it."""
    if len(numbers) == 5:
        return "has a sixth number, as detections have a score; labels have five"
    if len(numbers) < 4 or len(numbers) % 2:
        return f"has {len(numbers) + 1} numbers: five make a box, and an odd number from seven on a polygon"
    if len(numbers) > 4:
        if min(numbers) < -_EDGE or max(numbers) > 1 + _EDGE:
            return "has numbers that are no shares of the picture, from 0 to 1"
        box = box_of(numbers)
        return Thing(label, box, segmentation=[numbers]) if min(box[2:]) > 0 else "is a polygon without an area"
    x, y, width, height = numbers
    if min(numbers) < -_EDGE or max(numbers) > 1 + _EDGE:
        return "has numbers that are no shares of the picture, from 0 to 1"
    if min(width, height) <= 0:
        return "has no width or height"
    return Thing(label, (x - width / 2, y - height / 2, width, height))


def _in_pixels(thing: Thing, width: int, height: int) -> Thing:
    """The same in pixels; what rounding put beyond the picture's edge is cut off."""
    x, y, w, h = thing.bbox
    left, top = min(max(x, 0.0), 1.0) * width, min(max(y, 0.0), 1.0) * height
    right, bottom = min(max(x + w, 0.0), 1.0) * width, min(max(y + h, 0.0), 1.0) * height
    thing.bbox = tuple(round(side, 3) for side in (left, top, right - left, bottom - top))
    if thing.segmentation is not None:
        (points,) = thing.segmentation
        sides = (width, height)
        thing.segmentation = [[round(value * sides[at % 2], 3) for at, value in enumerate(points)]]
        thing.area = round(area_of(thing.segmentation[0]), 3)
    return thing


def _images(tree: Tree, config: Path | None) -> Iterable[tuple[Path, str | None]]:
    """The images with the split that data.yaml, or their folder, puts them into."""
    content = (_yaml(config) if config else None) or {}
    splits: dict[Path, str] = {}
    for split in ("train", "val", "valid", "test"):
        places = content.get(split) or []
        for place in places if isinstance(places, list) else [places]:
            for path in _listed(config, content, str(place)):
                splits.setdefault(path.resolve(), "val" if split == "valid" else split)
    for path in tree.images:
        yield path, splits.get(path.resolve()) or (None if splits else split_in(tree.name_of(path)))


def _listed(config: Path, content: dict[str, Any], place: str) -> list[Path]:
    """The images of a folder, or of a text file that lists them, as data.yaml names it."""
    roots = [config.parent / str(content.get("path") or ""), config.parent]
    # Roboflow writes `../train/images` where the folder is beside data.yaml.
    texts = [place, place.removeprefix("../"), place.removeprefix("./")]
    for path in (root / text for root in roots for text in texts):
        if path.is_dir():
            return [one for one in path.rglob("*") if one.suffix.lower() in IMAGES]
        if path.is_file():
            lines = [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]
            return [found for line in lines for found in (path.parent / line, roots[0] / line) if found.is_file()]
    return []


def _label_of(image: Path) -> Path | None:
    for path in (_swap(image, "images", "labels").with_suffix(".txt"), image.with_suffix(".txt")):
        if path.is_file() and path.name not in NAMES:
            return path
    beside = image.parent / "labels" / f"{image.stem}.txt"
    return beside if beside.is_file() else None


def _swap(path: Path, there: str, here: str) -> Path:
    """The path with its last folder of one name changed into another."""
    parts = list(path.parts)
    for at in range(len(parts) - 2, -1, -1):
        if parts[at] == there:
            parts[at] = here
            return Path(*parts)
    return path


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]


def _names(config: Path) -> list[str]:
    names = (_yaml(config) or {}).get("names")
    if isinstance(names, dict):
        if sorted(names) != list(range(len(names))):
            raise PkdError(f"{config}: names: its numbers are not 0 to {len(names) - 1}.", "Number them from 0 on.")
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or len({str(name) for name in names}) != len(names):
        raise PkdError(f"{config}: names: it is no list of different names.", "Example: `names: [cat, dog]`.")
    return [str(name).strip() for name in names]


def _yaml(path: Path) -> dict[str, Any] | None:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    return content if isinstance(content, dict) else None
