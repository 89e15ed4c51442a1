"""What of a run another machine needs, and the list of it that stands first in every archive."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pkdcli.errors import PkdError
from pkdcli.recipe.schema import Data
from pkdcli.runs.liveness import finished
from pkdcli.runs.paths import RunPaths

NAME = "manifest.json"
SCHEMA = 1
RUNS, TEACHERS = "runs", "teachers"

# Of this machine alone (jobs, locks, half-written files), or for trackers, which metrics.jsonl has all for.
_STAYS = re.compile(r"\..*|slurm\.json|trackers|.*\.part")
_ID = re.compile(r"[^\s/\\.][^\s/\\]{0,250}")


@dataclass(frozen=True)
class File:
    """One file of an archive.

    Attributes:
        name: Its path there: `runs/ID/recipe.yaml`, or `teachers/ID/...`.
        size: Bytes.
        sha256: Of its content.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class DataSet:
    """Data of the user's own that packed runs need, which is not in the archive.

    Attributes:
        name: As the data recipe says it.
        fingerprint: Of its annotations.
        splits: Where `images` and `annotations` of each split lay; of one that is `joined` of several, those of each.
        map: New names of classes by old ones, which the fingerprint is of, too.
    """

    name: str
    fingerprint: str | None
    splits: dict[str, dict[str, Any]]
    map: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Data) -> DataSet:
        """What an archive says of the data of a recipe."""
        return cls(
            data.name, data.fingerprint, {name: one.model_dump() for name, one in data.splits.items()}, dict(data.map)
        )

    @property
    def parts(self) -> list[dict[str, str]]:
        """`images` and `annotations` of whatever the user has named, of all splits."""
        return [part for split in self.splits.values() for part in split.get("joined") or [split]]


@dataclass(frozen=True)
class Manifest:
    """What is in an archive.

    Attributes:
        pkd: The version of pkd that wrote it.
        runs: Ids of the runs.
        teachers: Ids of the teachers' runs.
        data: What is needed and not in it.
        outside: Other files that the recipes name and that are not in it.
        files: All files but this list.
    """

    pkd: str
    runs: list[str]
    teachers: list[str]
    data: list[DataSet] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    files: list[File] = field(default_factory=list)

    @property
    def folders(self) -> list[str]:
        """The folders of all runs in it: `runs/ID` and `teachers/ID`."""
        return [*(f"{RUNS}/{one}" for one in self.runs), *(f"{TEACHERS}/{one}" for one in self.teachers)]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(one.size for one in self.files)

    def as_json(self) -> bytes:
        """The list as it stands in the archive."""
        return (json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1, ensure_ascii=False) + "\n").encode()

    @classmethod
    def read(cls, content: bytes, archive: Path) -> Manifest:
        """The list of an archive.

        Args:
            content: Its first file.
            archive: For messages.

        Raises:
            PkdError: It is no such list, of a later version, or names what no archive of runs holds.
        """
        try:
            found: dict[str, Any] = json.loads(content)
            if found["schema"] != SCHEMA:
                hint = "Install a newer pkd here, or pack the run again with an older one."
                raise PkdError(f"{archive} was made by pkd {found.get('pkd')}, whose archives are others.", hint)
            made = cls(
                str(found["pkd"]),
                [str(one) for one in found["runs"]],
                [str(one) for one in found["teachers"]],
                [_data_set(one) for one in found["data"]],
                [str(one) for one in found["outside"]],
                [File(str(one["name"]), _size(one["size"]), str(one["sha256"])) for one in found["files"]],
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise no_archive(archive, "its list of files can't be read") from error
        _check_names(made, archive)
        return made


def no_archive(archive: Path, why: str) -> PkdError:
    """The error of a file that is no archive of runs, or a damaged one.

    Args:
        archive: The file.
        why: What is wrong with it, in a few words.
    """
    return PkdError(
        f"{archive} can't be unpacked: {why}.", "Nothing was written. Copy it again, or pack again with `pkd archive`."
    )


def files_of(paths: RunPaths) -> Iterator[Path]:
    """The files of a run that travel, in a fixed order.

    A finished run needs no training states: report, evaluation and export go by its weights.

    Args:
        paths: The run.
    """
    skipped = {paths.checkpoints} if finished(paths) else set()
    yield from _below(paths.root, skipped)


def _below(folder: Path, skipped: set[Path]) -> Iterator[Path]:
    for path in sorted(folder.iterdir(), key=lambda one: one.name):
        if _STAYS.fullmatch(path.name) or path in skipped:
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _below(path, skipped)
        elif path.is_file():
            yield path


def _size(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError
    return value


def _data_set(value: Any) -> DataSet:
    splits = {name: _part(one) for name, one in value["splits"].items()}
    for name, one in value["splits"].items():
        if one.get("joined"):
            splits[name]["joined"] = [_part(part) for part in one["joined"]]
    renamed = {str(old): str(new) for old, new in value.get("map", {}).items()}
    return DataSet(value["name"], value["fingerprint"], splits, renamed)


def _part(value: Any) -> dict[str, Any]:
    return {key: str(value[key]) for key in ("images", "annotations")}


def _check_names(manifest: Manifest, archive: Path) -> None:
    """Refuse a list that names anything but files below the folders of its runs, or one twice."""
    known = set(manifest.folders)
    for one in [*manifest.runs, *manifest.teachers]:
        if not _ID.fullmatch(one):
            raise no_archive(archive, f"{one!r} is no name of a run")
    seen = set()
    for file in manifest.files:
        parts = file.name.split("/")
        safe = all(part not in ("", ".", "..") and "\\" not in part and "\0" not in part for part in parts)
        if len(parts) < 3 or "/".join(parts[:2]) not in known or not safe:
            raise no_archive(archive, f"{file.name!r} would lie outside of its runs")
        if file.name.casefold() in seen:
            raise no_archive(archive, f"{file.name!r} is in it twice")
        seen.add(file.name.casefold())
