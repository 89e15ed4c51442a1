"""A file over HTTP, which goes on where a broken connection has left it."""

from __future__ import annotations

import errno
import http.client
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pkdcli.errors import PkdError

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes there will be (None where the server does not say)."""
TIMEOUT = 30.0  # seconds without a byte
TRIES = 3  # cut connections in a row that bring nothing further
PAUSE = 1.0  # seconds before going on after a cut
_HERE = ("localhost", "127.0.0.1", "::1")


class Cut(Exception):
    """The connection broke; another one may go on where it did."""


class Unreachable(Exception):
    """The server can't be reached or has no such file."""


def refuse_unsafe(url: str) -> None:
    """Refuse an address over which anybody on the way could send another file.

    Raises:
        PkdError: It is neither https nor http on this machine.
    """
    address = urllib.parse.urlsplit(url)
    if address.scheme != "https" and not (address.scheme == "http" and address.hostname in _HERE):
        raise PkdError(f"{url} is not an https address.", "Use https, or download the file and give its path.")


def resume_download(url: str, part: Path, progress: Progress | None) -> None:
    """Bring the rest of a file; a connection that breaks is taken up again, as long as that brings it further.

    Args:
        url: Of the file.
        part: What is there of it so far, to which is appended.
        progress: See `Progress`.

    Raises:
        Cut: The connection broke again and again.
        Unreachable: The server can't be reached or has no such file.
    """
    furthest, tries = 0, 0
    while True:
        try:
            return _connect(url, part, progress)
        except Cut:
            size = part.stat().st_size if part.exists() else 0
            tries = 0 if size > furthest else tries + 1
            furthest = max(size, furthest)
            if tries >= TRIES:
                raise
            time.sleep(PAUSE)


def _connect(url: str, part: Path, progress: Progress | None) -> None:
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
        raise Cut(f"the connection broke off after {have:,} of {total:,} bytes")


class _Unsatisfiable(Exception):
    """The server's file ends before the byte asked for."""

    def __init__(self, total: int | None) -> None:
        super().__init__()
        self.total = total


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        refuse_unsafe(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, start: int) -> http.client.HTTPResponse:
    headers = {"User-Agent": "pkd", **({"Range": f"bytes={start}-"} if start else {})}
    request = urllib.request.Request(url, headers=headers)
    try:
        return urllib.request.build_opener(_Redirects).open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and start:
            total = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
            raise _Unsatisfiable(int(total.group(1)) if total else None) from error
        raise Unreachable(f"the server answers {error.code} {error.reason}") from error
    except ConnectionResetError as error:
        raise Cut("the server broke off the connection") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(_reason(error)) from error


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(1 << 16)
    except (OSError, http.client.HTTPException) as error:
        raise Cut(_reason(error)) from error


def _reason(error: BaseException) -> str:
    """Why a connection failed, in one line."""
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(inner, TimeoutError) or getattr(inner, "errno", None) == errno.ETIMEDOUT:
        return f"no answer within {TIMEOUT:g} seconds"
    return str(getattr(inner, "strerror", None) or inner or type(inner).__name__)
