"""Which classes a data set has, of whose splits some are joined or have their classes renamed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from pkdcli.errors import unknown
from pkdcli.recipe.schema import Data, Part


def has_joins(data: Data) -> bool:
    """Whether something has to be made of what the recipe names."""
    return bool(data.map) or any(split.joined for split in data.splits.values())


def fingerprint_of(data: Data) -> str:
    """A hash over the content of all annotation files, their splits and new names of classes; no path is part of it.

    Raises:
        PkdError: A file can't be read.
    """
    digest = hashlib.sha256()
    for name, split in data.splits.items():
        digest.update(name.encode())
        for place, part in enumerate(split.parts):
            if place:
                digest.update(b"\0and\0")
            try:
                with open(part.annotations, "rb") as file:
                    while block := file.read(1 << 20):
                        digest.update(block)
            except OSError:
                from pkdcli.data.annotations.read import read_classes

                read_classes(Path(part.annotations), where=f"data set {data.name}, {name}")  # says what is wrong
                raise
    if data.map:
        digest.update(b"\0map\0" + json.dumps(data.map, sort_keys=True).encode())
    return digest.hexdigest()[:16]


def classes_of(data: Data) -> tuple[list[str], dict[str, list[list[str]]]]:
    """The classes of the whole data set by their new names, and those of each part of each split by their old ones.

    The order is that of the training files, one after another; what only other splits have comes last.

    Raises:
        PkdError: A file can't be read, or `map` names a class that none has, with the nearest one.
    """
    from pkdcli.data.annotations.read import read_classes

    old = {
        name: [read_classes(Path(part.annotations), where=f"data set {data.name}, {name}") for part in split.parts]
        for name, split in data.splits.items()
    }
    every = list(dict.fromkeys(one for parts in old.values() for listed in parts for one in listed))
    for one in data.map:
        if one not in every:
            raise unknown("class", one, every, f"data set {data.name}: map")
    return list(dict.fromkeys(data.map.get(one, one) for one in every)), old


def only_of(data: Data, listed: list[str]) -> list[str] | None:
    """Which of a file's own classes are asked for; None for all.

    Args:
        data: Its `classes` are new names.
        listed: The file's.
    """
    if data.classes is None:
        return None
    return [one for one in listed if data.map.get(one, one) in data.classes]


def lacking(
    parts: list[Part], old: list[list[str]], names: Mapping[str, str], asked: list[str] | None
) -> list[str]:
    """Say which classes are labelled in some of a split's files alone: elsewhere their objects are background.

    Args:
        parts: Those of one split.
        old: The classes of each.
        names: New names by old ones.
        asked: The classes that are used; None for all.
    """
    new = [{names.get(one, one) for one in listed} for listed in old]
    every = dict.fromkeys(one for listed in old for one in (names.get(name, name) for name in listed))
    said = []
    for one in every:
        without = [part.annotations for part, has in zip(parts, new, strict=True) if one not in has]
        if without and (asked is None or one in asked):
            said.append(
                f"class {one!r} is no category of {', '.join(without)}: objects of it on those pictures count as "
                "background. Write `map` into the data recipe if it has another name there."
            )
    return said
