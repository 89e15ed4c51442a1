"""Errors, findings and folders: what every other module builds on."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from pkdcli import folders
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


@pytest.fixture
def only_read(cache, monkeypatch, tmp_path):
    """A cache that can't be written to; returns the folder of temporary files."""
    cache.mkdir()
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != cache and allowed(path, mode))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    folders._private.cache_clear()
    yield tmp_path / "temporary"
    folders._private.cache_clear()


def test_beside_a_cache_that_is_only_to_be_read_they_are_temporary(cache, only_read, monkeypatch):
    own = only_read / f"pkd-{os.getuid()}"
    assert libraries_cache() == own
    assert own.stat().st_mode & 0o777 == 0o700
    folders._private.cache_clear()  # as another process
    assert libraries_cache() == own
    monkeypatch.setenv("PKD_CACHE", str(cache / "not" / "there"))
    assert libraries_cache() == own


@pytest.mark.parametrize("planted", ["open to others", "a link", "a file"])
def test_they_are_kept_in_no_temporary_folder_that_another_user_may_write_to(only_read, planted):
    """They are pickles, and it is easy to tell what the folder is called."""
    own = only_read / f"pkd-{os.getuid()}"
    if planted == "a link":
        (only_read / "another").mkdir(mode=0o700)
        own.symlink_to(only_read / "another")
    elif planted == "a file":
        own.touch(mode=0o600)
    else:
        own.mkdir()
        own.chmod(0o777)
    found = libraries_cache()
    assert found.parent == only_read
    assert found != own
    assert found.stat().st_mode & 0o777 == 0o700
    assert libraries_cache() == found


def test_nor_in_one_that_another_user_has_made(only_read, monkeypatch):
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    (only_read / f"pkd-{mine + 1}").mkdir(mode=0o700)
    assert libraries_cache().name != f"pkd-{mine + 1}"
