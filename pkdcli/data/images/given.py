"""Image files that a user names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pkdcli.errors import PkdError


def given_images(images: Sequence[Path]) -> list[Path]:
    """The absolute paths of the files of `--image`.

    Raises:
        PkdError: One is not there.
    """
    for image in images:
        if not image.expanduser().is_file():
            raise PkdError(f"--image: there is no file {image}.", "Give JPEG or PNG files.")
    return [image.expanduser().absolute() for image in images]
