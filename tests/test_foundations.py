"""Errors, findings and folders: what every other module builds on."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from pkdcli.errors import ExitCode, PkdError, nearest, unknown
from pkdcli.findings import Finding
from pkdcli.folders import cache_root, libraries_cache, runs_root


def test_an_errors_text_is_its_message_and_its_hint_on_a_line_of_its_own():
    assert str(PkdError("wrong.")) == "wrong."
    assert str(PkdError("wrong.", "Mend it.")) == "wrong.\nMend it."
    assert PkdError("wrong.").code is ExitCode.USAGE
    assert PkdError("wrong.", code=3).code is ExitCode.MISSING
    with pytest.raises(ValueError, match="7"):
        PkdError("wrong.", code=7)


@pytest.mark.parametrize(("word", "found"), [("pdk", "pkd"), ("cwdd", "cwd"), ("zzz", None), ("", None)])
def test_the_nearest_word_is_none_where_all_are_far(word, found):
    assert nearest(word, iter(["pkd", "cwd"])) == found


def test_an_unknown_word_says_where_it_stands_and_what_would_have_done():
    assert str(unknown("loss", "pdk", ["pkd", "cwd"], "r.yaml: loss")) == (
        "r.yaml: loss: unknown loss 'pdk'.\nDid you mean 'pkd'? Allowed: cwd, pkd."
    )
    assert str(unknown("loss", "zzz", ["pkd"])) == "unknown loss 'zzz'.\nAllowed: pkd."
    assert str(unknown("loss", "pkd", [])) == "unknown loss 'pkd'.\nThere is no loss at all."


def test_findings_come_back_from_among_other_lines():
    known = [Finding("Gerät", 'a "GPU"\nof two lines', None), Finding("disk", "none", False, "Free some.")]
    text = "\n".join(["a warning", known[0].line(), "{}", known[1].line(), ""])
    assert Finding.read(text) == known
    assert Finding.read("") == []


def test_the_folder_given_goes_before_the_variable_and_that_before_the_one_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PKD_RUNS", "~/läufe")
    assert runs_root(Path("mine")) == tmp_path / "mine"
    assert runs_root() == tmp_path / "home" / "läufe"
    monkeypatch.setenv("PKD_RUNS", "")
    assert runs_root() == tmp_path / "runs"
    monkeypatch.setenv("PKD_CACHE", "~/cache")
    assert cache_root() == tmp_path / "home" / "cache"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PKD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_libraries_keep_their_files_in_the_cache(cache):
    assert libraries_cache() == cache  # which is made by whoever writes first
    cache.mkdir()
    assert libraries_cache() == cache


def test_beside_a_cache_that_is_only_to_be_read_they_are_temporary(cache, monkeypatch):
    cache.mkdir()
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != cache and allowed(path, mode))
    assert libraries_cache() == Path(tempfile.gettempdir()) / f"pkd-{os.getuid()}"
    monkeypatch.setenv("PKD_CACHE", str(cache / "not" / "there"))
    assert libraries_cache() == Path(tempfile.gettempdir()) / f"pkd-{os.getuid()}"
