"""Every image file read and decoded, on all cores: whether it can be, and what it looks like."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pkdcli.cores import cores
from pkdcli.data.images.formats import HEAD, format_of
from pkdcli.data.images.loading_error import ImageError
from pkdcli.data.images.pixels import Size, decode
from pkdcli.data.images.reading import Reading

Progress = Callable[[int, int], None]

THUMB = 32
"""Side of the small grey pictures by which images are compared, in pixels."""

_ENDINGS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"), "PNG": (".png",), "WebP": (".webp",), "GIF": (".gif",),
    "BMP": (".bmp", ".dib"), "TIFF": (".tif", ".tiff"),
}  # fmt: skip


@dataclass(slots=True)
class Seen:
    """What an image file is.

    Attributes:
        name: As annotated.
        digest: SHA-256 of its bytes; None where it can't be read.
        thumb: uint8 (THUMB, THUMB), grey; None where it can't be decoded.
        error: Why it can't be used, in words.
        remedy: What to do then.
        mislabelled: Its format, where the ending of its name is that of another.
    """

    name: str
    digest: bytes | None = None
    thumb: np.ndarray | None = None
    error: str | None = None
    remedy: str = ""
    mislabelled: str | None = None


def look_at(path: Path, name: str, size: Size | None, reading: Reading) -> Seen:
    """Read and decode one image file.

    Args:
        path: The file.
        name: As annotated.
        size: (width, height) in pixels as annotated, which it must have; None for any.
        reading: As the data recipe says.
    """
    import cv2

    seen = Seen(name)
    try:
        content = path.read_bytes()
    except OSError as error:
        seen.error, seen.remedy = f"can't be read: {error.strerror}", "put a whole copy of it there"
        return seen
    seen.digest = hashlib.sha256(content).digest()
    kind = format_of(content[:HEAD])
    ending = os.path.splitext(name)[1].lower()
    if ending not in _ENDINGS.get(kind or "", (ending,)) and any(ending in one for one in _ENDINGS.values()):
        seen.mislabelled = kind
    try:
        pixels = decode(content, path, size, reading)
    except ImageError as error:
        seen.error = error.message.removeprefix(f"image {path} ").rstrip(".")
        seen.remedy = (error.hint or "").partition("; then type")[0].rstrip(".")
        return seen
    small = cv2.resize(pixels, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    seen.thumb = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    return seen


def look_at_all(
    paths: Sequence[Path],
    names: Sequence[str],
    sizes: Sequence[Size | None],
    reading: Reading,
    progress: Progress | None = None,
) -> list[Seen]:
    """Read and decode image files; opencv and libjpeg let threads run side by side.

    Args:
        paths: N files.
        names: N names, as annotated.
        sizes: N annotated sizes.
        reading: As the data recipe says.
        progress: Called with the number of files that are done, and of all.
    """
    found: list[Seen] = []
    with ThreadPoolExecutor(max(1, cores().count)) as pool:
        jobs = pool.map(lambda one: look_at(*one, reading), zip(paths, names, sizes, strict=True))
        for seen in jobs:
            found.append(seen)
            if progress is not None:
                progress(len(found), len(paths))
    return found
