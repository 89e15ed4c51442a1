"""The files of a source, listed once: annotations by their endings, images by their names."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable
from pathlib import Path

from pkdcli.data.checks.images import read_header
from pkdcli.data.images.file_names import folded
from pkdcli.data.images.formats import why_unusable
from pkdcli.data.images.loading_error import ImageError
from pkdcli.data.images.pixels import read
from pkdcli.data.importers.source import Source

IMAGES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp", ".jp2", ".j2k"),
        *(".avif", ".pgm", ".ppm", ".pbm", ".pnm", ".pfm", ".hdr"),
    )
)
"""Endings of image files."""


class Tree:
    """All files below some folders.

    Args:
        root: The folder of the source.
        images: Another folder, in which the images are; None where they are below `root`.
    """

    def __init__(self, root: Path, images: Path | None = None) -> None:
        self.root = root
        self.image_root = images or root
        self.by_suffix: dict[str, list[Path]] = {}
        self.images: list[Path] = []
        self._by_name: dict[str, list[Path]] = {}
        self._by_stem: dict[str, list[Path]] = {}
        ours = list(_walk(root))
        for path in ours:
            self.by_suffix.setdefault(path.suffix.lower(), []).append(path)
        for path in ours if images is None else _walk(images):
            if path.suffix.lower() in IMAGES:
                self.images.append(path)
                self._by_name.setdefault(folded(path.name), []).append(path)
                self._by_stem.setdefault(folded(path.stem), []).append(path)
        self._known = {str(path) for path in self.images}

    def files(self, *suffixes: str) -> list[Path]:
        """The files with one of these endings, by their paths."""
        return sorted(path for suffix in suffixes for path in self.by_suffix.get(suffix, ()))

    def image(self, name: str, beside: Path) -> Path | None:
        """The image that an annotation file means.

        Args:
            name: As written there: a path of any machine, or a name with or without its ending.
            beside: The annotation file, which decides between several images of that name.

        Returns:
            None where there is none, or where it can't be told which of several is meant.
        """
        tail = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
        if not tail:
            return None
        exact = [os.path.normpath(os.path.join(base, name)) for base in (beside.parent, self.image_root)]
        for path in exact:
            if path in self._known:
                return Path(path)
        stem = Path(tail).stem if Path(tail).suffix.lower() in IMAGES else tail
        for found in (self._by_name.get(folded(tail)), self._by_stem.get(folded(stem))):
            if found:
                return found[0] if len(found) == 1 else _nearest(found, name, beside)
        # One that lies beside the folder, and not below it.
        near = (Path(path) for path in exact if os.path.splitext(path)[1].lower() in IMAGES)
        return next((path for path in near if path.is_file()), None)

    def name_of(self, path: Path) -> str:
        """The path of an image below the folder of images, with slashes."""
        try:
            return path.relative_to(self.image_root).as_posix()
        except ValueError:
            return path.name

    def relative(self, path: Path) -> str:
        """A path as it is said to a user: below the folder of the source."""
        try:
            return path.relative_to(self.root).as_posix()
        except ValueError:
            return str(path)


def _walk(root: Path) -> Iterable[Path]:
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        base = Path(folder)
        for name in sorted(names):
            if not name.startswith("."):
                yield base / name


def _nearest(found: list[Path], name: str, beside: Path) -> Path | None:
    """Of several images of one name, the one whose folders agree best with the annotation's; None for a tie."""
    wanted = {folded(part) for part in (*beside.parts[:-1], *Path(name.replace("\\", "/")).parts[:-1])}
    scores = [len(wanted & {folded(part) for part in path.parts[:-1]}) for path in found]
    best = max(scores)
    return found[scores.index(best)] if scores.count(best) == 1 else None


Sizes = tuple[tuple[int, int], tuple[int, int]]
"""Width and height of an image as its pixels are stored, and as it is shown."""


def located(
    tree: Tree, found: Source, said: str, beside: Path, *names: str, what: str = "its image"
) -> tuple[Path, Sizes] | None:
    """The image that an annotation is about, and its sizes; None where it can't be used, which is then noted down.

    Args:
        tree: The files of the source.
        found: Where what is left out is noted down.
        said: What is left out then.
        beside: The annotation file.
        names: What the image may be called there, the likeliest first; empty ones are passed over.
        what: What to call it.
    """
    called = [name for name in names if name]
    path = next((one for name in called if (one := tree.image(name, beside)) is not None), None)
    if path is None:
        found.skip(said, f"{what} {next(iter(called), '')!r} is not there, or several have that name")
        return None
    sizes = sizes_of(path)
    if isinstance(sizes, str):
        found.skip(said, f"{what} {tree.name_of(path)} {sizes}")
        return None
    return path, sizes


def skip_unlisted(tree: Tree, found: Source, taken: Container[Path], why: str) -> None:
    """Leave out the images that no annotation is about.

    Args:
        tree: The files of the source.
        found: Where they are noted down.
        taken: Those that one is about.
        why: In words, without a full stop.
    """
    for path in tree.images:
        if path not in taken:
            found.skip(tree.name_of(path), why, wrong=False)


def sizes_of(path: Path) -> Sizes | str:
    """The sizes of an image, or what is wrong with it, in words."""
    header = read_header(path)
    if why := why_unusable(header.kind):
        return why[0]
    if header.stored is None:
        try:
            height, width = read(path).shape[:2]
        except ImageError as error:
            return error.message.removeprefix(f"image {path} ").rstrip(".")
        return (width, height), (width, height)
    return header.stored, header.shown
