"""Weights from the model zoos, hash-checked and kept under the cache, where they may also be put by hand.

OpenMMLab and torchvision end a file's name with the first eight digits of its SHA-256; that is what is checked.
"""

from __future__ import annotations

import os
import re
import shlex
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from pkdcli.engine.checkpoint.transfer import Cut, Progress, Unreachable, refuse_unsafe, resume_download
from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.store import cannot_write, read_json, write_json
from pkdcli.runs.store import sha256 as _sha256

try:
    import fcntl
except ImportError:  # not on Windows; there each process downloads for itself
    fcntl = None


def fetch(url: str, cache: Path, *, sha256_prefix: str | None = None, progress: Progress | None = None) -> Path:
    """The file at `url`, downloaded once into `cache/downloads/<host>/<file name>`.

    A broken download goes on where it stopped, now or at the next call. A file that is there already, verified before
    or put there by hand, needs no network. Processes that want the same file wait for the first one.

    Args:
        url: https, or http on this machine; `file://` addresses and existing paths are returned as they are.
        cache: The cache folder.
        sha256_prefix: How the file's SHA-256 begins; by default what the file's name says, "" for no check.
        progress: See `Progress`.

    Raises:
        PkdError: No network, no such file, wrong content or no space (exit code 3: the machine lacks the file, and the
            hint says where to put it by hand); no such local path, or an address that is not https (exit code 2).
    """
    if (local := _local(url)) is not None:
        return local
    refuse_unsafe(url)
    address = urllib.parse.urlsplit(url)
    name = PurePosixPath(urllib.parse.unquote(address.path.rpartition("/")[2])).name
    if name in ("", ".", ".."):
        raise PkdError(f"the address {url} names no file.", "Give the address of a checkpoint file.")
    target = Path(cache) / "downloads" / str(address.hostname) / name
    prefix = hash_in_name(name) if sha256_prefix is None else sha256_prefix.lower()
    if _ready(target, url, prefix):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target):
            if not _ready(target, url, prefix):  # another process may have been faster
                _bring(url, target, prefix, progress)
    except OSError as error:
        raise cannot_write(target, error) from error
    return target


def hash_in_name(name: str) -> str:
    """How the SHA-256 of a zoo's file begins, by its name; "" where the name does not say.

    >>> hash_in_name("resnet50-0676ba61.pth")
    '0676ba61'
    """
    found = re.search(r"-([0-9a-f]{8,64})\.\w+$", name)
    # Eight digits may also be a date.
    if found is None or re.fullmatch(r"20[12]\d(0[1-9]|1[0-2])([0-2]\d|3[01])", found.group(1)):
        return ""
    return found.group(1)


def _local(name: str) -> Path | None:
    """The path, where `name` is one; None where it is an address."""
    if name.startswith("file://"):
        path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(name).path))
    elif "://" in name:
        return None
    else:
        path = Path(name).expanduser()
    if not path.is_file():
        raise PkdError(f"there is no file {path}.", "Check the path of the weights.")
    return path


def _ready(target: Path, url: str, prefix: str) -> bool:
    """Whether the file is there and right; it is read as a whole only if it changed since it was last verified."""
    try:
        state = target.stat()
    except OSError:
        return False
    noted = read_json(_note(target))
    noted = noted if isinstance(noted, dict) else {}
    if (noted.get("size"), noted.get("mtime_ns")) == (state.st_size, state.st_mtime_ns):
        # Without a hash to tell, files of the same name on the same host may still differ.
        return str(noted.get("sha256")).startswith(prefix) if prefix else noted.get("url") == url
    digest = _sha256(target)
    if not digest.startswith(prefix):
        return False
    _remember(target, url, digest)
    return True


def _note(target: Path) -> Path:
    return target.with_name(f"{target.name}.ok")


def _remember(target: Path, url: str, digest: str) -> None:
    state = target.stat()
    note = {"url": url, "sha256": digest, "size": state.st_size, "mtime_ns": state.st_mtime_ns}
    with suppress(PkdError):  # a cache shared read-only is verified at every use
        write_json(_note(target), note)


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process that holds it."""
    if fcntl is None:
        yield
        return
    with open(target.with_name(f".{target.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _bring(url: str, target: Path, prefix: str, progress: Progress | None) -> None:
    part = target.with_name(f"{target.name}.part" if fcntl else f"{target.name}.{os.getpid()}.part")
    if not prefix:
        part.unlink(missing_ok=True)  # nothing would tell whether both halves are of the same file
    for _ in range(2):
        try:
            resume_download(url, part, progress)
        except (Unreachable, Cut) as error:
            raise _by_hand(f"can't download {url}: {error}.", target, prefix) from error
        digest = _sha256(part)
        if digest.startswith(prefix):
            os.replace(part, target)
            _remember(target, url, digest)
            return
        part.unlink()
    raise _by_hand(
        f"{url} arrives with the wrong content: its SHA-256 begins with {digest[: len(prefix)]}, not with {prefix}. "
        "Perhaps a proxy or a login page answered instead of the server.",
        target,
        prefix,
    )


def _by_hand(message: str, target: Path, prefix: str) -> PkdError:
    check = (
        f"To check it, `sha256sum {shlex.quote(str(target))}` must begin with {prefix}."
        if prefix
        else "Its name states no checksum, so none is checked."
    )
    return PkdError(
        message,
        f"Try again with a network, or download the file elsewhere and put it at\n  {target}\n{check}\n"
        "The environment variable PKD_CACHE chooses the cache folder.",
        ExitCode.MISSING,
    )


