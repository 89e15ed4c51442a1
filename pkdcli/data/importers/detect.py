"""Which form the annotations of a place have, and their reading."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from pkdcli.data.importers import coco, cvat, labelme, open_images, voc, yolo
from pkdcli.data.importers.files import Tree
from pkdcli.data.importers.source import Source
from pkdcli.errors import ExitCode, PkdError

FORMS = ("voc", "yolo", "coco", "cvat", "open-images", "labelme")
"""What can be imported, by the words of `--format`."""

LAYOUTS = (
    "Pascal VOC: *.xml with <annotation>, such as Annotations/*.xml beside JPEGImages/",
    "YOLO: data.yaml with `names`, or classes.txt, and *.txt in labels/ or beside the images",
    "COCO: *.json with `images` and `annotations`",
    "CVAT: *.xml with <annotations> (CVAT for images 1.1)",
    "Open Images: *.csv with the columns ImageID, LabelName, XMin, XMax, YMin, YMax",
    "LabelMe: *.json with `shapes`, one for each image",
)
_HEAD = 65536  # characters of a file that tell what it is
_LOOKED = 25  # files of an ending that are looked at


def read(path: Path, form: str | None = None, images: Path | None = None, first_pixel: int | None = None) -> Source:
    """Read the annotations of a folder or a file.

    Args:
        path: The folder, or the file: COCO's JSON, CVAT's XML, Open Images' CSV, or YOLO's data.yaml.
        form: One of `FORMS`; None to find out.
        images: The folder of the images where they lie elsewhere.
        first_pixel: 0 or 1: the number of the first pixel in VOC files; None to find out.

    Raises:
        PkdError: No annotations there (with the layouts that were looked for), of several forms, or wrong ones.
    """
    for given, what in ((path, "PATH"), (images, "--images")):
        if given is not None and not given.exists():
            raise PkdError(f"{what}: {given} does not exist.", "Check the path.")
    path = path.absolute()
    if images is not None and not images.is_dir():
        raise PkdError(f"--images: {images} is not a folder.", "Name the folder of the image files.")
    tree = Tree(path if path.is_dir() else path.parent, images.absolute() if images else None)
    found = files_by_form(tree, None if path.is_dir() else path)
    if form is None:
        form = _only(found, tree, path)
    readers: dict[str, Callable[[], Source]] = {
        "voc": lambda: voc.read(tree, found["voc"], first_pixel),
        "yolo": lambda: yolo.read(tree, path if path.is_file() else None),
        "coco": lambda: coco.read(tree, found["coco"]),
        "cvat": lambda: cvat.read(tree, found["cvat"]),
        "open-images": lambda: open_images.read(tree, found["open-images"]),
        "labelme": lambda: labelme.read(tree, found["labelme"]),
    }
    if not found[form]:
        raise _nothing(tree, path, f" of the form {form}")
    source = readers[form]()
    if not source.pictures:
        told = "".join(f"\n  {one.file}: {one.why}" for one in source.passed[:5])
        hint = "Check where the images are: --images FOLDER names another folder for them."
        raise PkdError(f"{path}: {source.form} annotations, but not one picture could be taken.{told}", hint)
    source.pictures.sort(key=lambda one: one.name)
    return source


def files_by_form(tree: Tree, only: Path | None = None) -> dict[str, list[Path]]:
    """The annotation files of each form.

    Args:
        tree: The files of the source.
        only: The one file to look at.
    """
    found: dict[str, list[Path]] = {name: [] for name in FORMS}
    xml, json, csvs = ([only] if only else tree.files(suffix) for suffix in (".xml", ".json", ".csv"))
    by_root = _sorted_by(xml, ".xml", _xml_form)
    by_keys = _sorted_by(json, ".json", _json_form)
    found |= {name: files for name, files in (by_root | by_keys).items() if name in found}
    found["open-images"] = [path for path in csvs if path.suffix.lower() == ".csv" and open_images.is_boxes(path)]
    if only is not None:
        found["yolo"] = [only] if only.suffix.lower() in (".yaml", ".yml") else []
    elif listing := yolo.config_of(tree) or _names_and_labels(tree):
        found["yolo"] = [listing]
    return found


def _sorted_by(paths: list[Path], suffix: str, form: Callable[[str], str | None]) -> dict[str, list[Path]]:
    """Files by their form; where the first ones are all of one form the rest is not looked at."""
    paths = [path for path in paths if path.suffix.lower() == suffix]
    kinds = [form(_head(path)) for path in paths[:_LOOKED]]
    rest = set(kinds) - {None}
    found: dict[str, list[Path]] = {}
    for at, path in enumerate(paths):
        kind = kinds[at] if at < _LOOKED else rest.copy().pop() if len(rest) == 1 else form(_head(path))
        # One that is torn belongs to the others: their reader says what is wrong with it.
        kind = kind or (rest.copy().pop() if len(rest) == 1 else None)
        if kind:
            found.setdefault(kind, []).append(path)
    return found


def _head(path: Path) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_HEAD)
    except OSError:
        return ""


def _xml_form(head: str) -> str | None:
    found = re.search(r"<(annotations?)[\s>]", head)
    return {"annotation": "voc", "annotations": "cvat"}[found[1]] if found else None


def _json_form(head: str) -> str | None:
    if re.search(r'"shapes"\s*:\s*\[', head) and '"annotations"' not in head:
        return "labelme"
    # Of a large file the head may hold one of its lists only.
    return "coco" if re.search(r'"(images|annotations|categories)"\s*:\s*\[', head) else None


def _names_and_labels(tree: Tree) -> Path | None:
    listing = yolo.names_file(tree)
    stems = {path.stem for path in tree.images}
    labels = any(path.stem in stems for path in tree.files(".txt"))
    in_folder = any("labels" in path.parts for path in tree.files(".txt"))
    return listing if listing and (labels or in_folder) else (tree.root if labels and in_folder else None)


def _only(found: dict[str, list[Path]], tree: Tree, path: Path) -> str:
    forms = [name for name, files in found.items() if files]
    if not forms:
        raise _nothing(tree, path, "")
    if len(forms) > 1:
        told = "; ".join(f"{name}: {tree.relative(found[name][0])}" for name in forms)
        raise PkdError(
            f"{path} holds annotations of several forms ({told}).",
            f"Say which with --format {'|'.join(forms)}, or name the folder or file of one of them.",
        )
    return forms[0]


def _nothing(tree: Tree, path: Path, of_form: str) -> PkdError:
    looked = "\n".join(f"  {layout}" for layout in LAYOUTS)
    others = sum(map(len, tree.by_suffix.values()))
    return PkdError(
        f"{path}: no annotations{of_form} among its {others} files, {len(tree.images)} of them images. Looked for:\n"
        f"{looked}",
        "Name the folder that holds the annotations; --images FOLDER names that of the images where it is another.",
        ExitCode.USAGE,
    )


