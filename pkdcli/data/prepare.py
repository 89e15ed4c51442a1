"""Bring a recipe's data into being: make the embedded set, check a user's own, and fill in the facts of both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pkdcli.data import shapes
from pkdcli.errors import ExitCode, PkdError
from pkdcli.recipe.schema import Data, Split
from pkdcli.runs.store import read_json, write_json

MIN_SIDE = 32  # pixels; smaller images are left out of training, as in mmdet's configs


def prepare(data: Data, cache: Path, progress: Callable[[int, int], None] | None = None) -> Data:
    """Make sure the data is there and right, and return its recipe with absolute paths and all facts.

    Args:
        data: A data recipe with absolute paths, or that of the embedded set.
        cache: The cache folder.
        progress: Called with (done, total) while the embedded set is drawn.

    Raises:
        PkdError: Data that is absent (exit code 3 with how to get it) or wrong, naming file and remedy.
    """
    if data.generator == "shapes":
        shapes.ensure_shapes(cache, progress)
    else:
        _present(data)
    return facts(data, cache)


def facts(data: Data, cache: Path) -> Data:
    """The data recipe with whatever can be known of it now; a dry run works without the data."""
    if data.generator == "shapes":
        root = cache / "data" / f"shapes-v{shapes.VERSION}"
        update: dict[str, Any] = {
            name: _under(root, getattr(data, name)) for name in ("train", "val", "test") if getattr(data, name)
        }
        return data.model_copy(
            update={
                **update,
                "classes": list(shapes.CLASSES),
                "fingerprint": shapes.CHECKSUM[:16],
                "train_images": data.train_images or shapes.COUNTS["train"],
            }
        )
    if not all(Path(split.annotations).is_file() for split in (data.train, data.val)):
        return data
    fingerprint = _fingerprint(data)
    known = cache / "checks" / f"{data.name}-{fingerprint}.json"
    found = read_json(known)
    if found is None or found.get("folders") != _folders(data):
        found = {**_check(data), "folders": _folders(data)}
        write_json(known, found)
    return data.model_copy(
        update={
            "classes": data.classes or found["classes"],
            "masks": found["masks"] if data.masks is None else data.masks and found["masks"],
            "train_images": found["train_images"],
            "fingerprint": fingerprint,
        }
    )


def _under(root: Path, split: Split) -> Split:
    return Split(images=str(root / split.images), annotations=str(root / split.annotations))


def _splits(data: Data) -> dict[str, Split]:
    splits = {"train": data.train, "val": data.val, "test": data.test}
    return {name: split for name, split in splits.items() if split is not None}


def _folders(data: Data) -> dict[str, Any]:
    """Where the images lie and when their folders last changed: a check holds as long as that does."""
    return {
        name: [split.images, Path(split.images).stat().st_mtime_ns if Path(split.images).is_dir() else None]
        for name, split in _splits(data).items()
    }


def _present(data: Data) -> None:
    absent = [
        path
        for split in _splits(data).values()
        for path in (split.annotations, split.images)
        if not Path(path).exists()
    ]
    if not absent:
        return
    listing = "\n".join(f"  {path}" for path in absent)
    hint = data.get or "Correct the paths in the data recipe: they are relative to its own folder."
    if data.name == "coco":
        hint += (
            " Or set PKD_COCO to the folder where they are.\nWithout COCO, the same experiment runs on this machine in "
            "minutes:\n  {tiny}"
        )
    raise PkdError(f"data set {data.name} is not there; expected:\n{listing}", hint, ExitCode.MISSING)


def _fingerprint(data: Data) -> str:
    digest = hashlib.sha256()
    for name, split in _splits(data).items():
        digest.update(name.encode())
        with open(split.annotations, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]


def _check(data: Data) -> dict[str, Any]:
    """Check every split of a user's data set and say what was found in it."""
    from pkdcli.data import coco

    reports = {}
    for name, split in _splits(data).items():
        reports[name] = coco.check_split(Path(split.images), Path(split.annotations))
        for problem in reports[name].problems:
            _warn(f"{split.annotations}: {problem}")
    classes = reports["train"].classes
    for name, report in reports.items():
        coco.same_classes(classes, report.classes, data.train.annotations, _splits(data)[name].annotations)
    if data.classes:
        _known(data.classes, classes, data)
    return {
        "classes": classes,
        "masks": reports["train"].has_masks,
        "train_images": usable_images(Path(data.train.annotations), data.classes or classes),
    }


def _warn(text: str) -> None:
    import sys

    print(f"warning: {text}", file=sys.stderr)


def _known(listed: list[str], found: list[str], data: Data) -> None:
    from pkdcli.errors import unknown

    for name in listed:
        if name not in found:
            raise unknown("class", name, found, f"data set {data.name}: classes")


def usable_images(annotations: Path, classes: list[str]) -> int:
    """Training images that mmdet keeps: at least 32 pixels a side and with an annotation of a listed class."""
    content = json.loads(annotations.read_text(encoding="utf-8"))
    wanted = {category["id"] for category in content["categories"] if category["name"] in classes}
    with_object = {a["image_id"] for a in content["annotations"] if a["category_id"] in wanted}
    return sum(
        1
        for image in content["images"]
        if image["id"] in with_object and min(image["width"], image["height"]) >= MIN_SIDE
    )
