"""Images that two splits share, by their path and by their content: what is measured on them was learned."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from pkdcli.data.file_names import path_of

_READ = 20_000  # files that are read at most, for splits whose files are often of the same size
_PART = 4096  # bytes from the middle of a file, which tell most files apart
_Paths = dict[tuple[int, int], str]  # by what makes a file the same file (device and number), one of its paths


def shared_images(first: tuple[Path, Sequence[str]], second: tuple[Path, Sequence[str]]) -> list[str]:
    """File names of the second split whose picture the first has too, under whatever name.

    Files are compared by their size and then by a hash of their bytes. Where more than `_READ` would have to be read,
    only those that are the same file are found.

    Args:
        first: The folder of its images, and their names relative to it.
        second: The same of the other split.
    """
    ours, theirs = _files(*first), _files(*second)
    same_file = {key for key, _ in ours.values()}
    of_second = theirs
    shared = {name for name, (key, _) in theirs.items() if key in same_file}
    sizes = {size for _, size in ours.values()} & {size for name, (_, size) in theirs.items() if name not in shared}
    # One path for each file, which several names may lead to.
    ours, theirs = (
        {key: _path(folder, name) for name, (key, size) in files.items() if size in sizes and size}
        for (folder, _), files in ((first, ours), (second, theirs))
    )
    if len(ours) + len(theirs) <= _READ:
        copies = _copies(ours, _copies(ours, theirs, part=True), part=False)
        shared |= {name for name, (key, _) in of_second.items() if key in copies}
    return [name for name in second[1] if name in shared]


def _files(folder: Path, names: Sequence[str]) -> dict[str, tuple[tuple[int, int], int]]:
    """By name, what makes a file the same file (device and number), and its size in bytes."""
    found = {}
    for name in names:
        try:
            state = os.stat(_path(folder, name))
        except (OSError, ValueError):
            continue
        found[name] = (state.st_dev, state.st_ino), state.st_size
    return found


def _path(folder: Path, name: str) -> str:
    path = os.path.join(folder, name)
    return path if os.path.exists(path) else str(path_of(folder, name))


def _copies(ours: _Paths, theirs: _Paths, part: bool) -> _Paths:
    """Those of their files whose content one of ours has, as far as a part in the middle tells or as a whole."""
    if not theirs:
        return {}
    known = {digest for path in ours.values() if (digest := _hash(path, part))}
    return {key: path for key, path in theirs.items() if _hash(path, part) in known}


def _hash(path: str, part: bool) -> bytes | None:
    try:
        with open(path, "rb") as file:
            if not part:
                return hashlib.file_digest(file, "sha256").digest()
            size = os.fstat(file.fileno()).st_size
            file.seek(size // 2)
            return size.to_bytes(8, "big") + hashlib.sha256(file.read(_PART)).digest()
    except OSError:
        return None
