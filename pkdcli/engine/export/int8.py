"""The same file in whole numbers of 8 bits, by onnxruntime's static quantization on training images."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from pkdcli.engine.export.prepare import Ready

IMAGES = 32  # training images whose activations are looked at


class _Reader(CalibrationDataReader):
    def __init__(self, images: Iterator[Ready]) -> None:
        self._images = images

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The inputs of one more image; None behind the last."""
        image = next(self._images, None)
        return None if image is None else {"images": image.images, "sizes": image.sizes}


def write(source: Path, path: Path, images: Iterator[Ready]) -> None:
    """Quantize convolutions and matrix products; decoding and suppression stay as they are.

    Args:
        source: The ONNX file.
        path: Of the new one.
        images: Training images.

    Raises:
        OSError: No space is left.
    """
    # Quantizing writes the graph once more with its shapes, beside the source, and on a full disk reads half of it.
    if shutil.disk_usage(source.parent).free < 2 * source.stat().st_size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    quantize_static(
        str(source),
        str(path),
        _Reader(images),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "Gemm", "MatMul"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
