"""Checks image files against the annotations by their headers, before anything is trained on them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pkdcli.data.checks.findings import Findings
from pkdcli.data.images.file_names import path_of
from pkdcli.data.images.formats import HEAD, format_of, why_unusable
from pkdcli.data.images.loading_error import ImageError
from pkdcli.data.images.pixel_range import deep_pixels
from pkdcli.data.images.pixels import SIDEWAYS, check_limits, read
from pkdcli.data.images.reading import USUAL, Reading

if TYPE_CHECKING:
    from pkdcli.data.checks.coco import SplitReport
    from pkdcli.recipe.schema import Data

VERSION = 1
"""Of this check: what an older one has found is not what this one would."""

SAMPLE = 20_000
"""At most so many images of a split are looked at, evenly spread over it; a run compares the size of each it loads."""

_DEEP_SAMPLE = 32  # so many images are decoded to find the range of pixels of more than 8 bits
_DECODED_AT_MOST = 64  # images whose header does not settle their size
_MASKS_HINT = (
    "`size` of a segmentation is [height, width] of its image: correct it, or set `masks: false` in the data recipe to "
    "learn from boxes alone."
)
_THREADS = 8  # which wait for disks
_MAY_BE_DEEP = frozenset(("TIFF", "JPEG 2000", "AVIF", "Netpbm", "PFM", "Radiance HDR"))


class Header(NamedTuple):
    """What the beginning of a file tells.

    Attributes:
        kind: Its format.
        stored: Width and height of its pixels; None where it does not tell.
        orientation: EXIF, 1 to 8; 0 where it was not looked for (PNG, WebP, AVIF).
        deep: Whether it has more than 8 bits; None where it does not tell.
    """

    kind: str | None
    stored: tuple[int, int] | None = None
    orientation: int = 1
    deep: bool | None = False

    @property
    def shown(self) -> tuple[int, int] | None:
        """Width and height of the picture as people see it, turned as its EXIF orientation says."""
        return self.stored[::-1] if self.stored and self.orientation in SIDEWAYS else self.stored


@dataclass
class Pictures:
    """What the images of a split are.

    Attributes:
        n_looked: So many were looked at.
        n_stored: Photos with an EXIF orientation whose annotated size is that of the pixels as they are stored.
        n_shown: Such photos whose annotated size is that of the picture upright.
        n_open: Photos with an EXIF orientation that leaves the size as it is, which may mean either.
        first_open: The first of these.
        deep: Smallest and largest value of pixels of more than 8 bits in a few of them; None where there are none.
        first_deep: The first of these.
    """

    n_looked: int = 0
    n_stored: int = 0
    n_shown: int = 0
    n_open: int = 0
    first_open: str = ""
    deep: tuple[int, int] | None = None
    first_deep: str = ""
    _wrong: list[tuple[str, tuple[int, int], tuple[float, float]]] = field(default_factory=list, repr=False)


def read_header(path: str | os.PathLike[str]) -> Header:
    """What the beginning of a file tells; nothing of one that can't be read."""
    import imagesize

    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
            kind = format_of(head)
            if why_unusable(kind):
                return Header(kind)
            deep = head[24:25] == b"\x10" if kind == "PNG" else None if kind in _MAY_BE_DEEP else False
            found = imagesize.get_info(file, dpi=False, colors=False, exif_rotation=False)
    except Exception:  # of a damaged header many kinds; it is told when the image is loaded
        return Header("JPEG")
    known = found.width > 0 and found.height > 0
    turned = found.rotation if 1 <= found.rotation <= 8 else 1
    orientation = turned if kind in ("JPEG", "TIFF") else 0 if kind in ("PNG", "WebP", "AVIF") else 1
    return Header(kind, (int(found.width), int(found.height)) if known else None, orientation, deep)


def check(report: SplitReport, where: str, data: Data) -> Pictures:
    """Look at the images of a split whose annotations are right.

    Args:
        report: What is known of it.
        where: Put before every message.
        data: What its recipe says.

    Raises:
        PkdError: With every problem, the first few files, and what to do.
    """
    found = Findings(5)
    if report.has_masks and data.masks is not False:
        for place in report.odd_masks:
            found.add("run lengths are of another size than their image", place, _MASKS_HINT)
    reading = Reading.of(data.exif, data.pixel_range)
    pictures = look(report.images, report.file_names, report.sizes, found, reading)
    found.refuse(report.annotations, where)
    return pictures


def thinnest(report: SplitReport) -> list[Any] | None:
    """Name, width and height of the image whose sides differ most, so that least is left of one when it is resized."""
    if not len(report.sizes):
        return None
    widths, heights = np.asarray(report.sizes, dtype=np.float64).T
    place = int(np.argmax(np.maximum(widths / heights, heights / widths)))
    return [report.file_names[place], float(widths[place]), float(heights[place])]


def look(
    folder: Path,
    names: Sequence[str],
    sizes: Sequence[Any],
    found: Any,
    reading: Reading = USUAL,
    sample: int | None = None,
) -> Pictures:
    """Look at the image files of a split.

    Args:
        folder: What the names are relative to.
        names: N files that are there.
        sizes: N annotated (width, height), in pixels.
        found: Takes what is wrong (`Findings`).
        reading: What the data recipe says of them.
        sample: At most so many are looked at, evenly spread; None for `SAMPLE`.
    """
    most = SAMPLE if sample is None else sample
    places = np.unique(np.linspace(0, len(names) - 1, min(len(names), most)).round().astype(int)).tolist()
    paths = {place: path_of(folder, names[place]) for place in places}
    with ThreadPoolExecutor(_THREADS) as pool:
        headers = dict(zip(places, pool.map(read_header, paths.values(), chunksize=64), strict=True))
    pictures = Pictures(n_looked=len(places))
    decoded = 0
    for place, header in headers.items():
        size = (float(sizes[place][0]), float(sizes[place][1]))
        if why := why_unusable(header.kind):
            found.add("image files can't be used", f"{names[place]} {why[0]}", why[1])
        elif header.stored is None:
            continue
        elif too_large := _over_limit(paths[place], header.stored):
            found.add(too_large.message.rstrip("."), "", too_large.hint or "")
        elif not _agrees(header, size, names[place], pictures):
            if header.orientation == 0 and size == header.stored[::-1] and decoded < _DECODED_AT_MOST:
                decoded += 1
                if _loads(paths[place], size, reading):
                    pictures.n_shown += 1
                    continue
            pictures._wrong.append((names[place], header.stored, size))
    _refuse_sizes(pictures, found)
    if reading.pixel_range is None:
        candidates = {names[place]: paths[place] for place in places if headers[place].deep is not False}
        _look_deep(candidates, pictures, found)
    return pictures


def _over_limit(path: Path, stored: tuple[int, int]) -> ImageError | None:
    try:
        check_limits(path, stored)
    except ImageError as error:
        return error
    return None


def _loads(path: Path, size: tuple[float, float], reading: Reading) -> bool:
    try:
        read(path, size, reading)
    except ImageError:
        return False
    return True


def _agrees(header: Header, size: tuple[float, float], name: str, pictures: Pictures) -> bool:
    """Whether the picture has the annotated size, turned or not; counts what its EXIF orientation means."""
    stored = header.stored
    if header.orientation in SIDEWAYS and stored[0] != stored[1]:
        pictures.n_stored += size == stored
        pictures.n_shown += size == stored[::-1]
        return size in (stored, stored[::-1])
    if header.orientation > 1 and size == stored:
        pictures.n_open += 1
        pictures.first_open = pictures.first_open or name
    return size == stored


def _refuse_sizes(pictures: Pictures, found: Any) -> None:
    """One problem for all pictures of another size, with the likely cause."""
    wrong = pictures._wrong
    if not wrong:
        return
    kind = f"{len(wrong)} of {pictures.n_looked} pictures are not of the annotated size"
    swapped = sum(stored[::-1] == size for _, stored, size in wrong)
    # A shrunk picture's sides are rounded.
    shrunk = sum(abs(stored[1] - size[1] * stored[0] / size[0]) <= 1 for _, stored, size in wrong)
    if 2 * swapped > len(wrong):
        hint = (
            "`width` and `height` seem to be exchanged in the JSON, or the pictures were turned after they were "
            "annotated: correct the JSON, or put back the pictures as they were annotated."
        )
    elif 2 * shrunk > len(wrong):
        factor = wrong[0][1][0] / wrong[0][2][0]
        hint = (
            f"The pictures seem to have been resized after they were annotated (the first by {factor:.3g}): put the "
            "annotated ones there, or multiply `width`, `height` and the boxes in the JSON alike."
        )
    else:
        hint = (
            "The boxes are those of other pictures, or of cropped ones: check `images` in the data recipe, put the "
            "annotated pictures there, or correct `width`, `height` and the boxes in the JSON."
        )
    for name, stored, size in wrong:
        found.add(kind, f"{name} is {stored[0]} x {stored[1]}, annotated as {size[0]:g} x {size[1]:g}", hint)


def _look_deep(candidates: Mapping[str, Path], pictures: Pictures, found: Any) -> None:
    """Find the values of pixels of more than 8 bits, in a few pictures spread over those that may have such."""
    names = list(candidates)
    places = np.unique(np.linspace(0, len(names) - 1, min(len(names), _DEEP_SAMPLE)).round().astype(int))
    for name in (names[place] for place in places.tolist()):
        try:
            pixels = deep_pixels(candidates[name])
        except ImageError as error:
            found.add(error.message.rstrip("."), "", error.hint or "")
            return
        if pixels is not None:
            before = pictures.deep or (pixels.max(), 0)
            pictures.deep = (int(min(pixels.min(), before[0])), int(max(pixels.max(), before[1])))
            pictures.first_deep = pictures.first_deep or name
