"""A fixture that one worker of pytest-xdist makes: each of the others gets a copy of its own, with its own paths."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from made_once import made_once


@dataclass(frozen=True)
class Worker:
    """What pytest hands to a worker's session fixtures."""

    base: Path

    def getbasetemp(self) -> Path:
        return self.base

    def mktemp(self, name: str) -> Path:
        (self.base / name).mkdir(parents=True)
        return self.base / name


@pytest.fixture
def two(tmp_path) -> tuple[Worker, Worker]:
    """Two workers of one session."""
    return Worker(tmp_path / "gw0"), Worker(tmp_path / "gw1")


@pytest.fixture
def made(two):
    """The folders in which something was made, and a function that makes it for a worker."""
    folders = []

    def for_worker(worker: Worker):
        def make(folder: Path) -> str:
            folders.append(folder)
            (folder / "recipe.yaml").write_text(f"here: {folder}/runs\ndata: {worker.base}/data\n")
            (folder / "weights.pth").write_bytes(b"\xff\xfe" + str(folder).encode())
            return f"wrote {folder}"

        return made_once(worker, "lab", make, worker.base / "data")

    return folders, for_worker


def test_the_second_worker_gets_a_copy_in_which_the_paths_are_its_own(two, made, monkeypatch):
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    folders, for_worker = made
    first, said = for_worker(two[0])
    assert (first, said) == (two[0].base / "lab", f"wrote {first}")
    (first / "recipe.yaml").write_text("spoilt by a test")
    second, said = for_worker(two[1])
    assert (second, said) == (two[1].base / "lab", f"wrote {second}")
    assert folders == [first]
    assert (second / "recipe.yaml").read_text() == f"here: {second}/runs\ndata: {two[1].base}/data\n"
    assert (second / "weights.pth").read_bytes() == b"\xff\xfe" + str(first).encode()


def test_what_could_not_be_made_is_made_by_the_next(two, monkeypatch):
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")

    def fail(folder: Path) -> None:
        raise AssertionError("no disk")

    with pytest.raises(AssertionError, match="no disk"):
        made_once(two[0], "lab", fail)
    assert made_once(two[1], "lab", lambda folder: 7) == (two[1].base / "lab", 7)


def test_without_workers_everybody_makes_their_own(two, made, monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    folders, for_worker = made
    assert [for_worker(worker)[0] for worker in two] == folders
    assert len(folders) == 2
