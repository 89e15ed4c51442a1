"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pkdcli.errors import ExitCode, PkdError

_FULL = (errno.ENOSPC, errno.EDQUOT)


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's content, as 64 hexadecimal digits.

    Raises:
        OSError: It can't be read.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_with(path: Path, write: Callable[[Path], None], durable: bool = True) -> None:
    """Let `write` make a file beside `path`, then move it into place.

    A reader sees the old file or the new one, never half of one; whatever fails leaves the old one as it was.

    Args:
        path: The file.
        write: Fills the one that is given to it.
        durable: Wait until the disk has it, so that a machine that fails leaves no half of it either.

    Raises:
        PkdError: There is no space left, or the folder can't be written (exit code 3).
    """
    path = Path(path)
    beside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
        beside = Path(name)
        umask = os.umask(0)
        os.umask(umask)
        beside.chmod(0o666 & ~umask)
        write(beside)
        if durable:
            with open(beside, "rb+") as file:
                os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException as error:
        if beside is not None:
            with suppress(OSError):
                beside.unlink()
        if isinstance(error, OSError):
            raise cannot_write(path, error) from error
        raise


class CannotWrite(PkdError):
    """A file could not be written; the old one, if any, is still there."""


@contextmanager
def named_by(option: str, place: Path | None = None) -> Iterator[None]:
    """Have the error of what can't be written name the option by which the user has said where it goes.

    Args:
        option: As it is typed, such as `--plot-dir DIR`.
        place: What it names, where files in it are written piece by piece: a full disk does not say which it was.

    Raises:
        PkdError: Something inside could not be written (exit code 3).
    """
    try:
        yield
    except CannotWrite as error:
        full = isinstance(error.__cause__, OSError) and error.__cause__.errno in _FULL
        first = "Free some space" if full else "Check the permissions there"
        raise PkdError(error.message, f"{first}, or name another place with {option}.", error.code) from error
    except OSError as error:
        if place is None or error.errno not in _FULL or error.filename:
            raise
        remedy = f"Free some space, or name another place with {option}."
        raise PkdError(cannot_write(place, error).message, remedy, ExitCode.MISSING) from error


def cannot_write(path: Path | str, error: OSError) -> CannotWrite:
    """The error users see for a file that could not be written; the old file, if any, is still there.

    Args:
        path: The file.
        error: What the system says.
    """
    if error.errno in _FULL:
        return CannotWrite(
            f"no space left to write {path}.",
            "Free some space, or choose other folders with --runs DIR and the environment variable PKD_CACHE; "
            "then type the same command again: it goes on where it stopped.",
            ExitCode.MISSING,
        )
    inside_a_file = error.errno in (errno.EEXIST, errno.ENOTDIR)
    reason = "a file stands where a folder should be" if inside_a_file else error.strerror or error
    return CannotWrite(
        f"can't write {path}: {reason}.",
        "Check the folder's permissions, or choose another with --runs DIR or the environment variable PKD_CACHE.",
        ExitCode.MISSING,
    )


def write_bytes(path: Path, data: bytes, durable: bool = True) -> None:
    """Write `data` to `path`, whole or not at all; `durable` as for `write_with`.

    Args:
        path: The file.
        data: Its content.
        durable: As for `write_with`.
    """
    write_with(path, lambda beside: beside.write_bytes(data), durable)


def write_text(path: Path, text: str, durable: bool = True) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all; `durable` as for `write_with`.

    Args:
        path: The file.
        text: Its content.
        durable: As for `write_with`.
    """
    write_bytes(path, text.encode("utf-8"), durable)


def write_json(path: Path, data: Any, durable: bool = True) -> None:
    """Write `data` to `path` as JSON, whole or not at all; NaN and infinities become null; `durable` as above.

    Args:
        path: The file.
        data: Its content.
        durable: As for `write_with`.
    """
    write_text(path, json.dumps(_finite(data), indent=1, ensure_ascii=False, allow_nan=False) + "\n", durable)


def _finite(data: Any) -> Any:
    if isinstance(data, float) and not math.isfinite(data):
        return None
    if isinstance(data, dict):
        return {str(key): _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return data


def read_json(path: Path) -> Any | None:
    """The content of a JSON file; None where it is absent or not whole."""
    try:
        with open(path, "rb") as file:
            return json.loads(str(file.read(), "utf-8"))
    except (OSError, ValueError):
        return None


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one where it is absent, not whole, or something else."""
    content = read_json(path)
    return content if isinstance(content, dict) else {}


def read_path(path: Path, key: str) -> Path | None:
    """The path that the object in a JSON file has under a key; None where there is none, or something else.

    Args:
        path: The file.
        key: Of its object.
    """
    found = read_object(path).get(key)
    return Path(found) if isinstance(found, str) and found else None


def append_jsonl(path: Path, record: dict[str, Any]) -> None:
    """Append one record as one line, in a single write; after a line that was cut short, on a line of its own.

    Args:
        path: The file; it is made if it is not there.
        record: What to append.
    """
    line = json.dumps(_finite(record), ensure_ascii=False, allow_nan=False) + "\n"
    try:
        with open(path, "ab+") as file:
            if file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
                line = "\n" + line
            file.write(line.encode("utf-8"))
    except OSError as error:
        raise cannot_write(path, error) from error


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a file of JSON lines, passing over a last line that is not whole."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.split("\n"):
        with suppress(ValueError):
            record = json.loads(line)
            if isinstance(record, dict):
                yield record
