"""Run directories -> one .tar.gz: the same bytes whenever the same runs are packed."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pkdcli.errors import PkdError
from pkdcli.runs.archives.contents import NAME, RUNS, TEACHERS, File, Manifest, files_of
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import sha256, write_with


def write(archive: Path, manifest: Manifest, runs: Iterable[RunPaths], teachers: Iterable[RunPaths]) -> Manifest:
    """Write an archive, whole or not at all.

    Args:
        archive: The file.
        manifest: All but the list of files.
        runs: The runs.
        teachers: Their teachers.

    Returns:
        The list as it stands in the archive.

    Raises:
        PkdError: A file changes while it is packed or can't be read, or there is no space.
    """
    kinds = ((RUNS, runs), (TEACHERS, teachers))
    sources = {
        f"{kind}/{paths.run}/{file.relative_to(paths.root).as_posix()}": file
        for kind, among in kinds
        for paths in among
        for file in files_of(paths)
    }
    try:
        files = [File(name, file.stat().st_size, sha256(file)) for name, file in sources.items()]
    except OSError as error:
        why = f"can't read {error.filename}: {error.strerror}."
        raise PkdError(why, "A run that is at work can't be packed.") from error
    whole = replace(manifest, files=files)
    write_with(archive, lambda beside: _write(beside, whole, sources))
    return whole


def _write(beside: Path, manifest: Manifest, sources: dict[str, Path]) -> None:
    # No time, no owner, no name of a file: nothing but the runs themselves.
    with (
        open(beside, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        listed = manifest.as_json()
        tar.addfile(_entry(NAME, len(listed)), io.BytesIO(listed))
        for file in manifest.files:
            with open(sources[file.name], "rb") as content:
                watched = _Hashed(content)
                tar.addfile(_entry(file.name, file.size), watched)
                if watched.digest.hexdigest() != file.sha256:
                    raise PkdError(f"{sources[file.name]} changed while it was packed.", "Type the command again.")


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o644, 0
    return entry


class _Hashed:
    """A file whose content is hashed as it is read."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self.digest.update(block)
        return block
