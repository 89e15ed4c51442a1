"""TIFF files whose colours opencv changes: it darkens them by their transparency, and takes Lab for another Lab."""

from __future__ import annotations

import io

import numpy as np

_BY_PILLOW = ("RGBA", "LA", "PA", "LAB")
"""Pillow's words for such pixels; all have 8 bits."""


def tiff_colours(content: bytes) -> np.ndarray | None:
    """The colours of a TIFF with transparency, which is dropped as it is from PNG and WebP, or of one in CIELAB.

    Args:
        content: Of the file.

    Returns:
        uint8 (H, W, 3), BGR, turned as its orientation says; None for any other TIFF, and for one that is damaged.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as picture:
            if picture.format != "TIFF" or picture.mode not in _BY_PILLOW:
                return None
            return np.asarray(picture.convert("RGB"))[..., ::-1]
    except (OSError, ValueError, SyntaxError, TypeError, Image.DecompressionBombError):
        return None  # opencv says what is wrong with it
