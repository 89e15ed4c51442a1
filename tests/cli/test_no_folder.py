"""A file in the place of a folder of pkd's is refused, in looks and dry runs too, and not taken for an empty one."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "words",
    [
        *("status", "list runs", "report", "resume --all", "clean", "logs a", "rm a --yes", "diagnose a"),
        *("compare a b", "archive a", "export a", "eval a", "show a", "train --scale tiny --dry-run"),
        *("train --scale tiny", "sweep --scale tiny --dry-run"),
        "tune --loss mse --weight 1..10 --scale tiny --dry-run",
    ],
)
def test_a_file_in_the_place_of_the_runs_folder(type_, here, monkeypatch, words):
    file = here / "a-file"
    file.touch()
    answer = type_(*words.split(), "--runs", "a-file")
    assert (answer.out, answer.code) == ("", 2)
    assert answer.err == f"error: {file} is a file, not a folder of runs.\nGive the folder with --runs DIR.\n"
    monkeypatch.setenv("PKD_RUNS", str(file))
    answer = type_(*words.split())
    assert answer.err.endswith("Give the folder with --runs DIR or the environment variable PKD_RUNS.\n")
    assert list(here.iterdir()) == [file]


@pytest.mark.parametrize("words", ["train --dry-run", "train", "sweep --dry-run"])
def test_a_file_in_the_place_of_the_cache(type_, here, monkeypatch, words):
    file = here / "a-file"
    file.touch()
    monkeypatch.setenv("PKD_CACHE", str(file))
    answer = type_(*words.split(), "--scale", "tiny")
    assert (answer.out, answer.code) == ("", 2)
    told = f"error: {file} is a file, not a folder for the cache.\nSet PKD_CACHE to a folder, or unset it.\n"
    assert answer.err == told
