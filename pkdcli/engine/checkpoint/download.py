"""Weights from the model zoos, hash-checked and kept under the cache, where they may also be put by hand.

OpenMMLab and torchvision end a file's name with the first eight digits of its SHA-256; that is what is checked.
"""

from __future__ import annotations

import errno
import http.client
import json
import os
import re
import shlex
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from pkdcli.errors import ExitCode, PkdError, nearest
from pkdcli.runs.store import cannot_write, read_json, write_json
from pkdcli.runs.store import sha256 as _sha256

try:
    import fcntl
except ImportError:  # not on Windows; there each process downloads for itself
    fcntl = None

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes there will be (None where the server does not say)."""

_TIMEOUT = 30.0  # seconds without a byte
_TRIES = 3  # cut connections in a row that bring nothing further
_PAUSE = 1.0  # seconds before going on after a cut
_HERE = ("localhost", "127.0.0.1", "::1")


class _Cut(Exception):
    """The connection broke; another one may go on where it did."""


class _Unreachable(Exception):
    """The server can't be reached or has no such file."""


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
    _refuse_unsafe(url)
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


def _refuse_unsafe(url: str) -> None:
    address = urllib.parse.urlsplit(url)
    if address.scheme != "https" and not (address.scheme == "http" and address.hostname in _HERE):
        raise PkdError(f"{url} is not an https address.", "Use https, or download the file and give its path.")


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
            _download(url, part, progress)
        except (_Unreachable, _Cut) as error:
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


def _download(url: str, part: Path, progress: Progress | None) -> None:
    furthest, tries = 0, 0
    while True:
        try:
            return _transfer(url, part, progress)
        except _Cut:
            size = part.stat().st_size if part.exists() else 0
            tries = 0 if size > furthest else tries + 1
            furthest = max(size, furthest)
            if tries >= _TRIES:
                raise
            time.sleep(_PAUSE)


def _transfer(url: str, part: Path, progress: Progress | None) -> None:
    """One connection: append to what is there, or start over where the server can't go on."""
    have = part.stat().st_size if part.exists() else 0
    try:
        response = _open(url, have)
    except _Unsatisfiable as error:
        if error.total == have:
            return
        part.unlink()
        response, have = _open(url, 0), 0
    with response:
        resumed = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        have = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with open(part, "ab" if resumed else "wb") as file:
            while block := _read(response):
                file.write(block)
                have += len(block)
                if progress is not None:
                    progress(have, total)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and have < total:
        raise _Cut(f"the connection broke off after {have:,} of {total:,} bytes")


class _Unsatisfiable(Exception):
    """The server's file ends before the byte asked for."""

    def __init__(self, total: int | None) -> None:
        super().__init__()
        self.total = total


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        _refuse_unsafe(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, start: int) -> http.client.HTTPResponse:
    headers = {"User-Agent": "pkd", **({"Range": f"bytes={start}-"} if start else {})}
    request = urllib.request.Request(url, headers=headers)
    try:
        return urllib.request.build_opener(_Redirects).open(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and start:
            total = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
            raise _Unsatisfiable(int(total.group(1)) if total else None) from error
        raise _Unreachable(f"the server answers {error.code} {error.reason}") from error
    except ConnectionResetError as error:
        raise _Cut("the server broke off the connection") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _Unreachable(_reason(error)) from error


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(1 << 16)
    except (OSError, http.client.HTTPException) as error:
        raise _Cut(_reason(error)) from error


def _reason(error: BaseException) -> str:
    """Why a connection failed, in one line."""
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(inner, TimeoutError) or getattr(inner, "errno", None) == errno.ETIMEDOUT:
        return f"no answer within {_TIMEOUT:g} seconds"
    return str(getattr(inner, "strerror", None) or inner or type(inner).__name__)


def resolve_weights(name: str, cache: Path, *, progress: Progress | None = None) -> Path:
    """The local file of weights named as in mmdet's configs.

    Args:
        name: `torchvision://resnet50`, `open-mmlab://detectron2/resnet50_caffe`, `mmcls://resnet50`,
            `mmdet::gfl/gfl_r101_fpn_ms-2x_coco.py` (the zoo's weights of that config), an https address, or a path.
        cache: See `fetch`.
        progress: See `Progress`.

    Raises:
        PkdError: See `fetch`; or the zoo has no weights of that name (exit code 2).
    """
    return fetch(_address(name), cache, progress=progress)


def _address(name: str) -> str:
    if name.startswith("mmdet::"):
        return _address_in_metafile(name)
    scheme, _, model = name.partition("://")
    if scheme in ("torchvision", "modelzoo"):
        from mmengine.runner.checkpoint import get_torchvision_models

        return _entry("torchvision", model, get_torchvision_models())
    if scheme in ("open-mmlab", "openmmlab"):
        # mmengine's own function would create its cache folder in the user's home.
        return _entry("open-mmlab", _hub("deprecated").get(model, model), _hub("openmmlab"))
    if scheme == "mmcls":
        return _entry("mmcls", model, _hub("mmcls"))
    return name


def _hub(table: str) -> dict[str, str]:
    import mmengine

    return json.loads((Path(mmengine.__file__).parent / "hub" / f"{table}.json").read_text(encoding="utf-8"))


def _entry(zoo: str, model: str, table: Mapping[str, str]) -> str:
    if model not in table:
        guess = nearest(model, table)
        raise PkdError(
            f"{zoo}:// has no weights called {model!r}.",
            (f"Did you mean {zoo}://{guess}? " if guess else "")
            + f"It has {len(table)} models; see their documentation.",
        )
    return table[model]


def _address_in_metafile(name: str) -> str:
    from mmengine.hub import get_config

    try:
        return get_config(name, pretrained=True).model_path
    except (AssertionError, AttributeError, FileNotFoundError, KeyError, ValueError) as error:
        raise PkdError(
            f"mmdet's model zoo has no weights for {name}.", "Name a config of mmdet whose metafile lists weights."
        ) from error


def install_into_mmengine(cache: Path) -> None:
    """Send every checkpoint that mmengine would download through `fetch`, in this process.

    So `init_cfg=dict(type="Pretrained", checkpoint="torchvision://resnet50")` inside any mmdet model is hash-checked,
    kept under `cache`, and read without running code.
    """
    from mmengine.runner.checkpoint import CheckpointLoader

    from pkdcli.engine.checkpoint import read_checkpoint

    def load_from_pkd_cache(filename: str, map_location: Any = None) -> Any:
        return read_checkpoint(resolve_weights(filename, cache), map_location or "cpu")

    def load_local(filename: str, map_location: Any = None) -> Any:
        return read_checkpoint(filename, map_location or "cpu")

    def load_from_pkd_cache_mmcls(filename: str, map_location: Any = None) -> Any:
        # These are classifiers: the detector wants their backbone alone.
        content = load_from_pkd_cache(filename, map_location)
        state = content.get("state_dict", content)
        prefix = "backbone."
        return {"state_dict": {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}}

    schemes = ("torchvision://", "modelzoo://", "open-mmlab://", "openmmlab://", "http://", "https://")
    CheckpointLoader.register_scheme(schemes, load_from_pkd_cache, force=True)
    CheckpointLoader.register_scheme("", load_local, force=True)
    CheckpointLoader.register_scheme("mmcls://", load_from_pkd_cache_mmcls, force=True)
