"""One .tar.gz -> files in a folder of one's own, checked one by one. It may come from anybody.

Nothing in it is trusted: only plain files that its list names are taken, each of the size and the hash that the list
says, below the folder that is given. Links, devices, paths that lead elsewhere and archives that swell up are refused.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.archives.contents import NAME, File, Manifest, no_archive
from pkdcli.runs.store import cannot_write

BLOCK = 1 << 20
LARGEST_LIST = 64 << 20  # bytes of the list of files, which is read into memory
RATIO, ALWAYS = 200, 1 << 30  # what is packed becomes so many times larger at most, beyond this many bytes


def read_list(archive: Path) -> Manifest:
    """The list of what is in an archive.

    Raises:
        PkdError: It is absent, damaged, or no archive of runs.
    """
    with _opened(archive) as tar:
        return _list(tar, archive)


def extract(archive: Path, into: Path) -> Manifest:
    """Take all files out of an archive.

    Args:
        archive: The file.
        into: An empty folder, on the file system where the files are to stay.

    Returns:
        The list of what is in it, which all files fit.

    Raises:
        PkdError: It is damaged or no archive of runs, holds what no such archive does, or there is no space.
    """
    with _opened(archive) as tar:
        manifest = _list(tar, archive)
        _check_size(manifest, archive, into)
        wanted = {file.name: file for file in manifest.files}
        while (entry := tar.next()) is not None:
            file = wanted.pop(entry.name, None)
            if file is None:
                raise no_archive(archive, f"{entry.name!r} is not in its list of files, or is in it twice")
            _take(tar, entry, file, into, archive)
        if wanted:
            raise no_archive(archive, f"{next(iter(wanted))} is missing, as the end of the file may be")
        tar.fileobj.read(BLOCK)  # what fills up the last block, and then the checksum of the whole
        if tar.fileobj.read(1):
            raise no_archive(archive, "there is more behind its end")
    return manifest


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    try:
        with (
            open(archive, "rb") as raw,
            gzip.GzipFile(fileobj=raw, mode="rb") as packed,
            tarfile.open(fileobj=_Bounded(packed), mode="r:") as tar,
        ):
            yield tar
    except FileNotFoundError as error:
        raise PkdError(f"there is no file {error.filename or archive}.", "`pkd archive RUN` writes one.") from error
    except IsADirectoryError as error:
        raise PkdError(f"{archive} is a folder.", "Give the .tar.gz that `pkd archive` has written.") from error
    except (gzip.BadGzipFile, tarfile.TarError, zlib.error, EOFError) as error:
        raise no_archive(archive, _why(error)) from error
    except ValueError as error:  # numbers in a header that are none
        raise no_archive(archive, "it is damaged") from error
    except OSError as error:
        raise PkdError(f"can't read {archive}: {error.strerror or error}.", None, ExitCode.MISSING) from error


def _why(error: Exception) -> str:
    if isinstance(error, gzip.BadGzipFile):
        return "it is no .tar.gz, or a damaged one"
    if isinstance(error, EOFError) or "unexpected end" in str(error):
        return "it is damaged: its end is missing"
    return "it is damaged"


class _Bounded:
    """A file of which nobody reads more than a block at once: headers may claim any length."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > LARGEST_LIST:
            raise tarfile.ReadError("a header that is too long")
        return self._file.read(size)


def _list(tar: tarfile.TarFile, archive: Path) -> Manifest:
    entry = tar.next()
    if entry is None or entry.name != NAME or not entry.isreg() or entry.size > LARGEST_LIST:
        raise no_archive(archive, f"it was not made by `pkd archive`, whose files begin with {NAME}")
    return Manifest.read(tar.extractfile(entry).read(), archive)


def _check_size(manifest: Manifest, archive: Path, into: Path) -> None:
    """Refuse what no disk would hold, before a byte of it is written."""
    free, packed = shutil.disk_usage(into).free, archive.stat().st_size
    if manifest.size > max(ALWAYS, RATIO * packed):
        raise no_archive(archive, f"{packed:,} bytes would become {manifest.size:,}, which no run does")
    if manifest.size > free:
        raise PkdError(
            f"no space left to unpack {archive}: it needs {manifest.size / 1e6:,.0f} MB, and {into.parent} has "
            f"{free / 1e6:,.0f}.",
            "Free some space, or choose other folders with --runs DIR and the environment variable PKD_CACHE.",
            ExitCode.MISSING,
        )


def _take(tar: tarfile.TarFile, entry: tarfile.TarInfo, file: File, into: Path, archive: Path) -> None:
    """Write one file, and make sure that it is the one that the list names."""
    if not entry.isreg() or entry.issparse():
        raise no_archive(archive, f"{entry.name} is no plain file but a link or a device")
    try:
        entry = tarfile.data_filter(entry, str(into))  # a second look at the path, by Python's own rules
    except tarfile.FilterError as error:
        raise no_archive(archive, f"{file.name!r} would lie outside of its runs") from error
    if entry.size != file.size:
        raise no_archive(archive, f"{file.name} has {entry.size} bytes, and {file.size} in its list of files")
    target, digest = into / file.name, hashlib.sha256()
    content = tar.extractfile(entry)
    with _written(target) as out:
        while block := content.read(BLOCK):
            digest.update(block)
            out.write(block)
    if digest.hexdigest() != file.sha256 or target.stat().st_size != file.size:
        raise no_archive(archive, f"{file.name} was changed after it was packed")


@contextmanager
def _written(target: Path) -> Iterator[IO[bytes]]:
    """A file to write into; what the disk refuses is not taken for a fault of the archive."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "xb") as out:
            yield out
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise
        raise cannot_write(target, error) from error
