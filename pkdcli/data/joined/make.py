"""The splits of a data recipe as one annotation file each, made in the cache of what the recipe names."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pkdcli.data.joined.classes import classes_of, fingerprint_of, has_joins, lacking
from pkdcli.recipe.schema import Data, Part, Split
from pkdcli.runs.store import read_json, write_json

_VERSION = 1  # of what is written


def joined(data: Data, cache: Path) -> Data:
    """The data recipe whose splits are a folder and an annotation file each.

    Where a split is a list, or `map` renames classes, a file is written into the cache, once for the content of what it
    is made of. All its classes stand in the file of every split, in one order.

    Args:
        data: With absolute paths; one that has been through here already comes out the same.
        cache: The cache folder.

    Raises:
        PkdError: A file can't be read, or `map` names a class that is not there; or the cache can't be written.
    """
    if not has_joins(data):
        return data
    from pkdcli.data.joined.write import common_folder, join

    classes, old = classes_of(data)
    folder = cache / "joined" / f"{data.name}-{_key(data)}"
    update = {}
    for name, split in data.splits.items():
        listed = old[name]
        if not split.joined and listed[0] == classes and not data.map.keys() & set(listed[0]):
            continue
        file, told, where = folder / f"{name}.json", folder / f"{name}.notes.json", f"data set {data.name}, {name}"
        parts = [Part(images=part.images, annotations=part.annotations) for part in split.parts]
        if not file.is_file() or not isinstance(read_json(told), dict):
            notes = join(parts, classes, data.map, file, where)
            write_json(told, {"notes": notes})
        update[name] = Split(images=str(common_folder(parts, where)), annotations=str(file), joined=parts)
    return data.model_copy(update=update)


def notes_of(data: Data) -> dict[str, list[str]]:
    """By split, what a user should know of how it was put together, one sentence each.

    Args:
        data: As `joined` returns it.
    """
    if not has_joins(data):
        return {}
    _, old = classes_of(data)
    found = {}
    for name, split in data.splits.items():
        if split.joined:
            told = read_json(Path(split.annotations).with_suffix(".notes.json"))
            notes = list(told["notes"]) if isinstance(told, dict) else []
            found[name] = notes + lacking(split.joined, old[name], data.map, data.classes)
    return found


def _key(data: Data) -> str:
    """Another content, another place or other names of classes make other files."""
    places = [[part.images, part.annotations] for split in data.splits.values() for part in split.parts]
    told = json.dumps([_VERSION, fingerprint_of(data), places, data.map], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]
