"""A page of images with their boxes, one file that needs no other: what is wrong comes first."""

from __future__ import annotations

import base64
import colorsys
from pathlib import Path
from typing import Any

import numpy as np

from pkdcli.data.annotations.read import Annotations
from pkdcli.data.checks.boxes import beyond, copies
from pkdcli.data.images.file_names import path_of
from pkdcli.data.images.loading_error import ImageError
from pkdcli.data.images.pixels import read
from pkdcli.data.images.reading import Reading
from pkdcli.data.survey.survey import Survey
from pkdcli.pages import environment, inlined
from pkdcli.runs.store import write_text

_HERE = Path(__file__).parent
SHOWN = 24
"""Images of each split, of which at most half are there because something is wrong with them."""

SIDE = 320
"""Longest side of an image on the page, in pixels."""


def write_sheet(found: Survey, file: Path) -> Path:
    """Write the page and return its path.

    Args:
        found: What was found in the data set.
        file: Where.

    Raises:
        PkdError: It can't be written.
    """
    labels = list(dict.fromkeys(name for truth in found.truths.values() for name in truth.classes))
    colours = {name: _colour(at) for at, name in enumerate(labels)}
    template = environment(_HERE).get_template("sheet.html")
    splits = [
        {
            "name": name,
            "images": len(truth.image_id),
            "boxes": len(truth.image),
            "shown": _shown(name, truth, found, colours),
        }
        for name, truth in found.truths.items()
    ]
    text = template.render(
        title=f"{found.data.name}: images and boxes",
        made_by="pkd data check",
        css=inlined(_HERE / "sheet.css"),
        name=found.data.name,
        colours=colours,
        faults=found.faults,
        splits=splits,
        side=SIDE,
    )
    write_text(file, text)
    return file


def _colour(place: int) -> str:
    """Colours that differ from their neighbours: hues a golden angle apart."""
    red, green, blue = colorsys.hls_to_rgb(place * 0.381966 % 1, 0.45, 0.9)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"


def _shown(name: str, truth: Annotations, found: Survey, colours: dict[str, str]) -> list[dict[str, Any]]:
    """The images of a split to show, in the order of the page."""
    wrong = np.zeros(len(truth.image), dtype=bool)
    known = (truth.image >= 0) & (truth.category >= 0) & np.isfinite(truth.bbox).all(axis=1)
    if known.all() and len(known):
        wrong = (beyond(truth) | copies(truth) | truth.tiny | truth.outside) & ~truth.iscrowd
    broken = found.broken.get(name, set()) | (found.leaked if name == "train" else set())
    suspects = {int(one) for one in truth.image[wrong]}
    suspects |= {place for place, file in enumerate(truth.file_name) if file in broken}
    first = sorted(suspects)[: SHOWN // 2]
    others = [place for place in range(len(truth.file_name)) if place not in suspects]
    spread = np.unique(np.linspace(0, len(others) - 1, min(len(others), SHOWN - len(first))).round().astype(int))
    chosen = [*first, *(others[one] for one in spread.tolist())]
    folder = Path(found.data.splits[name].images)
    reading = Reading.of(found.data.exif, found.data.pixel_range)
    made = []
    for place in chosen:
        width, height = truth.size[place].tolist()
        data, error = _small(path_of(folder, truth.file_name[place]), (width, height), reading)
        boxes = [
            {
                **dict(zip("xywh", truth.bbox[index].tolist(), strict=True)),
                "colour": colours[truth.classes[truth.category[index]]],
                "label": truth.classes[truth.category[index]],
                "id": int(truth.id[index]),
                "kind": "wrong" if wrong[index] else "crowd" if truth.iscrowd[index] else "",
            }
            for index in np.flatnonzero((truth.image == place) & known).tolist()
        ]
        made.append({"name": truth.file_name[place], "width": width, "height": height, "data": data, "error": error,
                     "boxes": boxes, "suspect": place in suspects})  # fmt: skip
    return made


def _small(path: Path, size: tuple[float, float], reading: Reading) -> tuple[str | None, str | None]:
    """An image as JPEG in base64, or why there is none."""
    import cv2

    try:
        pixels = read(path, None if size[0] != size[0] else size, reading)
    except ImageError as error:
        return None, error.message.removeprefix(f"image {path} ").rstrip(".")
    factor = min(1.0, 2 * SIDE / max(pixels.shape[:2]))
    if factor < 1:
        sides = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
        pixels = cv2.resize(pixels, sides, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 82])
    return (base64.b64encode(data.tobytes()).decode("ascii"), None) if done else (None, "can't be drawn")
