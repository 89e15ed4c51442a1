"""Runs that were really made, broken on purpose or healthy, as the rules find them: records without weights."""

from __future__ import annotations

import functools
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import heldout
import pytest
from battery import PACKED, PLACE

from pkdcli.reporting.diagnosis.facts import Facts, facts_of
from pkdcli.reporting.diagnosis.rank import Diagnosis, diagnosed
from pkdcli.runs.paths import RunPaths


@pytest.fixture(scope="session")
def recorded(tmp_path_factory) -> Path:
    """The folder of the recorded runs (`battery.py`, `heldout.py`), each in a runs folder of its name."""
    root = tmp_path_factory.mktemp("battery")
    for packed in (PACKED, heldout.PACKED):
        with tarfile.open(packed) as archive:
            for entry in archive.getmembers():
                file = root / entry.name
                file.parent.mkdir(parents=True, exist_ok=True)
                content = archive.extractfile(entry).read()
                moved = content if file.suffix == ".npz" else content.replace(PLACE.encode(), str(root).encode())
                file.write_bytes(moved)
    return root


@pytest.fixture(scope="session")
def folder(recorded: Path) -> Callable[[str], Path]:
    """`folder(name)`: the run directory of an entry."""

    def folder(name: str) -> Path:
        (found,) = (recorded / "runs" / name).iterdir()
        return found

    return folder


@pytest.fixture(scope="session")
def facts(recorded: Path, folder) -> Callable[[str], Facts]:
    """`facts(name)`: what the rules look at of an entry."""

    def facts(name: str) -> Facts:
        look = folder(name) / "look.json"
        found = json.loads(look.read_text()) if look.is_file() else None
        return facts_of(RunPaths(folder(name)), recorded / "cache", found)

    return facts


@pytest.fixture(scope="session")
def diagnosis(facts) -> Callable[[str], Diagnosis]:
    """`diagnosis(name)`: what the rules say of an entry, asked once."""
    return functools.cache(lambda name: diagnosed(facts(name)))


@pytest.fixture
def good(facts) -> Facts:
    """A run in which nothing is wrong."""
    return facts("healthy")
