"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.store import append_jsonl, cannot_write, read_json, read_jsonl, write_json, write_text, write_with


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_and_the_folders_above_it(tmp_path):
    write_text(tmp_path / "a" / "b" / "c.txt", "grüß\n")
    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == "grüß\n".encode()


def test_it_replaces_what_was_there_and_leaves_nothing_beside(tmp_path):
    write_text(tmp_path / "c.txt", "old")
    write_text(tmp_path / "c.txt", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("c.txt", "new")]


def test_what_is_told_again_soon_does_not_wait_for_the_disk(tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr(os, "fsync", lambda handle: waited.append(handle))
    write_json(tmp_path / "c.json", {"a": 1}, durable=False)
    assert waited == []
    assert [path.name for path in tmp_path.iterdir()] == ["c.json"]
    write_json(tmp_path / "c.json", {"a": 2})
    assert len(waited) == 1


def test_it_may_be_read_as_any_file_of_the_users(tmp_path):
    old = os.umask(0o027)
    try:
        write_text(tmp_path / "c.txt", "x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "c.txt").stat().st_mode) == 0o640


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.EIO, "broken"), ValueError])
def test_whatever_fails_leaves_the_old_file_as_it_was(tmp_path, error):
    write_text(tmp_path / "c.txt", "old")

    def half(beside):
        beside.write_text("ne")
        raise error

    with pytest.raises((KeyboardInterrupt, PkdError, ValueError)):
        write_with(tmp_path / "c.txt", half)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("c.txt", "old")]


def test_no_space_left(tmp_path, monkeypatch):
    write_text(tmp_path / "c.txt", "old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PkdError) as caught:
        write_text(tmp_path / "c.txt", "new")
    monkeypatch.undo()
    assert caught.value.code == ExitCode.MISSING
    assert caught.value.message == f"no space left to write {tmp_path / 'c.txt'}."
    assert "Free some space" in caught.value.hint
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("c.txt", "old")]


def test_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(PkdError) as caught:
        write_text(tmp_path / "a" / "c.txt", "x")
    assert caught.value.code == ExitCode.MISSING
    assert caught.value.message == f"can't write {tmp_path / 'a' / 'c.txt'}: a file stands where a folder should be."


def test_an_error_without_words(tmp_path):
    assert cannot_write(tmp_path, OSError("odd")).message == f"can't write {tmp_path}: odd."


def test_json_has_no_nan(tmp_path):
    write_json(tmp_path / "r.json", {"a": float("nan"), "b": [1.5, float("inf")], 3: ("x", None, True)})
    text = (tmp_path / "r.json").read_text()
    assert json.loads(text, parse_constant=lambda word: pytest.fail(word)) == {
        "a": None,
        "b": [1.5, None],
        "3": ["x", None, True],
    }
    assert read_json(tmp_path / "r.json")["b"] == [1.5, None]


@pytest.mark.parametrize("text", [None, "", "{", "\xff"])
def test_json_that_is_absent_or_not_whole_is_none(tmp_path, text):
    if text is not None:
        (tmp_path / "r.json").write_bytes(text.encode("latin-1"))
    assert read_json(tmp_path / "r.json") is None


def test_lines_are_appended_and_a_half_one_is_passed_over(tmp_path):
    path = tmp_path / "m.jsonl"
    append_jsonl(path, {"iter": 1, "loss": 0.5})
    append_jsonl(path, {"iter": 2, "loss": float("nan"), "text": "ü\n"})
    with open(path, "a") as file:
        file.write('[1]\n{"iter": 3, "lo')
    assert list(read_jsonl(path)) == [{"iter": 1, "loss": 0.5}, {"iter": 2, "loss": None, "text": "ü\n"}]
    assert list(read_jsonl(tmp_path / "absent.jsonl")) == []


def test_a_record_after_a_half_written_one_is_not_lost(tmp_path):
    path = tmp_path / "m.jsonl"
    append_jsonl(path, {"iter": 1})
    with open(path, "a") as file:
        file.write('{"iter": 2, "lo')
    append_jsonl(path, {"iter": 2})
    assert list(read_jsonl(path)) == [{"iter": 1}, {"iter": 2}]


def test_text_with_unusual_ends_of_lines_stays_one_record(tmp_path):
    append_jsonl(tmp_path / "m.jsonl", {"text": "a\u2028b\x85c"})
    assert list(read_jsonl(tmp_path / "m.jsonl")) == [{"text": "a\u2028b\x85c"}]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a disk that is always full")
def test_no_space_left_for_a_line():
    with pytest.raises(PkdError) as caught:
        append_jsonl(Path("/dev/full"), {"iter": 1})
    assert caught.value.message == "no space left to write /dev/full."
