"""Which images and videos a user names: files, and whatever lies in folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pkdcli.errors import PkdError
from pkdcli.options import path as given_path

IMAGES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".gif", ".jp2", ".avif"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ts")


@dataclass(frozen=True)
class Input:
    """A file to look at.

    Attributes:
        path: Of the file.
        name: Its path below the folder that was named, or its name.
        video: It is a video.
    """

    path: Path
    name: str
    video: bool


def inputs(words: Sequence[str]) -> list[Input]:
    """The files that some words name; those in folders by their names, in an order that is always the same.

    Args:
        words: Paths of images, videos and folders.

    Raises:
        PkdError: There is no such file, or a folder without an image.
    """
    found: list[Input] = []
    for word in words:
        path = given_path(word, "IMAGES|FOLDER|VIDEO").expanduser()
        if path.is_dir():
            inside = [one for one in _below(path) if one.suffix.lower() in IMAGES + VIDEOS]
            if not inside:
                looked = f"{', '.join(IMAGES[:8])} ...; videos: {', '.join(VIDEOS[:5])} ..."
                raise PkdError(f"{word}: no image and no video in this folder.", f"Looked for files named {looked}")
            found += [Input(one, one.relative_to(path).as_posix(), one.suffix.lower() in VIDEOS) for one in inside]
        elif path.is_file():
            found.append(Input(path, path.name, path.suffix.lower() in VIDEOS))
        else:
            raise PkdError(f"there is no file and no folder {word!r}.", "Name images, folders of images, or videos.")
    if not found:
        raise PkdError("nothing to look at.", "Name images, folders of images, or videos.")
    return found


def _below(folder: Path) -> list[Path]:
    found = []
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(here) / name for name in sorted(files) if not name.startswith(".")]
    return found


def file_names(given: Sequence[Input]) -> list[str]:
    """A name for what is written about each file: its own, with a number where two would have the same.

    Args:
        given: As `inputs` finds them.
    """
    used: set[str] = set()
    names = []
    for one in given:
        suffix = ".mp4" if one.video else ".jpg"
        base = one.name[: len(one.name) - len(Path(one.name).suffix)]
        name, number = base + suffix, 1
        while name.lower() in used:  # some systems do not tell A from a
            number += 1
            name = f"{base}-{number}{suffix}"
        used.add(name.lower())
        names.append(name)
    return names
