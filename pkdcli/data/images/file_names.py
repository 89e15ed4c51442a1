"""Image files whose names in the annotations differ from those on the disk in form only.

An export from another system writes `a%20b.jpg`, `train\\a.jpg`, `C:/pictures/a.jpg`, or an accented letter as two
characters. Such a file is taken where exactly one is meant. Capital letters may tell two files apart: they must agree.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

_ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*/|[A-Za-z]:/|/")
"""How a path begins that is absolute: an address with its host, a drive, or the root."""


def folded(name: str) -> str:
    """What two names have in common that differ in capital letters or in how accents are written."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


class Folder:
    """A folder of images, each part of which is listed once.

    Args:
        root: What file names are relative to.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self._files: dict[str, set[str]] = {}
        self._names: dict[str, dict[str, list[tuple[str, bool]]]] = {}

    def has(self, name: str) -> bool:
        """Whether there is a file of exactly this name."""
        head, tail = os.path.split(name)
        return tail in self.files(head)

    def files(self, head: str = "") -> set[str]:
        """The names of all files in one of its folders."""
        if head not in self._files:
            self._list(head)
        return self._files[head]

    def find(self, name: str, capitals: bool = True) -> str | None:
        """The name, relative to the folder, of the only file that `name` can mean; None where there is none or several.

        Args:
            name: As annotated, and not there.
            capitals: Whether capital letters must agree.
        """
        for parts in _readings(name):
            found = self._walk("", parts, capitals)
            if found:
                return found[0] if len(found) == 1 else None
        return None

    def _walk(self, head: str, parts: list[str], capitals: bool) -> list[str]:
        if head not in self._names:
            self._list(head)
        last, wanted = len(parts) == 1, unicodedata.normalize("NFC", parts[0])
        same = [one for one, is_folder in self._names[head].get(folded(wanted), ()) if is_folder != last]
        if capitals:
            same = [one for one in same if unicodedata.normalize("NFC", one) == wanted]
        # Where a name is there as it stands, others are not meant.
        paths = [os.path.join(head, one) for one in ([parts[0]] if parts[0] in same else same)]
        return paths if last else [found for path in paths for found in self._walk(path, parts[1:], capitals)]

    def _list(self, head: str) -> None:
        files, names = set(), {}
        try:
            with os.scandir(self.root / head) as entries:
                for entry in entries:
                    is_folder = entry.is_dir()
                    names.setdefault(folded(entry.name), []).append((entry.name, is_folder))
                    if not is_folder:
                        files.add(entry.name)
        except (OSError, ValueError):  # ValueError: a null character in the name
            pass
        self._files[head], self._names[head] = files, names


def _readings(name: str) -> Iterator[list[str]]:
    """The parts of the paths that a name can mean, the likeliest first."""
    for text in dict.fromkeys((name, unquote(name))):
        path = text.replace("\\", "/")
        begin = _ELSEWHERE.match(path)
        parts = [part for part in path[begin.end() if begin else 0 :].split("/") if part not in ("", ".")]
        if ".." in parts:
            continue
        # An absolute path is one of another machine: its end lies in the folder.
        for first in range(len(parts) if begin else min(1, len(parts))):
            yield parts[first:]


@lru_cache(maxsize=16)
def folder_of(root: str) -> Folder:
    """The folder, listed once in a process."""
    return Folder(root)


def path_of(root: str | os.PathLike[str], name: str) -> Path:
    """The path of an image by its name in the annotations; where there is none, that of the name as it stands.

    Args:
        root: The folder that names are relative to.
        name: As annotated.
    """
    path = Path(root) / name
    if path.exists():
        return path
    found = folder_of(str(root)).find(name)
    return path if found is None else Path(root) / found
