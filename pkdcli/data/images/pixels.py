"""The one way of reading an image file: whole, of the annotated size, turned and scaled as the data recipe says."""

from __future__ import annotations

import io
import os
import re
from itertools import pairwise
from typing import Any

import numpy as np

from pkdcli.data.images.formats import HEAD, REPLACE, format_of, why_unusable
from pkdcli.data.images.loading_error import OtherImageError, other, unusable
from pkdcli.data.images.pixel_range import needs_range, scaled
from pkdcli.data.images.reading import USUAL, Reading
from pkdcli.data.images.tiff import tiff_colours

Size = tuple[float, float]
"""Width and height in pixels."""

# How the stored pixels of each EXIF orientation are put upright: transposed, then flipped from left to right and from
# top to bottom.
_TURNS = {
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}
_BACK = {6: 8, 8: 6}
SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""

# What stands near the end of a whole file.
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
_TOO_MANY = re.compile(r"(\d+) extraneous bytes before marker (0x\w\w)")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_FILLING, _PADDING, _HOLE = 4096, 16, 256  # bytes: at a JPEG's end, before a mark of a restart, of zeros in its data
# Opencv's limits on what it decodes, in pixels, by the variables that change them.
_LIMITS = {"PIXELS": 2**30, "WIDTH": 2**20, "HEIGHT": 2**20}


def read(path: str | os.PathLike[str], size: Size | None = None, reading: Reading = USUAL) -> np.ndarray:
    """The pixels of an image file.

    Args:
        path: The file.
        size: As annotated, which the picture must have; None where nobody knows.
        reading: As the data recipe says.

    Returns:
        uint8 (H, W, 3), BGR. Grey values are repeated, transparency is dropped.

    Raises:
        ImageError: There is no such file, it is no whole image, or one of another size.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        raise unusable(path, "is missing") from None
    except OSError as error:
        raise unusable(path, f"can't be read: {error.strerror}") from error
    return decode(content, path, size, reading)


def decode(
    content: bytes, path: str | os.PathLike[str], size: Size | None = None, reading: Reading = USUAL
) -> np.ndarray:
    """An image from the content of its file.

    Args:
        content: The file's bytes.
        path: The image file, for messages.
        size: (width, height) in pixels as annotated, which it must have; None for any.
        reading: Whether it is turned upright, and what its deep pixels become.

    Returns:
        uint8 (height, width, 3), BGR.

    Raises:
        ImageError: It can't be decoded, or is not what it should be.
    """
    kind = format_of(content[:HEAD])
    if why := why_unusable(kind):
        raise unusable(path, *why)
    if _ENDS.get(kind, b"") not in content:
        raise unusable(path, "is cut short")
    stored, orientation = header(content, kind)
    if stored is not None:
        check_limits(path, stored)
    if kind == "JPEG":
        pixels = _whole_jpeg(content, path)
        pixels = _turned(pixels, orientation) if upright(stored, orientation, size, reading) else pixels
    elif kind == "TIFF":  # both turn it, whatever they are asked for
        pixels = tiff_colours(content)
        pixels = _decoded(content, path, kind, reading) if pixels is None else pixels
        if not upright(stored, orientation, size, reading):
            pixels = _turned(pixels, _BACK.get(orientation, orientation))
    else:
        pixels = _decoded(content, path, kind, reading, reading.exif == "shown")
        if size is not None and size[0] != size[1] and pixels.shape[1::-1] == tuple(size)[::-1]:
            pixels = _decoded(content, path, kind, reading, reading.exif != "shown")
    if size is not None and pixels.shape[1::-1] != tuple(size):
        raise another_size(path, pixels.shape[1::-1], size)
    return np.ascontiguousarray(pixels)


def header(content: bytes, kind: str | None) -> tuple[tuple[int, int] | None, int]:
    """Width and height of the stored pixels and the EXIF orientation, without decoding.

    Args:
        content: Of the file.
        kind: Its format.

    Returns:
        The size, None where the header does not tell it, and the orientation, 1 where there is none. That of PNG, WebP
        and AVIF is not looked for: opencv knows it.
    """
    import imagesize
    import simplejpeg

    if kind == "JPEG" and b"Exif\0\0" not in content[: 1 << 18]:
        try:
            height, width, *_ = simplejpeg.decode_jpeg_header(content)
        except ValueError:
            return None, 1
        return (width, height), 1
    try:
        found = imagesize.get_info(io.BytesIO(content), dpi=False, colors=False, exif_rotation=False)
    except Exception:  # of a damaged header many kinds
        return None, 1
    known = found.width > 0 and found.height > 0
    return (int(found.width), int(found.height)) if known else None, found.rotation if found.rotation in _TURNS else 1


def upright(stored: tuple[int, int] | None, orientation: int, size: Size | None, reading: Reading) -> bool:
    """Whether a picture is turned as its EXIF orientation says: the annotated size tells, where it can.

    Args:
        stored: Width and height of its pixels in the file.
        orientation: 1 to 8.
        size: As annotated.
        reading: Decides where the size is the same either way.
    """
    if orientation in SIDEWAYS and stored is not None and stored[0] != stored[1] and size is not None:
        if tuple(size) == stored:
            return False
        if tuple(size) == stored[::-1]:
            return True
    return reading.exif == "shown"


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    transpose, left_right, up_down = _TURNS.get(orientation, (False, False, False))
    if transpose:
        pixels = pixels.transpose(1, 0, 2)
    return pixels[:: -1 if up_down else 1, :: -1 if left_right else 1]


def _whole_jpeg(content: bytes, path: str | os.PathLike[str]) -> np.ndarray:
    """The stored pixels of a JPEG of which nothing is lost.

    Opencv fills what is lost with grey and says nothing; simplejpeg, which gives the same pixels, tells what libjpeg
    warns of.
    """
    import simplejpeg

    try:
        return simplejpeg.decode_jpeg(content, "BGR", strict=True)
    except ValueError as error:
        why = str(error)
    if "Premature end of JPEG file" in why:
        raise unusable(path, "is cut short")
    wrong = why.startswith("Corrupt JPEG data") or "Inconsistent progression" in why
    if wrong and not _filled_up(content, why):
        raise unusable(
            path,
            f"is damaged: part of its data is lost (libjpeg: {why})",
            f"{REPLACE} Should it look whole, save it anew with an image editor.",
        )
    return _decoded(content, path, "JPEG", USUAL, False)


def _filled_up(content: bytes, why: str) -> bool:
    """Whether libjpeg only met bytes too many, as cameras and scanners fill up their files, and nothing is lost.

    It tells the first thing only, which may hide a hole: a part that is zero, or marks of a restart out of order.
    """
    found = _TOO_MANY.search(why)
    if found is None or b"\xff\xc2" in content:  # in a progressive file it is a scan of which a part is lost
        return False
    scan = content[content.rfind(b"\xff\xda") : content.rfind(b"\xff\xd9")].rstrip(b"\0")
    restarts = [mark[1] & 7 for mark in _RESTART.findall(scan)]
    in_order = all((before + 1) % 8 == mark for before, mark in pairwise(restarts))
    return in_order and bytes(_HOLE) not in scan and int(found[1]) <= (_FILLING if found[2] == "0xd9" else _PADDING)


def _decoded(
    content: bytes, path: str | os.PathLike[str], kind: str, reading: Reading, shown: bool = True
) -> np.ndarray:
    """What opencv decodes, uint8 (H, W, 3)."""
    import cv2

    def imdecode(flags: int) -> np.ndarray | None:
        try:
            return cv2.imdecode(np.frombuffer(content, np.uint8), flags)
        except cv2.error:  # which says nothing to a user
            return None

    turn = 0 if shown else cv2.IMREAD_IGNORE_ORIENTATION
    if reading.pixel_range is not None and kind != "JPEG":
        pixels = imdecode(cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | turn)
        pixels = imdecode(cv2.IMREAD_UNCHANGED) if pixels is None else pixels  # grey of 32 bits
        if pixels is not None and pixels.dtype != np.uint8:
            return _three(scaled(pixels, reading.pixel_range, path))
    else:
        pixels = imdecode(cv2.IMREAD_COLOR | turn)
        if pixels is None and (deep := imdecode(cv2.IMREAD_UNCHANGED)) is not None and deep.dtype != np.uint8:
            raise needs_range(path, deep)
    if pixels is None:
        raise unusable(path, "is corrupt: opencv can't decode it")
    return _three(pixels)


def _three(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) of (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)."""
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    return np.repeat(pixels[..., :1], 3, axis=2) if pixels.shape[2] < 3 else pixels[..., :3]


def another_size(path: str | os.PathLike[str], found: Any, size: Size) -> OtherImageError:
    """The error of a picture that is not as large as its boxes were drawn for.

    Args:
        path: The image file.
        found: Its (width, height) in pixels.
        size: (width, height) in pixels as annotated.
    """
    (width, height), (w, h) = found, size
    return other(
        path,
        f"is {width} x {height} pixels, but {w:g} x {h:g} in the annotations",
        "Its boxes are those of another picture or of another size of it: put the annotated one there, or correct "
        "`width`, `height` and the boxes; then type the same command again: the run goes on where it stopped.",
    )


def check_limits(path: str | os.PathLike[str], size: tuple[int, int]) -> None:
    """Refuse an image that is larger than opencv decodes.

    Args:
        path: For the message.
        size: Width and height of its pixels.

    Raises:
        ImageError: With the limit, and how to do without it.
    """
    width, height = size
    for name, value in (("PIXELS", width * height), ("WIDTH", width), ("HEIGHT", height)):
        variable = f"OPENCV_IO_MAX_IMAGE_{name}"
        try:
            limit = int(os.environ.get(variable, _LIMITS[name]))
        except ValueError:
            continue  # opencv takes words such as 2GB there
        if value > limit:
            raise other(
                path,
                f"has {width} x {height} pixels{f', {value} in all' if name == 'PIXELS' else ''}: more than the "
                f"{limit} {'' if name == 'PIXELS' else f'of {name.lower()} '}that opencv decodes",
                "Cut it into tiles, or shrink it and its boxes. Or put "
                f"{variable}={value} before the command: it takes {3 * width * height / 2**30:.1f} GiB of memory.",
            )
