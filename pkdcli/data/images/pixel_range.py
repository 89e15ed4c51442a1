"""Pixels of more than 8 bits, of which a range becomes black to white."""

from __future__ import annotations

import os
from functools import lru_cache

import numpy as np

from pkdcli.data.images.loading_error import OtherImageError, other


def scaled(pixels: np.ndarray, to: tuple[float, float], path: str | os.PathLike[str]) -> np.ndarray:
    """Deep pixels as uint8: the ends of the range become 0 and 255, what lies outside is cut off.

    Args:
        pixels: Of any shape, integers of 16 or 32 bits or floats.
        to: The values that become 0 and 255.
        path: The image file, for messages.

    Raises:
        ImageError: The range is a number of bits, 0 to 2^n - 1, and a pixel is brighter: it would be a mistake.
    """
    low, high = to
    top = pixels.max(initial=0)
    if low == 0 and (high + 1) in {2**bits for bits in range(8, 32)} and top > high:
        raise other(
            path,
            f"has a pixel of the value {top:g}, above `pixel_range` [0, {high:g}]",
            f"Set `pixel_range: [0, {2 ** int(top).bit_length() - 1}]` in the data recipe, or take the image out.",
        )
    if pixels.dtype == np.uint16:
        return _table(low, high)[pixels]
    return _to_bytes(pixels.astype(np.float64), low, high)


def _to_bytes(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint(np.clip((np.nan_to_num(values) - low) * (255 / (high - low)), 0, 255)).astype(np.uint8)


@lru_cache(maxsize=4)
def _table(low: float, high: float) -> np.ndarray:
    """uint8 (65536,), what becomes of each value of 16 bits."""
    return _to_bytes(np.arange(1 << 16, dtype=np.float64), low, high)


def deep_pixels(path: str | os.PathLike[str]) -> np.ndarray | None:
    """The values of an image of 16 bits; None of one of 8, or of one that can't be decoded.

    Raises:
        ImageError: Its pixels are of a type without a range of its own.
    """
    import cv2

    try:
        pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error):
        return None
    if pixels is None or pixels.dtype == np.uint8:
        return None
    if pixels.dtype != np.uint16:
        raise needs_range(path, pixels)
    return pixels


def needs_range(path: str | os.PathLike[str], pixels: np.ndarray) -> OtherImageError:
    """The error of pixels whose type has no range of its own.

    Args:
        path: The image file.
        pixels: Its values, of any shape, floats or integers of 32 bits.
    """
    kind = "floats" if pixels.dtype.kind == "f" else "integers"
    finite = pixels[np.isfinite(pixels)] if pixels.size else np.zeros(1)
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return other(
        path,
        f"has pixels of {pixels.dtype.itemsize * 8}-bit {kind} (here from {low:g} to {high:g}), and which of them are "
        "black and white is not known",
        f"Say so in the data recipe, for all of its images, such as `pixel_range: [{low:g}, {max(high, low + 1):g}]`; "
        "or convert them to 8 bits.",
    )
