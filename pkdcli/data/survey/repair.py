"""A repaired copy of annotations, with a word on everything that was changed; the original stays as it is."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pkdcli.data.annotations.read import read
from pkdcli.data.checks.boxes import copies, form_of
from pkdcli.data.survey.raw import drop_images, mend_ids, read_raw
from pkdcli.data.survey.survey import Survey
from pkdcli.errors import PkdError
from pkdcli.recipe.schema import Data
from pkdcli.runs.store import cannot_write, write_text

Say = Callable[[str], None]


def repair(found: Survey, folder: Path) -> tuple[Path, list[str]]:
    """Write repaired annotations and a data recipe into a folder.

    Args:
        found: What was found in the data set.
        folder: Where; annotations of an earlier repair there are replaced.

    Returns:
        The recipe, and what was changed, one sentence each.

    Raises:
        PkdError: The folder can't be written, or is that of the data set; annotations that are no JSON.
    """
    for split in found.data.splits.values():
        if folder / "annotations" == Path(split.annotations).parent.resolve():
            raise PkdError(f"--fix {folder}: the annotations of the data set are there.", "Name another folder.")
    try:
        (folder / "annotations").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    changed: list[str] = []
    texts: dict[str, str] = {}
    for name in found.data.splits:
        said: list[str] = []
        coco = _repaired(name, found, folder, said.append)
        changed += [f"{name}: {text}" for text in said] or [f"{name}: nothing had to be changed"]
        texts[name] = json.dumps(coco, ensure_ascii=False)
    for name, text in texts.items():
        write_text(folder / "annotations" / f"{name}.json", text)
    recipe = folder / f"{found.data.name}.yaml"
    write_text(recipe, recipe_text(found.data))
    return recipe, changed


def recipe_text(data: Data) -> str:
    """A data recipe beside repaired annotations, with all else that the old one says.

    Args:
        data: The old one, with absolute paths.
    """
    content: dict[str, Any] = {"name": data.name}
    for name, split in data.splits.items():
        content[name] = {"images": split.images, "annotations": f"annotations/{name}.json"}
    kept = data.model_dump(include={"classes", "image", "masks", "background", "exif", "pixel_range"})
    content |= {key: list(value) if isinstance(value, tuple) else value for key, value in kept.items() if value}
    if data.masks is False:
        content["masks"] = False
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=None, width=1000)
    return f"# Repaired by `pkd data check --fix`; the images are where they were.\n{text}"


def _repaired(name: str, found: Survey, folder: Path, say: Say) -> dict[str, Any]:
    """The annotations of a split as they should be."""
    split = found.data.splits[name]
    coco = read_raw(Path(split.annotations))
    mend_ids(coco, say)
    drop_images(coco, Path(split.images), found.broken.get(name, set()), say)
    if name == "train" and found.leaked:
        _drop_leaked(coco, found.leaked, say)
    _mend_boxes(coco, folder, say)
    return coco


def _drop_leaked(coco: dict[str, Any], leaked: set[str], say: Say) -> None:
    gone = {one["id"] for one in coco["images"] if one.get("file_name") in leaked}
    coco["images"] = [one for one in coco["images"] if one["id"] not in gone]
    before = len(coco["annotations"])
    coco["annotations"] = [one for one in coco["annotations"] if one["image_id"] not in gone]
    if gone:
        say(f"{len(gone)} images that another split has too were taken out, with "
            f"{before - len(coco['annotations'])} annotations")  # fmt: skip


def _mend_boxes(coco: dict[str, Any], folder: Path, say: Say) -> None:
    """Write boxes as [x, y, width, height] in pixels, inside their pictures, each once."""
    if not coco["annotations"] or not coco["images"]:
        return
    beside = folder / ".repair"
    beside.mkdir(parents=True, exist_ok=True)
    try:
        write_text(beside / "split.json", json.dumps(coco), durable=False)
        truth = read(beside / "split.json", segmentations=False)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    boxes, size = truth.bbox.copy(), truth.size.copy()
    form = form_of(truth)
    if form == "swapped-sizes":
        size = size[:, ::-1].copy()
        for image in coco["images"]:
            image["width"], image["height"] = image["height"], image["width"]
        say(f"width and height of {len(size)} images were exchanged")
    elif form is not None:
        boxes = _written(form, boxes)
        say(f"{len(boxes)} boxes were written as {_FORMS[form]} and are [x, y, width, height] now")
    sides = np.tile(size[truth.image], 2)
    fractions = (boxes[:, 2:] < 1).any(axis=1) & (boxes >= 0).all(axis=1) & (boxes <= 1).all(axis=1) & boxes.any(axis=1)
    boxes[fractions] *= sides[fractions]
    begin = np.clip(boxes[:, :2], 0, sides[:, :2])
    end = np.clip(boxes[:, :2] + boxes[:, 2:], 0, sides[:, :2])
    cut = np.column_stack([begin, end - begin])
    over = np.abs(cut - boxes).max(axis=1) > 1e-6
    gone = (cut[:, 2:] < 1).any(axis=1)
    again = copies(truth) & ~gone
    bad_area = (truth.area <= 0) & ~gone
    changed = (np.abs(cut - truth.bbox) > 1e-6).any(axis=1)
    kept = []
    for index, one in enumerate(coco["annotations"]):
        if gone[index] or again[index]:
            continue
        if changed[index]:
            one["bbox"] = [round(float(side), 4) for side in cut[index]]
        if bad_area[index] or (changed[index] and not one.get("segmentation")):
            one["area"] = round(one["bbox"][2] * one["bbox"][3], 4)
        kept.append(one)
    coco["annotations"] = kept
    counts = Counter(
        {
            "boxes were fractions of their picture and are pixels now": int((fractions & ~gone).sum()),
            "boxes were cut off at the edge of their picture": int((over & ~gone & ~again).sum()),
            "boxes without a width and height of a pixel inside their picture were removed": int(gone.sum()),
            "copies of boxes were removed": int(again.sum()),
            "areas of 0 or below are width x height now": int((bad_area & ~again).sum()),
        }
    )
    for text, count in counts.items():
        if count:
            say(f"{count} {text}")


_FORMS = {
    "corners": "corners [x1, y1, x2, y2]",
    "swapped": "[x, y, height, width]",
    "centres": "[centre x, centre y, width, height]",
}


def _written(form: str, boxes: np.ndarray) -> np.ndarray:
    """Boxes (M, 4) of another form as x, y, width, height."""
    begin, extent = boxes[:, :2], boxes[:, 2:]
    if form == "corners":
        return np.column_stack([begin, extent - begin])
    if form == "swapped":
        return boxes[:, [0, 1, 3, 2]]
    return np.column_stack([begin - extent / 2, extent])


