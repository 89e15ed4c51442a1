"""The files of a source, listed once: annotations by their endings, images by their names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pkdcli.data.checks.images import read_header
from pkdcli.data.images.file_names import folded
from pkdcli.data.images.formats import why_unusable
from pkdcli.data.images.loading_error import ImageError
from pkdcli.data.images.pixels import SIDEWAYS, read

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
        for path in _walk(root):
            self.by_suffix.setdefault(path.suffix.lower(), []).append(path)
        for path in _walk(self.image_root):
            if path.suffix.lower() in IMAGES:
                self.images.append(path)
                self._by_name.setdefault(folded(path.name), []).append(path)
                self._by_stem.setdefault(folded(path.stem), []).append(path)

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
        for base in (beside.parent, self.image_root):
            exact = base / name
            if exact.suffix.lower() in IMAGES and exact.is_file():
                return exact
        stem = Path(tail).stem if Path(tail).suffix.lower() in IMAGES else tail
        for found in (self._by_name.get(folded(tail)), self._by_stem.get(folded(stem))):
            if found:
                return found[0] if len(found) == 1 else _nearest(found, name, beside)
        return None

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


def sizes_of(path: Path) -> tuple[tuple[int, int], tuple[int, int]] | str:
    """Width and height of an image as its pixels are stored, and as it is shown; or what is wrong with it, in words."""
    header = read_header(path)
    if why := why_unusable(header.kind):
        return why[0]
    if header.stored is None:
        try:
            height, width = read(path).shape[:2]
        except ImageError as error:
            return error.message.removeprefix(f"image {path} ").rstrip(".")
        return (width, height), (width, height)
    shown = header.stored[::-1] if header.orientation in SIDEWAYS else header.stored
    return header.stored, shown
