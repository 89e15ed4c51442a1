"""Where pkd and the libraries it imports write."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from pkdcli.folders import libraries_cache


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
