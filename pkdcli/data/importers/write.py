"""A data set in pkd's own form: COCO JSON, links to images and a data recipe, in a folder that is made as a whole."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from pkdcli.data.importers.source import Picture, Source
from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.store import cannot_write, read_json, write_json, write_text

RECORD = "import.json"
"""Says in the folder of an import what was imported; a folder without it is never replaced."""


def check_folder(folder: Path, force: bool) -> None:
    """Refuse a folder that holds something already.

    Args:
        folder: Where the data set is to be written.
        force: Replace what an earlier import wrote there.

    Raises:
        PkdError: It is there and is not to be replaced, or is not an import's.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not force:
        raise PkdError(
            f"{folder} exists already, and nothing is overwritten.",
            "Name another folder with --output, or add --force to replace an earlier import there.",
        )
    if not isinstance(read_json(folder / RECORD), dict):
        raise PkdError(
            f"{folder} was not made by `pkd data import` (it has no {RECORD}), so --force does not remove it.",
            "Name another folder with --output.",
        )


def write(folder: Path, name: str, source: Source, splits: Sequence[str], record: dict[str, Any]) -> Path:
    """Write a data set and return the path of its recipe.

    Args:
        folder: Where; replaced if it is there.
        name: Of the data set and its recipe.
        source: Its pictures have a split each.
        splits: Those that there are.
        record: What `import.json` says.

    Raises:
        PkdError: The folder can't be written (exit code 3).
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
        try:
            beside.chmod(0o755)
            (beside / "annotations").mkdir()
            for split in splits:
                pictures = sorted((one for one in source.pictures if one.split == split), key=lambda one: one.name)
                _link_all(pictures, beside / "images" / split)
                text = json.dumps(coco_of(pictures, source.classes), separators=(",", ":"))
                write_text(beside / "annotations" / f"{split}.json", text, durable=False)
            write_text(beside / f"{name}.yaml", recipe_of(name, splits, source.form), durable=False)
            write_json(beside / RECORD, record, durable=False)
            if folder.exists():
                shutil.rmtree(folder)  # empty, or an earlier import: `check_folder` has looked
            os.replace(beside, folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder / f"{name}.yaml"


def recipe_of(name: str, splits: Sequence[str], form: str) -> str:
    """The text of a data recipe.

    Args:
        name: Of the data set.
        splits: Those that it has.
        form: The form it was imported from.
    """
    content: dict[str, Any] = {"name": name}
    content |= {one: {"images": f"images/{one}/", "annotations": f"annotations/{one}.json"} for one in splits}
    told = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)
    return f"# Imported from {form} by `pkd data import`; {RECORD} says what was taken and what passed over.\n{told}"


def coco_of(pictures: Sequence[Picture], classes: Sequence[str]) -> dict[str, Any]:
    """The annotations of a split in COCO's format; ids begin at 1.

    Args:
        pictures: The pictures.
        classes: All classes of the data set, which every split lists.
    """
    ids = {label: number for number, label in enumerate(classes, 1)}
    annotations: list[dict[str, Any]] = []
    for number, picture in enumerate(pictures, 1):
        for thing in picture.things:
            area = thing.area if thing.area is not None else round(thing.bbox[2] * thing.bbox[3], 3)
            one: dict[str, Any] = {
                "id": len(annotations) + 1,
                "image_id": number,
                "category_id": ids[thing.label],
                "bbox": list(thing.bbox),
                "area": area,
                "iscrowd": int(thing.crowd),
            }
            if thing.ignore:
                one["ignore"] = 1
            if thing.segmentation is not None:
                one["segmentation"] = thing.segmentation
            annotations.append(one)
    return {
        "images": [
            {"id": number, "file_name": one.name, "width": one.width, "height": one.height}
            for number, one in enumerate(pictures, 1)
        ],
        "annotations": annotations,
        "categories": [{"id": number, "name": label} for label, number in ids.items()],
    }


def _link_all(pictures: Sequence[Picture], folder: Path) -> None:
    """Link each image below a folder: a link by name, else one by content, else (on another disk) a copy."""
    made: set[Path] = set()
    folder.mkdir(parents=True)
    for picture in pictures:
        link = folder / picture.name
        if link.parent not in made:
            link.parent.mkdir(parents=True, exist_ok=True)
            made.add(link.parent)
        target = os.path.abspath(picture.path)
        try:
            os.symlink(target, link)
        except (OSError, NotImplementedError) as error:
            if isinstance(error, FileExistsError):
                raise PkdError(
                    f"two images are called {picture.name}.", "Rename one of them.", ExitCode.USAGE
                ) from None
            try:
                os.link(target, link)
            except OSError:
                shutil.copyfile(target, link)
