"""Errors about one image of a data set, which keep their words on the way out of a loader process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pkdcli.data.images.formats import REPLACE
from pkdcli.errors import ExitCode, PkdError


class LoadingError(PkdError):
    """An image can't be loaded, or not be made ready for the detector.

    A loader process hands an exception on as the text of its traceback, from which this one takes its own words back.
    Message and hint are one line each.
    """

    usual_code = ExitCode.RUN_FAILED

    def __init__(self, message: str, hint: str | None = None, code: ExitCode | None = None) -> None:
        name = f"{type(self).__module__}.{type(self).__name__}: "
        if name in message:
            message, _, hint = message.rpartition(name)[2].strip().partition("\n")
        super().__init__(message, hint or None, self.usual_code if code is None else code)


class ImageError(LoadingError):
    """The image file is missing, or not what it should be."""

    usual_code = ExitCode.MISSING


class OtherImageError(ImageError):
    """A whole image, but not one as the annotations, the data recipe or opencv's limits have it."""


def unusable(path: str | os.PathLike[str], why: str, hint: str = REPLACE) -> ImageError:
    """The error of an image that can't be used.

    Args:
        path: The image file.
        why: What is wrong, so that it reads on behind the path.
        hint: What to do about it, on one line.
    """
    return ImageError(f"image {path} {why}.", hint)


def other(path: str | os.PathLike[str], why: str, hint: str) -> OtherImageError:
    """The error of a whole image that is not the right one.

    Args:
        path: The image file.
        why: What is wrong, so that it reads on behind the path.
        hint: What to do about it, on one line.
    """
    return OtherImageError(f"image {path} {why}.", hint)


@contextmanager
def as_wrong_file() -> Iterator[None]:
    """Give the errors of images raised inside the exit code of a wrong file, 2.

    For commands that only look at images. A training ends with 3: its images were checked, and have gone since.
    """
    try:
        yield
    except ImageError as error:
        error.code = ExitCode.USAGE
        raise
