"""Checks that every annotated image file is there, under its name or under one that differs in form only."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pkdcli.data.images.file_names import Folder


def check_files(names: Sequence[str], folder: Path, found: Any) -> dict[str, str]:
    """Look every image file up in one listing of its folder.

    Args:
        names: The `file_name`s; an empty one is passed over.
        folder: What they are relative to.
        found: Takes what is wrong (`Findings`).

    Returns:
        By the names that are written in another form than the file's, the names of the files, which are taken.
    """
    there = Folder(folder)
    absent = [name for name in names if name and not there.has(name)]
    taken = {name: other for name in dict.fromkeys(absent) if (other := there.find(name)) is not None}
    missing = [name for name in absent if name not in taken]
    if missing:
        kind = f"{len(missing)} of {len(names)} image files are not in {folder}"
        hint = _where_they_are(missing[0], there) or (
            "`images` in a data recipe names the folder that the `file_name`s in the JSON are relative to: check it, "
            "and that the images were all copied there."
        )
        for name in missing:
            found.add(kind, name, hint)
    _twice(names, taken, found)
    return taken


def renamed(taken: dict[str, str]) -> list[str]:
    """What to say of names in another form, in a sentence."""
    if not taken:
        return []
    name, other = next(iter(taken.items()))
    form = "1 file name is written in another form than the file's own"
    if len(taken) > 1:
        form = f"{len(taken)} file names are written in another form than the files' own"
    return [f"{form}, which {'is' if len(taken) == 1 else 'are'} taken: {name!r} is {other}."]


def _twice(names: Sequence[str], taken: dict[str, str], found: Any) -> None:
    """Refuse names that are taken for a file which another name means already."""
    meant: dict[str, str] = {os.path.normpath(name): name for name in names if taken and name not in taken}
    hint = "Each image has a file of its own: give the folder above as `images`, or correct the names."
    for name, other in taken.items():
        first = meant.setdefault(other, name)
        if first != name:
            found.add("file names that differ mean one file", f"{first!r} and {name!r} are {other}", hint)


def _where_they_are(name: str, there: Folder) -> str | None:
    """A remedy for a missing image, if it is found near or under a name that differs in capital letters."""
    if other := there.find(name, capitals=False):
        return f"There is {other}: names must agree in capital letters too."
    head, tail = os.path.split(name)
    near = [there.root.parent]
    try:
        with os.scandir(there.root) as entries:
            near += sorted(there.root / entry.name for entry in entries if entry.is_dir())
    except OSError:
        pass
    for folder in near:
        try:
            if (folder / name).is_file():
                return f"They seem to be in {folder}: give that folder as `images`."
        except ValueError:  # a null character in the name
            return None
    if head and tail in there.files():
        return f"{there.root} has {tail} itself: leave the folder out of `file_name`, or move the images."
    return None
