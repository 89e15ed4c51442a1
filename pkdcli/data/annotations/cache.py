"""Annotation indexes as files in the cache: made once for a content, mapped into memory by every process that trains.

A file is a heading, the arrays of an `AnnotationIndex`, and a checksum over all of it. It is named by the SHA-256 of
the annotation file, so one that has changed is another entry. Whatever is not whole, or not this, is made again.
"""

from __future__ import annotations

import json
import mmap
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from pkdcli.data.annotations.index import ARRAYS, AnnotationIndex, IndexMaker
from pkdcli.data.annotations.read import read
from pkdcli.errors import ExitCode, PkdError
from pkdcli.folders import cache_root
from pkdcli.runs.store import cannot_write, sha256, write_with

VERSION = 1  # of the layout, and of what the arrays mean
SMALL = 4 * 2**20  # bytes of an annotation file that is read at every start: it takes a blink and little memory
LARGE = 32 * 2**20  # from here on another process makes the entry, since what reading takes is not all given back
_MAGIC = b"PKDANN\r\n"
_ALIGN = 64
_BLOCK = 1 << 22

Warn = Callable[[str], None]


def open_index(file: Path, warn: Warn = print) -> AnnotationIndex:
    """The index of an annotation file, from the cache where it is large.

    Args:
        file: The COCO-format JSON file.
        warn: Called where the cache can't be written: then this process holds the annotations itself.

    Raises:
        PkdError: The file is absent (exit code 3) or is not COCO-format JSON, with the key path of what is wrong.
    """
    file = Path(file)
    if not file.is_file() or file.stat().st_size < SMALL:
        return _maker(file).in_memory()
    entry = entry_of(sha256(file), cache_root())
    if (index := _opened(entry)) is not None:
        return index
    try:
        with _alone(entry):
            if (index := _opened(entry)) is None:  # else another process made it while this one waited
                _make(file, entry)
                index = _opened(entry)
    except PkdError as error:
        if error.code != ExitCode.MISSING or not file.is_file():
            raise
        warn(f"{error.message} Each process reads {file} and holds its annotations itself.")
    return _maker(file).in_memory() if index is None else index


def entry_of(digest: str, cache: Path) -> Path:
    """The file in the cache for annotations of this SHA-256.

    Args:
        digest: SHA-256 of the annotation file, in hexadecimal.
        cache: The cache's folder.
    """
    return cache / "annotations" / f"{digest[:32]}.v{VERSION}.index"


def reopened(entry: Path, file: Path) -> AnnotationIndex:
    """The index in a process that takes it over; made again where the entry has gone meanwhile.

    Args:
        entry: The file in the cache.
        file: The annotation file that it was made of.
    """
    index = _opened(entry, check=False)
    return open_index(file) if index is None else index


def write_index(maker: IndexMaker, entry: Path, file: Path) -> None:
    """Write an entry, whole or not at all.

    Args:
        maker: Holds the arrays, and makes the masks piece by piece.
        entry: The file in the cache to write.
        file: The annotation file, noted in it.

    Raises:
        PkdError: The cache can't be written (exit code 3).
    """
    places: dict[str, Any] = {}
    at = 0
    for name in ARRAYS:
        array = maker.arrays.get(name)
        kind, shape = ("|u1", [maker.masks_size]) if array is None else (array.dtype.str, list(array.shape))
        size = maker.masks_size if array is None else array.nbytes
        places[name] = {"type": kind, "shape": shape, "at": at, "bytes": size}
        at += -(-size // _ALIGN) * _ALIGN
    heading = {"version": VERSION, "classes": maker.classes, "file": str(file), "arrays": places, "bytes": at}
    text = json.dumps(heading).encode()
    text += b" " * (-(len(_MAGIC) + 8 + len(text)) % _ALIGN)

    def write(beside: Path) -> None:
        check = 0
        with open(beside, "wb") as out:

            def put(data: bytes | memoryview) -> None:
                nonlocal check
                check = zlib.crc32(data, check)
                out.write(data)

            put(_MAGIC + struct.pack("<Q", len(text)) + text)
            for name in ARRAYS:
                array = maker.arrays.get(name)
                for piece in maker.masks() if array is None else [np.ascontiguousarray(array).tobytes()]:
                    put(piece)
                put(b"\0" * (-places[name]["bytes"] % _ALIGN))
            out.write(struct.pack("<I", check))

    write_with(entry, write)


def _opened(entry: Path, check: bool = True) -> AnnotationIndex | None:
    """The index in a file of the cache; None where it is absent, damaged or something else."""
    try:
        with open(entry, "rb") as file:
            head = file.read(len(_MAGIC) + 8)
            (length,) = struct.unpack("<Q", head[len(_MAGIC) :])
            if not head.startswith(_MAGIC) or length > 2**30:
                return None
            heading = json.loads(file.read(length))
            begin = len(head) + length
            whole = begin + heading["bytes"] + 4
            if heading["version"] != VERSION or set(heading["arrays"]) != set(ARRAYS):
                return None
            if file.seek(0, 2) != whole or (check and not _sound(file, whole)):
                return None
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        arrays = {
            name: np.frombuffer(mapped, one["type"], one["bytes"] // np.dtype(one["type"]).itemsize,
                                begin + one["at"]).reshape(one["shape"])
            for name, one in heading["arrays"].items()
        }  # fmt: skip
        again = (reopened, (entry, Path(heading["file"])))
        return AnnotationIndex(heading["classes"], **arrays, again=again)
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return None


def _sound(file: Any, size: int) -> bool:
    """Whether the checksum at the end is that of what stands before it; read, not mapped, so that no page stays."""
    file.seek(0)
    check, left = 0, size - 4
    while left > 0 and (block := file.read(min(_BLOCK, left))):
        check = zlib.crc32(block, check)
        left -= len(block)
    return left == 0 and file.read() == struct.pack("<I", check)


def _maker(file: Path) -> IndexMaker:
    try:
        return IndexMaker(read(file, absent=ExitCode.MISSING, remedy="Check the path in the data recipe."))
    except PkdError as error:
        if error.code == ExitCode.USAGE:
            error.message = f"{file} is not a COCO-format annotation file: {error.message}"
        raise


def _make(file: Path, entry: Path) -> None:
    if file.stat().st_size >= LARGE:
        command = [sys.executable, "-m", "pkdcli.data.annotations.cache", str(file), str(entry)]
        # Whatever goes wrong there goes wrong here again, and is said here.
        if subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0:
            return
    write_index(_maker(file), entry, file)


@contextmanager
def _alone(entry: Path) -> Iterator[None]:
    """One maker at a time, as far as the file system knows locks; where it does not, the last one's file stays.

    Raises:
        PkdError: The folder can't be made or written (exit code 3).
    """
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        lock = entry.with_suffix(".lock").open("ab")
    except OSError as error:
        raise cannot_write(entry, error) from error
    with lock:
        with suppress(ImportError, OSError):  # not POSIX; a file system without locks
            import fcntl

            fcntl.lockf(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    write_index(_maker(Path(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[1]))
