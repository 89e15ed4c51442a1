"""Bring a recipe's data into being: make the embedded set, check a user's own, and fill in the facts of both."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli.data.absent import AbsentData
from pkdcli.data.images.reading import settle
from pkdcli.data.joined.classes import fingerprint_of, only_of
from pkdcli.data.joined.make import joined, notes_of
from pkdcli.data.shapes import dataset
from pkdcli.data.shapes.recipe import drawn_in
from pkdcli.errors import ExitCode, PkdError, unknown
from pkdcli.recipe.schema import Data, Part
from pkdcli.runs.store import read_json, write_json

if TYPE_CHECKING:
    from pkdcli.data.checks import coco

_VERSION = 3  # of a kept check: one that says less than this check would is made again


def _say(warning: str) -> None:
    print(f"warning: {warning}", file=sys.stderr)


def prepare(
    data: Data,
    cache: Path,
    progress: Callable[[int, int], None] | None = None,
    warn: Callable[[str], None] = _say,
) -> Data:
    """Make sure the data is there and right, and return its recipe with absolute paths and all facts.

    Args:
        data: A data recipe with absolute paths, or that of the embedded set.
        cache: The cache folder.
        progress: Called with (done, total) while the embedded set is drawn.
        warn: Called with each thing about the data that a user should know; by default it is printed on stderr.

    Raises:
        PkdError: Data that is absent (exit code 3 with how to get it) or wrong, naming file and remedy.
    """
    return facts(present(data, cache, progress), cache, warn)


def present(data: Data, cache: Path, progress: Callable[[int, int], None] | None = None) -> Data:
    """The data recipe with absolute paths, after making sure that its files are there; they are not looked at.

    Args:
        data: As for `prepare`.
        cache: The cache folder.
        progress: Called with (done, total) while the embedded set is drawn.

    Raises:
        PkdError: Data that is absent (exit code 3 with how to get it).
    """
    if data.generator == "shapes":
        drawn = drawn_in(data, cache)  # before anything is drawn, as it may be refused
        dataset.ensure_shapes(cache, progress)
        return drawn
    _present(data)
    return joined(data, cache)


def facts(data: Data, cache: Path, warn: Callable[[str], None] = _say) -> Data:
    """The data recipe with whatever can be known of it now; a dry run works without the data.

    Args:
        data: As a recipe has it.
        cache: The cache's folder, where the embedded data set and notes on checked files are.
        warn: As for `prepare`.
    """
    if data.generator == "shapes":
        return drawn_in(data, cache).model_copy(
            update={
                "classes": list(dataset.CLASSES),
                "fingerprint": dataset.CHECKSUM[:16],
                "train_images": data.train_images or dataset.COUNTS["train"],
            }
        )
    if not all(Path(part.annotations).exists() for split in data.splits.values() for part in split.parts):
        return data
    data = joined(data, cache)
    content = fingerprint(data)
    known = cache / "checks" / f"{data.name}-{content}.json"
    found = read_json(known)
    asked = {
        "version": _VERSION,
        "folders": _folders(data),
        "listed": data.classes,
        "reading": _reading(data),
        "background": data.background,
        "accept": sorted(data.accept),
    }
    if not isinstance(found, dict) or any(found.get(key) != value for key, value in asked.items()):
        found = {**_check(data), **asked}
        write_json(known, found)
    for warning in found["warnings"]:
        warn(warning)
    return data.model_copy(
        update={
            # Labels are numbered in this order: the recipe's, where it lists them, else the file's.
            "classes": list(data.classes or found["classes"]),
            "masks": found["masks"] if data.masks is None else data.masks and found["masks"],
            "train_images": found["train_images"],
            "fingerprint": content,
            "warnings": found["warnings"],
            "exif": found["exif"],
            "pixel_range": found["pixel_range"] and tuple(found["pixel_range"]),
        }
    )


def located(data: Data, cache: Path) -> Data:
    """The data recipe of a finished run, with where its files are and the fingerprint of its annotations as they are.

    Nothing is checked, and the images need not be there: detections are held against annotations alone. The embedded
    data set is drawn anew where it is gone.

    Args:
        data: As the run's recipe has it.
        cache: The cache's folder.
    """
    if data.generator == "shapes":
        return facts(present(data, cache), cache)
    if not all(Path(split.annotations).is_file() for split in data.splits.values()):
        return data
    return data.model_copy(update={"fingerprint": fingerprint(data)})


def thinnest(data: Data, cache: Path) -> dict[str, list[Any]]:
    """By split, name, width and height of the image whose sides differ most, as far as the check has found them.

    Args:
        data: With its fingerprint.
        cache: The cache's folder.
    """
    found = read_json(cache / "checks" / f"{data.name}-{data.fingerprint}.json")
    known = found.get("thinnest") if isinstance(found, dict) else None
    return {name: image for name, image in (known or {}).items() if image}


def spoils(data: Data, cache: Path) -> dict[str, str]:
    """What has been found that no training should start on, by the word of `accept` that lets it pass.

    Args:
        data: With its fingerprint; what its `accept` names, and the images that a public data set shares between its
            splits, are left out.
        cache: The cache's folder.
    """
    found = read_json(cache / "checks" / f"{data.name}-{data.fingerprint}.json")
    known = (found.get("spoils") if isinstance(found, dict) else None) or {}
    passed = {*data.accept, *(["leakage"] if data.get else [])}
    return {word: text for word, text in known.items() if word not in passed}


def _folders(data: Data) -> dict[str, Any]:
    """Where the images lie and when their folders last changed: a check holds as long as that does."""
    return {
        name: [
            part
            for one in split.parts
            for part in (one.images, Path(one.images).stat().st_mtime_ns if Path(one.images).is_dir() else None)
        ]
        for name, split in data.splits.items()
    }


def _reading(data: Data) -> list[Any]:
    """What the check of the images goes by."""
    from pkdcli.data.checks import images

    return [images.VERSION, data.exif, data.pixel_range and list(data.pixel_range), data.masks]


def absent(data: Data) -> list[str]:
    """The files and folders that a data recipe names and that are not there."""
    parts = [part for split in data.splits.values() for part in split.parts]
    named = [path for part in parts for path in (part.annotations, part.images)]
    return [path for path in named if not Path(path).exists()]


def _present(data: Data) -> None:
    missing = absent(data)
    if not missing:
        return
    listing = "\n".join(f"  {path}" for path in missing)
    hint = data.get or "Correct the paths in the data recipe: they are relative to its own folder."
    coco = data.name == "coco"
    if coco:
        hint += " Or set PKD_COCO to the folder where they are."
    # A public data set is what the machine lacks; a path in the user's own recipe is a wrong word.
    code = ExitCode.MISSING if data.get else ExitCode.USAGE
    raise AbsentData(f"data set {data.name} is not there; expected:\n{listing}", hint, code, scales_down=coco)


def fingerprint(data: Data) -> str:
    """A hash of the annotation files of all splits: another content is another experiment.

    Args:
        data: With the places of its files, which are there.

    Raises:
        PkdError: One can't be read.
    """
    return fingerprint_of(data)


def _check(data: Data) -> dict[str, Any]:
    """Check every split of a user's data set and say what was found in it."""
    from pkdcli.data.annotations.read import read_classes
    from pkdcli.data.checks import coco, images

    reports: dict[str, coco.SplitReport] = {}
    warnings: list[str] = []
    for name, split in data.splits.items():
        for part in split.joined:  # what is wrong with one is said of it, and not of what was made of it
            report = _look(part, name, data, only_of(data, read_classes(Path(part.annotations))), may_be_empty=True)
            warnings += [f"{part.annotations}: {problem}" for problem in report.problems]
        reports[name] = _look(split, name, data, data.classes)
        if not split.joined:
            warnings += [f"{split.annotations}: {problem}" for problem in reports[name].problems]
    warnings += [f"data set {data.name}, {name}: {note}" for name, notes in notes_of(data).items() for note in notes]
    classes = reports["train"].classes
    for name, report in reports.items():
        coco.same_classes(classes, report.classes, data.train.annotations, data.splits[name].annotations)
    for name in data.classes or ():
        if data.classes.count(name) > 1:
            raise PkdError(f"data set {data.name}: classes: {name!r} is listed twice.", "List each class once.")
        if name not in classes:
            raise unknown("class", name, classes, f"data set {data.name}: classes")
    if not reports["train"].n_trainable:
        raise PkdError(
            f"{data.train.annotations}: no image to train on.",
            f"mmdet trains on images of at least {coco.MIN_SIDE} pixels a side with an annotation of a listed class.",
        )
    pictures = [images.check(report, f"data set {data.name}, {name}", data) for name, report in reports.items()]
    reading, said = settle(pictures, data.exif, data.pixel_range)
    warnings += [f"data set {data.name}: {problem}" for problem in said]
    shared = _shared(reports)
    outside = [f"{one.annotations}: {one.mostly_outside}." for one in reports.values() if one.mostly_outside]
    return {
        **reading,
        "spoils": {word: "\n".join(said) for word, said in (("outside", outside), ("leakage", shared)) if said},
        "thinnest": {name: images.thinnest(report) for name, report in reports.items()},
        "classes": classes,
        "masks": reports["train"].has_masks,
        "train_images": reports["train"].n_trainable,
        "warnings": warnings + shared,
    }


def _look(
    part: Part, name: str, data: Data, only: list[str] | None, *, may_be_empty: bool = False
) -> coco.SplitReport:
    """Check a split, or one of the files that it is joined of."""
    from pkdcli.data.checks import coco

    return coco.check_split(
        Path(part.images),
        Path(part.annotations),
        where=f"data set {data.name}, {name}",
        only=only,
        use="learn" if name == "train" else "measure",
        accept=data.accept,
        background=data.background,
        may_be_empty=may_be_empty,
    )


def _shared(reports: dict[str, coco.SplitReport]) -> list[str]:
    """Say how many images of each split are also trained on."""
    from pkdcli.data.checks.split_overlap import shared_images

    train, said = reports["train"], []
    for name, report in reports.items():
        if report is train:
            continue
        shared = shared_images((train.images, train.file_names), (report.images, report.file_names))
        if shared:
            said.append(
                f"{report.annotations}: {len(shared)} of {report.n_images} images of {name} are trained on too, the "
                f"first is {shared[0]}: what is measured on them was learned by heart."
            )
    return said
