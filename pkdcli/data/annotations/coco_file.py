"""A COCO-format JSON file as lists of unread items: its text is gone through once, and what is asked for is read.

`segmentation`, `info` and whatever else a file has never become Python objects; COCO's own training annotations would
take three GiB so.
"""

from __future__ import annotations

import codecs
import gc
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pkdcli.data.checks.findings import Findings, kind_of, prefix
from pkdcli.errors import ExitCode, PkdError, nearest

_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_INTERRUPTED = "Its download or conversion was probably interrupted: fetch or make it again."
LIST_HINT = "`images`, `annotations` and `categories` are lists of objects."


@dataclass(frozen=True)
class CocoFile:
    """The parts of an annotation file.

    Attributes:
        text: The file's bytes in UTF-8, which the unread items lie in; None where the file is no strict JSON (NaN).
        parts: Each part's items by its name: unread (`msgspec.Raw`), or Python values where `text` is None.
    """

    text: bytes | None
    parts: dict[str, Sequence[Any]]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the garbage collector from running: a million small objects make it run for half of the time, in vain."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def read_file(
    file: Path, names: Sequence[str], where: str | None, absent: ExitCode = ExitCode.USAGE, remedy: str | None = None
) -> CocoFile:
    """The named parts of an annotation file.

    Args:
        file: The COCO-format JSON file.
        names: Of `images`, `annotations`, `categories`.
        where: The place that names the file, put before every message.
        absent: The exit code where there is no such file.
        remedy: What to do about an absent file, for a data set that is known.

    Raises:
        PkdError: The file can't be read, is no JSON object, or lacks a part.
    """
    data = _utf8(_bytes(file, where, absent, remedy))
    try:
        top: dict[str, Any] | None = _OBJECT.decode(data)
        text: bytes | None = data
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        # Wrong, or what Python's own reader takes beside JSON, such as NaN; that reader also says where it is wrong.
        top, text = _loads(data, file, where), None
    found = Findings()
    parts = {name: _part(top, name, text is not None, found) for name in names}
    found.refuse(file, where)
    return CocoFile(text, parts)


def _part(top: dict[str, Any], name: str, unread: bool, found: Findings) -> Sequence[Any]:
    if name not in top:
        guess = nearest(name, top)
        hint = "A COCO-format file has the keys `images`, `annotations` and `categories`."
        found.add(f"the key {name} is missing" + (f" (there is {guess!r})" if guess else ""), "", hint)
        return []
    value = top[name]
    if unread:
        try:
            return _ITEMS.decode(value)
        except msgspec.ValidationError:
            value = json.loads(bytes(value))
    if not isinstance(value, list):
        found.add(f"{name} is {kind_of(value)}", "", LIST_HINT)
        return []
    return value


def _bytes(file: Path, where: str | None, absent: ExitCode, remedy: str | None) -> bytes:
    at = prefix(where)
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        hint = remedy or "`annotations` in a data recipe names a COCO-format JSON file, relative to the recipe."
        raise PkdError(f"{at}the annotation file {file} does not exist.", hint, absent) from None
    except IsADirectoryError:
        raise PkdError(f"{at}{file} is a folder.", "Name the annotation file in it.") from None
    except OSError as error:
        hint = "Check the permissions of the file and of the folders above it."
        raise PkdError(f"{at}can't read {file}: {error.strerror or error}.", hint) from error
    if not data or (data[:4096].isspace() and data.isspace()):
        raise PkdError(f"{at}{file} is empty.", _INTERRUPTED)
    return data


def _utf8(data: bytes) -> bytes:
    """Without the mark that some programs put first, and out of the UTF-16 that it may announce."""
    if data.startswith(codecs.BOM_UTF8):
        return data[len(codecs.BOM_UTF8) :]
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16").encode()
        except UnicodeError:
            return data
    return data


def _loads(data: bytes, file: Path, where: str | None) -> dict[str, Any]:
    """The whole content as Python values, or the error that tells what is wrong with it."""
    at = prefix(where)
    try:
        coco = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError:
        hint = "If it is packed (.gz, .zip), unpack it; otherwise save it as JSON in UTF-8."
        raise PkdError(f"{at}{file} is not a text file in UTF-8.", hint) from None
    except json.JSONDecodeError as error:
        # Nothing but space after the place of the error, or a string that never ends: the file stops too early.
        cut = error.msg.startswith("Unterminated string") or not error.doc[error.pos :].strip()
        kind = "stops too early" if cut else "is not valid JSON"
        hint = (
            _INTERRUPTED
            if cut
            else "Annotations are one JSON object in COCO's format, with `images`, `annotations` and `categories`."
        )
        raise PkdError(f"{at}{file} {kind}: line {error.lineno}, column {error.colno}: {error.msg}.", hint) from None
    except RecursionError:
        raise PkdError(f"{at}{file} is nested too deeply.", "It is not in COCO's format.") from None
    if not isinstance(coco, dict):
        hint = "Annotations are one JSON object with `images`, `annotations` and `categories`."
        if isinstance(coco, list) and coco and isinstance(coco[0], dict) and "score" in coco[0]:
            hint = f"These look like detections (they have a `score`), not annotations. {hint}"
        raise PkdError(f"{at}{file} holds {kind_of(coco)}, not an object.", hint)
    return coco
