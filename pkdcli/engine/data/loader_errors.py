"""What an error says and where it was raised, also one that a loader process has handed on as text."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from pkdcli.data.images.loading_error import LoadingError
from pkdcli.errors import PkdError

_HINT = (
    "Look at this image, at its annotations, and at what the recipe's `config` changes in the pipeline; then type the "
    "same command again: the run goes on where it stopped."
)
_FRAME = re.compile(r'  File "(.+)", line (\d+), in ')
_FROM_LOADER = re.compile(r"Caught \w+ in DataLoader worker process \d+\.\nOriginal Traceback", re.MULTILINE)
_OPENCV = re.compile(r"^OpenCV\(\S+\) \S+: error: ")


class Cause(NamedTuple):
    """What was raised, and where.

    Attributes:
        text: The type of the error and the first line of what it says.
        where: File and line; empty where they are not known.
        code: That line.
    """

    text: str
    where: str = ""
    code: str = ""


def cause_of(error: BaseException) -> Cause:
    """What was raised, without the loader process that it may have come through."""
    if _FROM_LOADER.match(str(error)):
        return _from_text(str(error))
    said = str(error).strip().splitlines()
    frames = traceback.extract_tb(error.__traceback__)
    where = _place(frames[-1].filename, frames[-1].lineno) if frames else ""
    return Cause(_words(_type_name(error), said[0] if said else ""), where, frames[-1].line if frames else "")


def described(error: BaseException) -> str:
    """What was raised, in a line, with what it was raised from; where it says nothing, the line that raised it."""
    cause, text = cause_of(error), ""
    if error.__cause__ is not None:
        text = f" (because of {described(error.__cause__)})"
    if cause.where and cause.text.endswith(": no message"):
        text = f"; it was raised in {cause.where}: {cause.code}{text}"
    return cause.text + text


@contextmanager
def naming(info: Mapping[str, Any]) -> Iterator[None]:
    """Have whatever is raised inside say which image it is about, and which transform of the pipeline failed.

    Args:
        info: `img_path`, `width` and `height` of the image, as far as they are known.
    """
    try:
        yield
    except LoadingError:
        raise
    except PkdError as error:  # which would come out of a loader process as a traceback
        raise LoadingError(" ".join(error.message.split()), error.hint and " ".join(error.hint.split())) from error
    except Exception as error:
        step, cause = _transform(error.__traceback__), cause_of(error)
        place = f" ({cause.where}: {cause.code})" if cause.where else ""
        size = f" ({info['width']:g} x {info['height']:g})" if "width" in info and "height" in info else ""
        what = f"image {info.get('img_path')}{size} can't be made ready for the detector"
        raise LoadingError(f"{what}: {step + ': ' if step else ''}{cause.text.rstrip('.')}{place}.", _HINT) from error


def _transform(frame: TracebackType | None) -> str | None:
    """The first transform that a traceback passes through."""
    from mmcv.transforms import BaseTransform

    while frame is not None:
        owner = frame.tb_frame.f_locals.get("self")
        if isinstance(owner, BaseTransform):
            return type(owner).__name__
        frame = frame.tb_next
    return None


def _from_text(text: str) -> Cause:
    """The last error of a traceback's text: the frames' lines are indented, and what follows them is the error."""
    lines = text.splitlines()
    last = max((place for place, line in enumerate(lines) if _FRAME.match(line)), default=None)
    if last is None:
        return Cause(lines[-1])
    file, number = _FRAME.match(lines[last]).groups()
    after = [line for line in lines[last + 1 :] if line.strip()]
    code = next((line.strip() for line in after if line.startswith("    ")), "")
    error = next((line for line in after if not line.startswith(" ")), lines[-1])
    name, _, said = error.partition(": ")
    return Cause(_words(name, said.strip()), _place(file, int(number)), code)


def _words(name: str, said: str) -> str:
    return f"{name}: {_OPENCV.sub('', said) or 'no message'}"


def _type_name(error: BaseException) -> str:
    kind = type(error)
    # A bare `error` (opencv, struct, zlib) says nothing of where it comes from.
    return f"{kind.__module__}.{kind.__name__}" if kind.__name__.islower() else kind.__name__


def _place(file: str, line: int | None) -> str:
    """A file below the folder that it is imported from, and the line."""
    path = Path(file)
    for folder in sorted(filter(None, sys.path), key=len, reverse=True):
        if path.is_relative_to(folder):
            return f"{path.relative_to(folder)}, line {line}"
    return f"{file}, line {line}"
