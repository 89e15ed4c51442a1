"""The few images with detections that runs have kept, each image once however many runs show it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pkdcli.reporting.curves import number
from pkdcli.reporting.page.packed import packed_boxes
from pkdcli.runs.find import teacher_of
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_object

if TYPE_CHECKING:
    from pkdcli.data.images.reading import Reading

SIDE = 320  # of a thumbnail, pixels
_QUALITY = 62
_OBJECT = msgspec.json.Decoder(dict[str, Any])
_PLAIN = frozenset({float, int})
_LARGEST = 64 * 2**20  # bytes of an image file


class Samples:
    """Detections and thumbnails for the page's data.

    Attributes:
        sets: Of each detector, its `classes`, and the places of `images` with what was `found` in each: lists of
            x1, y1, x2, y2 (pixels), label, score.
        images: `src` (a data URI, or empty where the file can't be read), `w`, `h`, `file`, and the objects, `truth`:
            x1, y1, x2, y2, label, and 1 for a crowd.
    """

    def __init__(self, most: int = 30, least: float = 0.05) -> None:
        """Keep at most so many detections an image, with this score or a higher one."""
        self.most, self.least = most, least
        self.sets: list[dict[str, Any]] = []
        self.images: list[dict[str, Any]] = []
        self._known: dict[Path, int | None] = {}
        self._places: dict[tuple, int] = {}
        self._objects: dict[str, tuple[Any, list[list[float | int]]]] = {}

    def shared(self) -> dict[str, Any]:
        """`images` and `sets` for the page's script; a set names the one that has the same classes by its place."""
        first: dict[tuple[str, ...], int] = {}
        sets = []
        for place, one in enumerate(self.sets):
            known = first.setdefault(tuple(one["classes"]), place)
            classes = one["classes"] if known == place else known
            sets.append({**one, "classes": classes, "found": [packed_boxes(boxes) for boxes in one["found"]]})
        return {"images": self.images, "sets": sets}

    def of_run(self, folder: str | None, data: str | None, split: str | None) -> int | None:
        """The place of a run's set; None where it has kept nothing. What `pkd eval` has kept will do as well.

        Args:
            folder: The run directory.
            data: The data set's name.
            split: The split that was evaluated; val where it is not known.
        """
        if not folder:
            return None
        paths = RunPaths(Path(folder))
        return self._first(paths.samples, paths.evaluation_samples(str(data), split or "val"))

    def of_teacher(self, folder: str | None, data: str | None, split: str | None) -> int | None:
        """The place of the set of a distilled run's teacher.

        Args:
            folder: The directory of the distilled run.
            data: The data set's name.
            split: The split that was evaluated; val where it is not known.
        """
        if not folder:
            return None
        paths = RunPaths(Path(folder))
        teacher = teacher_of(paths)
        own = [teacher.samples] if teacher is not None else []
        return self._first(*own, paths.evaluation_samples(f"teacher-{data}", split or "val"))

    def _first(self, *files: Path) -> int | None:
        return next((place for file in files if (place := self._read(file)) is not None), None)

    def _read(self, file: Path) -> int | None:
        if file not in self._known:
            self._known[file] = self.add(_content(file))
        return self._known[file]

    def add(self, content: dict[str, Any]) -> int | None:
        """The place of the set of some samples, in the form of a run's file; None where there is nothing in it."""
        images = content.get("images")
        if not isinstance(images, list):
            return None
        classes = [str(name) for name in content.get("classes") or []]
        places, found = [], []
        for image in images:
            if not isinstance(image, dict) or not number(image.get("width")) or not number(image.get("height")):
                continue
            places.append(self._image(image))
            found.append(list(islice(_detections(image.get("detections") or [], self.least), self.most)))
        if not places:
            return None
        self.sets.append({"classes": classes, "images": places, "found": found})
        return len(self.sets) - 1

    def _image(self, image: dict[str, Any]) -> int:
        path = str(image.get("path") or "")
        truth = self._truth(path, image.get("truth") or [])
        key = (path, tuple(map(tuple, truth)))
        if key not in self._places:
            self._places[key] = len(self.images)
            size = {"w": image["width"], "h": image["height"]}
            self.images.append(
                {"src": _shown(image, path), **size, "file": str(image.get("file") or path), "truth": truth}
            )
        return self._places[key]

    def _truth(self, path: str, objects: Any) -> list[list[float | int]]:
        """The objects of an image, which nearly every run has noted alike."""
        known = self._objects.get(path)
        if known is None or known[0] != objects:
            known = self._objects[path] = (objects, [box for one in objects if (box := _object(one))])
        return known[1]


def _shown(image: dict[str, Any], path: str) -> str:
    from pkdcli.data.images.reading import Reading

    reading = Reading.of(image.get("exif"), image.get("pixel_range"))
    return thumbnail(Path(path), (image["width"], image["height"]), reading)


def thumbnail(path: Path, size: tuple[float, float] | None = None, reading: Reading | None = None) -> str:
    """A small WebP of an image as a data URI; empty where the file is gone or is no image of that size.

    Args:
        path: The file.
        size: Width and height as annotated.
        reading: How the images of its data set are read.
    """
    import cv2

    from pkdcli.data.images.loading_error import ImageError
    from pkdcli.data.images.pixels import read
    from pkdcli.data.images.reading import USUAL

    try:
        if path.stat().st_size > _LARGEST:
            return ""
        image = read(path, size, reading or USUAL)
        factor = SIDE / max(image.shape[:2])
        if factor < 1:
            sides = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
            image = cv2.resize(image, sides, interpolation=cv2.INTER_AREA)
        written, small = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    except (OSError, ValueError, ImageError, cv2.error):
        return ""
    return f"data:image/webp;base64,{base64.b64encode(small.tobytes()).decode('ascii')}" if written else ""


def _content(file: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one where it is absent, not whole, or something else."""
    try:
        return _OBJECT.decode(file.read_bytes())
    except OSError:
        return {}
    except (msgspec.MsgspecError, RecursionError):
        return read_object(file)


def _box(one: Any) -> list[float | int] | None:
    if not isinstance(one, dict):
        return None
    sides, label = one.get("box"), one.get("label")
    if not isinstance(sides, list) or len(sides) != 4 or not isinstance(label, int):
        return None
    plain = _PLAIN.issuperset(map(type, sides)) and abs(sum(sides)) < 1e300  # as nearly all are
    if not plain and any(number(side) is None for side in sides):
        return None
    return [*map(round, sides), label]


def _object(one: Any) -> list[float | int] | None:
    box = _box(one)
    return None if box is None else [*box, int(bool(one.get("crowd")))]


def _detections(items: Any, least: float) -> Iterator[list[float | int]]:
    """Those with this score or a higher one; the score is looked at first, since most are below."""
    for one in items:
        score = number(one.get("score")) if isinstance(one, dict) else None
        if score is not None and (score := round(score, 2)) >= least and (box := _box(one)) is not None:
            yield [*box, score]
