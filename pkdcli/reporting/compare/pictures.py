"""The images where two groups of runs differ most, each with its objects and with what either has found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pkdcli.data.images.file_names import path_of
from pkdcli.data.images.loading_error import ImageError
from pkdcli.reporting.compare.groups import Against, Group, labels
from pkdcli.reporting.compare.scored import Scored

LEAST = 0.3
"""Score from which on a detection is drawn."""
SHOWN = 6
"""Pictures of each pair of groups."""
_SIDE = 480  # pixels: a smaller image is drawn larger, so that the names of classes can be read on it


def columns(found: Sequence[Against], teacher: Group | None = None) -> list[tuple[str, Scored]]:
    """Whose detections stand beside each other, by name: the first run of each group, the teacher's first.

    Args:
        found: The groups, each against the same A.
        teacher: Their teacher, where its detections are kept.
    """
    groups = [found[0].a, *(one.b for one in found)]
    named = [(name, group.runs[0]) for name, group in zip(labels(groups), groups, strict=True)]
    named = [*([("teacher", teacher.runs[0])] if teacher is not None else []), *named]
    # One data set may have moved between runs: the pictures are those of a folder that is there.
    there = next((run for _, run in named if run.pictures is not None and run.pictures.is_dir()), named[0][1])
    return [(name, replace(run, pictures=there.pictures, reading=there.reading)) for name, run in named]


def images(found: Sequence[Against], most: int = SHOWN) -> list[int]:
    """The ids of the images to draw, those where the groups differ most first; each once.

    Args:
        found: The groups, each against the same A.
        most: From each pair of groups.
    """
    return list(dict.fromkeys(image for one in found for image, _, _ in one.by_image[:most]))


def samples(run: Scored, chosen: Sequence[int]) -> dict[str, Any]:
    """Images with objects and detections, in the form of the samples that runs keep.

    Args:
        run: Whose detections.
        chosen: Ids of images.
    """
    truth = run.truth.annotations
    names = run.classes
    label = {name: place for place, name in enumerate(names)}
    reading = run.reading
    made = []
    for image in chosen:
        place = run.truth.image_place(image)
        file = truth.file_name[place]
        objects = [
            {"box": _corners(truth.bbox[at]), "label": label[truth.classes[truth.category[at]]],
             "crowd": bool(truth.iscrowd[at] or truth.ignore[at])}
            for at in np.flatnonzero(truth.image == place).tolist() if truth.classes[truth.category[at]] in label
        ]  # fmt: skip
        boxes, scores, kinds = detections(run, image)
        seen = [{"box": box, "score": score, "label": label[run.found.classes[kind]]}
                for box, score, kind in zip(boxes.tolist(), scores.tolist(), kinds.tolist(), strict=True)]  # fmt: skip
        width, height = _size(run, place, objects + seen)
        one = {"id": image, "file": file, "width": width, "height": height, "truth": objects, "detections": seen}
        one["path"] = str(path_of(run.pictures, file)) if run.pictures else ""
        if reading is not None:
            one |= {"exif": reading.exif, "pixel_range": reading.pixel_range}
        made.append(one)
    return {"classes": names, "images": made}


def detections(run: Scored, image: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes (n, 4), scores (n,) and labels (n,) of an image, the highest score first.

    Args:
        run: Whose.
        image: The image's id.
    """
    at = int(np.flatnonzero(run.found.images == image)[0])
    end = int(np.cumsum(run.found.counts)[at])
    own = slice(end - int(run.found.counts[at]), end)
    order = np.argsort(-run.found.scores[own], kind="stable")
    return run.found.boxes[own][order], run.found.scores[own][order], run.found.labels[own][order]


def write_pictures(found: Sequence[Against], folder: Path, teacher: Group | None = None) -> list[Path]:
    """Draw the images where the groups differ most as PNG files, objects and detections side by side.

    Args:
        found: The groups, each against the same A.
        folder: Where to write.
        teacher: Their teacher, where its detections are kept.

    Returns:
        The files; images that can't be read are left out.

    Raises:
        PkdError: The folder can't be written.
    """
    import cv2

    from pkdcli.config.stock import palette
    from pkdcli.data.images.pixels import read
    from pkdcli.data.images.reading import USUAL
    from pkdcli.reporting.plot_folder import staged
    from pkdcli.reporting.predictions.draw import side_by_side
    from pkdcli.runs.store import write_bytes

    folder = folder.expanduser()
    beside = columns(found, teacher)
    names = beside[0][1].classes
    colours = dict(zip(names, palette(names), strict=True))
    drawn = {name: samples(run, images(found)) for name, run in beside}
    written = []
    with staged(folder) as staging:
        for place, one in enumerate(next(iter(drawn.values()))["images"]):
            try:
                pixels = read(one["path"], None, beside[0][1].reading or USUAL)
            except ImageError:
                continue
            larger = max(1.0, _SIDE / max(pixels.shape[:2]))
            if larger > 1:
                pixels = cv2.resize(pixels, None, None, larger, larger, cv2.INTER_CUBIC)
            rows = {"ground truth": [_row(box, larger, float("nan")) for box in one["truth"]]}
            for name, of in drawn.items():
                seen = of["images"][place]["detections"]
                rows[name] = [_row(box, larger, box["score"]) for box in seen if box["score"] >= LEAST]
            picture = side_by_side(pixels, rows, dict.fromkeys(rows, names), colours)
            name = f"compare-image-{Path(one['file']).stem}.png"
            write_bytes(staging / name, cv2.imencode(".png", picture)[1].tobytes())
            written.append(folder / name)
    return written


def _row(box: dict[str, Any], larger: float, score: float) -> list[float]:
    return [*(larger * side for side in box["box"]), score, box["label"]]


def _corners(box: np.ndarray) -> list[float]:
    x, y, width, height = box.tolist()
    return [x, y, x + width, y + height]


def _size(run: Scored, place: int, boxes: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Width and height of an image; where the file does not say, of all that is in it."""
    width, height = run.truth.annotations.size[place].tolist()
    if width == width and height == height:
        return width, height
    return tuple(max([1.0, *(one["box"][side] for one in boxes)]) for side in (2, 3))
