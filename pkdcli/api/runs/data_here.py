"""Where on this machine the data of an unpacked run lies."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli.errors import PkdError
from pkdcli.recipe.schema import Data, Split

if TYPE_CHECKING:
    from pkdcli.runs.archives.contents import DataSet


def splits_at(data: DataSet, place: str) -> dict[str, Split]:
    """The splits of a data set in a folder or by a data recipe, whose annotations are those the run was made on.

    Args:
        data: As an archive's list has it.
        place: A folder, which has the files as the folder had that they all lay in before; or a data recipe.

    Raises:
        PkdError: Files are not there, or the annotations have another content.
    """
    from pkdcli.data.prepare import absent, fingerprint
    from pkdcli.recipe.references import is_path
    from pkdcli.recipe.resolve import load_data

    where = f"--data {data.name}={place}"
    if is_path(place):
        there = load_data(place).splits
        lacking = [name for name in data.splits if name not in there]
        if lacking:
            raise PkdError(f"{where}: it has no split {lacking[0]}, which the run has.", "Name the same splits.")
        found = {name: there[name] for name in data.splits}
    else:
        found = _in_folder(data, Path(place).expanduser().absolute(), where)
    made = Data(name=data.name, map=data.map, **found)
    if missing := absent(made):
        listed = "".join(f"\n  {path}" for path in missing)
        raise PkdError(
            f"{where}: it should have these, and has not:{listed}",
            f"Where the files lie otherwise, name the data recipe that says where: --data {data.name}=FILE.yaml",
        )
    if data.fingerprint is not None and fingerprint(made) != data.fingerprint:
        raise PkdError(
            f"{where}: its annotations are not those that the run was made on: their fingerprint is "
            f"{fingerprint(made)}, and was {data.fingerprint}.",
            "Bring the annotation files from the other machine, unchanged.",
        )
    return found


def _in_folder(data: DataSet, folder: Path, where: str) -> dict[str, Split]:
    if not folder.is_dir():
        raise PkdError(f"{where}: there is no folder {folder}.", "Give the folder of its files, or its data recipe.")
    named = [path for part in data.parts for path in part.values()]
    base = os.path.commonpath([os.path.dirname(path.rstrip("/")) for path in named])

    def placed(part: Mapping[str, str]) -> dict[str, str]:
        return {key: str(folder / os.path.relpath(part[key], base)) for key in ("images", "annotations")}

    found = {}
    for name, split in data.splits.items():
        made: dict[str, Any] = placed(split)
        if split.get("joined"):  # what was made of them lay in a cache, and is made again
            made = {"images": "", "annotations": "", "joined": [placed(one) for one in split["joined"]]}
        found[name] = Split(**made)
    return found
