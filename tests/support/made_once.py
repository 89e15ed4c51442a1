"""What takes long to make is made by one of pytest-xdist's workers, and each of the others gets a copy of its own."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock


def made_once(
    factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Any], *beside: Path
) -> tuple[Path, Any]:
    """A folder of this worker's own, whose content one worker has made.

    The worker that needs it first makes it in the folder it keeps, and lays a copy down before any test has seen it.
    The other workers wait for that and copy it, so what a test writes into its folder is seen by no other worker. In
    files of text the folder's path becomes that of the copy.

    Args:
        factory: pytest's, which knows this worker's folder for temporary files.
        name: Of the folder; the same for all workers.
        make: Fills an empty folder; what it returns can be written as JSON.
        *beside: Other folders of each worker's own whose paths stand in the content.

    Returns:
        The folder, and what `make` returned.
    """
    folder = factory.mktemp(name)
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return folder, make(folder)
    shared = factory.getbasetemp().parent / f"{name}-for-all"
    places = [str(path) for path in (folder, *beside)]
    with FileLock(f"{shared}.lock"):
        if not (shared / "about.json").exists():
            made = make(folder)
            shutil.copytree(folder, shared / "content", symlinks=True)
            (shared / "about.json").write_text(json.dumps({"places": places, "made": made}))
            return folder, made
    text = (shared / "about.json").read_text()
    moved = dict(zip(json.loads(text)["places"], places, strict=True))
    shutil.copytree(shared / "content", folder, symlinks=True, dirs_exist_ok=True)
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            _move(path, moved)
    return folder, json.loads(_replaced(text, moved))["made"]


def _move(path: Path, moved: dict[str, str]) -> None:
    """Write the new paths into a file of text, and leave its times as they are."""
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError:
        return
    if (new := _replaced(text, moved)) != text:
        when = path.stat()
        path.write_bytes(new.encode())
        os.utime(path, ns=(when.st_atime_ns, when.st_mtime_ns))


def _replaced(text: str, moved: dict[str, str]) -> str:
    for old, new in moved.items():
        text = text.replace(old, new)
    return text
