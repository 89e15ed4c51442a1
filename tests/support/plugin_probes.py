"""Plug-ins made for a test: `install` has them found as if pip had put them there."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


def write_plugin(
    folder: Path,
    groups: dict[str, dict[str, str]],
    files: dict[str, str],
    name: str = "pkd-probe",
    version: str = "0.1",
) -> Path:
    """A distribution with entry points as pip would install it; returns the folder, which is to be on sys.path.

    Args:
        folder: Gets the modules and `NAME-VERSION.dist-info`.
        groups: Entry points, name to value, by their group.
        files: Texts of files by their path in the folder.
        name: Of the distribution.
        version: Of the distribution.
    """
    stem = name.replace("-", "_")
    for old in folder.glob(f"{stem}-*.dist-info"):
        shutil.rmtree(old)
    info = folder / f"{stem}-{version}.dist-info"
    lines = [f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in entries.items()) for group, entries in groups.items()]
    texts = {f"{info.name}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"}
    texts[f"{info.name}/entry_points.txt"] = "\n\n".join(lines) + "\n"
    for path, text in {**texts, **files}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Install a plug-in for this process and those it starts, as `write_plugin` makes it, until the test has ended."""
    from pkdcli import plugins
    from pkdcli.recipe import library

    def forget() -> None:
        importlib.invalidate_caches()
        plugins.offered.cache_clear()
        library.load_all.cache_clear()

    before = set(sys.modules)

    def install(
        groups: dict[str, dict[str, str]],
        files: dict[str, str] | None = None,
        name: str = "pkd-probe",
        version: str = "0.1",
    ) -> Path:
        folder = write_plugin(tmp_path / "site" / name, groups, files or {}, name, version)
        for path in files or {}:  # another test may have imported a module of that name
            sys.modules.pop(Path(path).parts[0].removesuffix(".py"), None)
        if str(folder) not in sys.path:
            monkeypatch.syspath_prepend(folder)
            monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])))
        forget()
        return folder

    yield install
    monkeypatch.undo()
    for module in set(sys.modules) - before:
        if (getattr(sys.modules[module], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[module]
    forget()
