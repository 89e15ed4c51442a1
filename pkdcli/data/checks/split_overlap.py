"""Images that two splits share, by their path and by their content: what is measured on them was learned."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pkdcli.data.images.file_names import path_of

_READ = 20_000  # files that are read at most, for splits whose files are often of the same size
_PART = 4096  # bytes from the middle of a file, which tell most files apart
_Paths = dict[tuple[int, int], str]  # by a file's key, one of its paths


def shared_images(first: tuple[Path, Sequence[str]], second: tuple[Path, Sequence[str]]) -> list[str]:
    """File names of the second split whose picture the first has too, under whatever name.

    Files are compared by their size and then by a hash of their bytes. Where more than `_READ` would have to be read,
    only those that are the same file are found.

    Args:
        first: The folder of its images, and their names relative to it.
        second: The same of the other split.
    """
    ours, theirs = _files(*first), _files(*second)
    same_file = {one.key for one in ours.values()}
    shared = {name for name, one in theirs.items() if one.key in same_file}
    sizes = {one.size for one in ours.values()} & {one.size for name, one in theirs.items() if name not in shared}
    # One path for each file, which several names may lead to.
    paths, others = (
        {one.key: one.path for one in files.values() if one.size in sizes and one.size} for files in (ours, theirs)
    )
    if len(paths) + len(others) <= _READ:
        copies = _copies(paths, _copies(paths, others, part=True), part=False)
        shared |= {name for name, one in theirs.items() if one.key in copies}
    return [name for name in second[1] if name in shared]


class _File(NamedTuple):
    key: tuple[int, int]  # what makes a file the same file: device and number
    size: int  # bytes
    path: str


def _files(folder: Path, names: Sequence[str]) -> dict[str, _File]:
    """The files of the images by the images' names."""
    found = {}
    for name in names:
        path = os.path.join(folder, name)
        try:
            state = os.stat(path)
        except (OSError, ValueError):
            path = str(path_of(folder, name))
            if not os.path.exists(path):
                continue
            state = os.stat(path)
        found[name] = _File((state.st_dev, state.st_ino), state.st_size, path)
    return found


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
