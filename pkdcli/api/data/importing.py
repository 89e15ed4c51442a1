"""Make a data set of annotations of another form: `pkdcli.data_import()` and `pkd data import`."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli.api.options.keywords import options_of
from pkdcli.errors import PkdError
from pkdcli.launch.outcome import Watcher
from pkdcli.options import WHAT, WHERE, option
from pkdcli.options import path as given_path
from pkdcli.runs.store import named_by

if TYPE_CHECKING:
    import pandas as pd

    from pkdcli.data.importers.source import Passed, Source

SPLIT = "Splits and classes"


@dataclass(frozen=True, kw_only=True)
class DataImportOptions:
    """What is imported, and what is made of it.

    Attributes:
        paths: Folders or files of annotations; several become one data set.
        form: The form of the annotations; None to find out.
        images: The folder of the images, where it is not below PATH.
        first_pixel: The number of the first pixel in Pascal VOC files; None to find out.
        split: Shares of train, val and test; none for the source's own splits, or 0.8, 0.1, 0.1.
        seed: Of the split.
        group_by: What has to stay in one split: `folder`, or a regular expression for a part of the file name.
        classes: The classes to keep, by their new names and in this order; none for all.
        renamed: OLD=NEW for classes to rename or to merge.
        output: The folder that is made; None for NAME-coco here.
        name: Of the data set; None for that of the folder.
        force: Replace what an earlier import wrote there.
    """

    paths: tuple[str, ...] = option(
        help="Folders or files of annotations; several become one data set.",
        argument=True,
        repeatable=True,
        metavar="PATH...",
    )
    form: str | None = option(
        None,
        "The form of the annotations, where it can't be told.",
        names=("--format",),
        metavar="voc|yolo|coco|cvat|open-images|labelme",
        panel=WHAT,
        choices=("voc", "yolo", "coco", "cvat", "open-images", "labelme"),
    )
    images: Path | None = option(None, "Folder of the images, if not below PATH.", metavar="DIR", panel=WHAT)
    first_pixel: int | None = option(
        None,
        "Of Pascal VOC: 1 as in the original, or 0; by default 0 where a box begins at 0.",
        metavar="0|1",
        panel=WHAT,
        min=0,
        max=1,
    )
    split: tuple[float, ...] = option(
        (),
        "Shares of train, val and test, stratified by class; by default the source's own splits, or 0.8,0.1,0.1.",
        metavar="0.8,0.1,0.1",
        panel=SPLIT,
        above=0,
    )
    seed: int = option(0, "Seed of the split.", panel=SPLIT, min=0)
    group_by: str | None = option(
        None,
        "Keep images together in one split: folder, or a regular expression for a part of their names.",
        metavar="folder|REGEX",
        panel=SPLIT,
    )
    classes: tuple[str, ...] = option(
        (), "Keep these classes, in this order; by their new names.", metavar="A,B", panel=SPLIT
    )
    renamed: tuple[str, ...] = option(
        (), "Rename classes, or merge several into one.", names=("--map",), metavar="OLD=NEW,...", panel=SPLIT
    )
    output: Path | None = option(
        None, "Folder that is made; default: NAME-coco here.", names=("--output", "-o"), metavar="DIR", panel=WHERE
    )
    name: str | None = option(None, "Of the data set; by default the folder's.", metavar="NAME", panel=WHERE)
    force: bool = option(False, "Replace what an earlier import wrote there.", panel=WHERE)


@dataclass
class Imported:
    """A data set that was made.

    Attributes:
        recipe: The data recipe, for `pkd train --data`.
        form: The form it was imported from.
        classes: Names of the classes.
        images: Images by split.
        objects: Objects by split, then by class.
        passed: What was left out, and why.
        notes: What a user should know of how the rest was read, one sentence each.
    """

    recipe: Path
    form: str
    classes: list[str]
    images: dict[str, int]
    objects: dict[str, dict[str, int]]
    passed: list[Passed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing was wrong with any file; those that were are in `passed`, and the rest is imported."""
        return not any(one.wrong for one in self.passed)

    def record(self) -> dict[str, Any]:
        """All of it as plain data, as `pkd data import --json` prints it."""
        told = {key: getattr(self, key) for key in ("form", "classes", "images", "objects", "notes")}
        return {"recipe": str(self.recipe), **told, "passed": [asdict(one) for one in self.passed], "ok": self.ok}

    def frame(self) -> pd.DataFrame:
        """A row for each split: its images, and its objects of each class."""
        import pandas as pd

        rows = [{"split": name, "images": count, **self.objects[name]} for name, count in self.images.items()]
        return pd.DataFrame(rows, columns=["split", "images", *self.classes])

    def _repr_html_(self) -> str:
        """The splits as a table, for notebooks."""
        return self.frame().to_html(index=False)


def data_import(
    options: DataImportOptions | None = None, *, watcher: Watcher | None = None, **keywords: Any
) -> Imported:
    """Make a data set of Pascal VOC, YOLO, COCO, CVAT, Open Images or LabelMe: links, COCO JSON and a data recipe.

    Args:
        options: What to import; or give its fields as keywords.
        watcher: Told of what is being done.
        **keywords: The fields of `DataImportOptions`.

    Returns:
        What was made, and what was passed over, file by file.

    Raises:
        PkdError: No annotations there, wrong ones, a split that can't be, or a folder that exists.
    """
    from pkdcli.data.importers.choose import choose_classes, merged, parse_map
    from pkdcli.data.importers.detect import read
    from pkdcli.data.importers.split import shares_of
    from pkdcli.data.importers.write import check_folder, write

    asked = options_of(DataImportOptions, options, keywords)
    watcher = watcher or Watcher()
    if not asked.paths:
        raise PkdError("PATH is missing.", "Name the folder of the annotations: pkd data import FOLDER")
    shares = shares_of(asked.split) if asked.split else None
    renamed = parse_map(asked.renamed)
    paths = [given_path(word, "PATH").expanduser() for word in asked.paths]
    name = _name(asked.name, paths[0])
    folder = (asked.output or Path(f"{name}-coco")).expanduser().absolute()
    check_folder(folder, asked.force)
    for path in paths:
        if folder in (path.absolute(), *path.absolute().parents):
            raise PkdError(
                f"--output {folder} is {path}, or holds it: an import never writes over its source.",
                "Name another folder with --output.",
            )
    with watcher.doing("reading annotations ..."):
        source = merged([read(path, asked.form, asked.images, asked.first_pixel) for path in paths])
    choose_classes(source, asked.classes, renamed)
    splits = _settle_splits(source, shares, asked)
    found = Imported(
        recipe=folder / f"{name}.yaml",
        form=source.form,
        classes=source.classes,
        images={one: sum(picture.split == one for picture in source.pictures) for one in splits},
        objects={one: _objects(source, one) for one in splits},
        passed=source.passed,
        notes=source.notes,
    )
    record = {"sources": [str(path.absolute()) for path in paths], "seed": asked.seed, **found.record()}
    with watcher.doing("writing the data set ..."), named_by("--output DIR"):
        write(folder, name, source, splits, record)
    return found


def _name(given: str | None, path: Path) -> str:
    """The name of the data set: letters, digits, - and _ alone, since it is part of runs' names."""
    if given is not None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", given):
            raise PkdError(f"--name {given!r}: a name is of letters, digits, _, . and -.", "Example: --name my-data")
        return given
    path = path.absolute()
    base = path if path.is_dir() else path.parent
    return re.sub(r"[^A-Za-z0-9]+", "-", base.name).strip("-").lower() or "data"


def _settle_splits(source: Source, shares: dict[str, float] | None, asked: DataImportOptions) -> list[str]:
    """Give each picture its split, and say which splits there are."""
    from pkdcli.data.importers.choose import without_objects
    from pkdcli.data.importers.source import SPLITS
    from pkdcli.data.importers.split import FEW, USUAL, check_split, groups_of, shares_of, stratify

    own = {picture.split for picture in source.pictures}
    if shares is None and {"train", "val"} <= own and asked.group_by is None:
        for picture in source.pictures:
            if picture.split is None:
                source.skip(picture.name, "is in none of the source's splits; --split deals all anew", wrong=False)
        source.pictures = [picture for picture in source.pictures if picture.split is not None]
        source.notes.append("The source's own splits are kept; --split 0.8,0.1,0.1 deals anew.")
    else:
        if shares is None:
            few = len(set(groups_of(source.pictures, asked.group_by))) < FEW
            shares = shares_of((0.8, 0.2) if few else USUAL)
            had = ", ".join(sorted(own - {None}))
            why = f"The source has no {'val' if 'train' in own else 'train'}, only {had}: " if had else ""
            if {"train", "val"} <= own:
                why = f"--group-by deals the source's own splits ({had}) anew: "
            told = ",".join(f"{one:g}" for one in shares.values())
            source.notes.append(f"{why}{'s' if why else 'S'}plit {told} into {', '.join(shares)}.")
        dealt = stratify(source.pictures, shares, asked.seed, asked.group_by)
        for picture, split in zip(source.pictures, dealt, strict=True):
            picture.split = split
    splits = [name for name in SPLITS if name in (shares or own)]
    source.notes += [f"{text[0].upper()}{text[1:]}" for text in check_split(source.pictures, source.classes, splits)]
    bare = without_objects(source.pictures)
    if bare:
        source.notes.append(
            f"{bare} images have no objects and are left out of training: `background: true` in the data recipe trains "
            "on them."
        )
    return splits


def _objects(source: Source, split: str) -> dict[str, int]:
    counts = dict.fromkeys(source.classes, 0)
    for picture in source.pictures:
        if picture.split == split:
            for thing in picture.things:
                counts[thing.label] += 1
    return counts
