"""Runs that were really made, broken on purpose or healthy, as the rules find them: records without weights."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from battery import PACKED, PLACE

from pkdcli.reporting.diagnosis.facts import Facts, facts_of
from pkdcli.runs.paths import RunPaths


@pytest.fixture(scope="session")
def recorded(tmp_path_factory) -> Path:
    """The folder of the recorded runs (`battery.py` makes them), each in a runs folder of its name."""
    root = tmp_path_factory.mktemp("battery")
    with tarfile.open(PACKED) as archive:
        for entry in archive.getmembers():
            file = root / entry.name
            file.parent.mkdir(parents=True, exist_ok=True)
            content = archive.extractfile(entry).read()
            file.write_bytes(content if file.suffix == ".npz" else content.replace(PLACE.encode(), str(root).encode()))
    return root


@pytest.fixture
def folder(recorded: Path) -> Callable[[str], Path]:
    """`folder(name)`: the run directory of an entry."""

    def folder(name: str) -> Path:
        (found,) = (recorded / "runs" / name).iterdir()
        return found

    return folder


@pytest.fixture
def facts(recorded: Path, folder) -> Callable[[str], Facts]:
    """`facts(name)`: what the rules look at of an entry."""
    return lambda name: facts_of(RunPaths(folder(name)), recorded / "cache")
