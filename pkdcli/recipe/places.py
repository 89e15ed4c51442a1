"""Where on this machine the files of a resolved recipe's data are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePath

from pkdcli.recipe.schema import Data, Split


def made_here(data: Data, cache: Path) -> Data:
    """A data recipe whose drawn and joined files are those of the present cache, wherever that was before.

    Data of the user's own stays where its recipe says, and so do paths that are not yet absolute.

    Args:
        data: Of a resolved recipe.
        cache: The cache folder.
    """
    if data.generator is None:
        update = {name: _joined(split, cache) for name, split in data.splits.items()}
        return data if update == data.splits else data.model_copy(update=update)
    update = {
        name: Split(images=_drawn(split.images, data, cache), annotations=_drawn(split.annotations, data, cache))
        for name, split in data.splits.items()
    }
    return data if update == data.splits else data.model_copy(update=update)


def _drawn(path: str, data: Data, cache: Path) -> str:
    """A path below the folder that the generator makes in the cache (`data/shapes-v1`), in the present cache."""
    parts = PurePath(path).parts
    folder = re.compile(rf"{data.generator}-v\d+")
    place = next((place for place in reversed(range(len(parts))) if folder.fullmatch(parts[place])), None)
    return path if place is None else str(Path(cache, "data", *parts[place:]))


def _joined(split: Split, cache: Path) -> Split:
    """A split whose one annotation file was made in the cache (`joined/NAME-KEY/train.json`), in the present cache."""
    parts = PurePath(split.annotations).parts
    if not split.joined or len(parts) < 3 or parts[-3] != "joined":
        return split
    return split.model_copy(update={"annotations": str(Path(cache, *parts[-3:]))})


def at(data: Data, splits: Mapping[str, Split]) -> Data:
    """The same data with its files in other places.

    Args:
        data: Of a resolved recipe.
        splits: The places of each split that it has; others are left out.
    """
    return data.model_copy(update={name: splits[name] for name in data.splits})
