"""Files and folders that users name to be written: told before the work, with path, cause and a remedy that works."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pkdcli.destinations import check_destination, destination
from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.store import write_text


def told(call, *args, **kwargs) -> tuple[str, str]:
    with pytest.raises(PkdError) as caught:
        call(*args, **kwargs)
    assert caught.value.code == ExitCode.MISSING
    return caught.value.message, caught.value.hint


def test_new_files_and_folders_are_taken_and_nothing_is_made(tmp_path):
    check_destination(tmp_path / "a" / "b.md", "--output")
    check_destination(tmp_path / "a" / "b", "--plot-dir", folder=True)
    check_destination(tmp_path, "--plot-dir", folder=True)
    (tmp_path / "there.md").write_text("")
    check_destination(tmp_path / "there.md", "--output")
    assert [path.name for path in tmp_path.iterdir()] == ["there.md"]


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    assert told(check_destination, tmp_path, "-o") == (
        f"can't write {tmp_path}: Is a directory.", f"Name a file in it: -o {tmp_path}/NAME")  # fmt: skip
    assert told(check_destination, file, "--plot-dir", folder=True) == (
        f"can't write {file}: a file stands where a folder should be.", "Name another: --plot-dir DIR")  # fmt: skip
    inside = file / "a" / "b"
    assert told(check_destination, inside, "-o") == (
        f"can't write {inside}: a file stands where a folder should be: {file}.", "Name another: -o FILE")  # fmt: skip


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    message, _ = told(check_destination, tmp_path / "link" / "a.md", "-o")
    assert message.endswith(f"a file stands where a folder should be: {tmp_path / 'link'}.")


def test_an_empty_word_is_no_file():
    with pytest.raises(PkdError) as caught:
        check_destination(Path(""), "--output")
    assert (caught.value.message, caught.value.hint) == (
        "--output: that is a folder, not a file.", "Name a file: --output FILE")  # fmt: skip


@pytest.mark.parametrize("device", ["/dev/null", "/dev/stdout"])
def test_a_device_is_not_replaced_by_a_file(device):
    assert told(check_destination, Path(device), "--output") == (
        f"can't write {device}: it is a device, not a file.",
        "Leave --output out to have it printed, or name a file: --output FILE",
    )


def test_a_folder_that_may_not_be_written_can_be_allowed_by_who_owns_it(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert told(check_destination, tmp_path / "new" / "a.md", "-o") == (
        f"can't write {tmp_path / 'new' / 'a.md'}: Permission denied.",
        f"Allow it, chmod u+wx {tmp_path}, or name another: -o FILE",
    )
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert told(check_destination, tmp_path / "new", "--plot-dir", folder=True) == (
        f"can't write {tmp_path / 'new'}: Permission denied.", "Name another: --plot-dir DIR")  # fmt: skip


def test_what_fails_while_it_is_written_is_told_the_same_way(tmp_path):
    def write(error):
        with destination(tmp_path / "a.md", "--output"):
            raise error

    assert told(write, OSError(errno.ENOSPC, "No space left on device")) == (
        f"no space left to write {tmp_path / 'a.md'}.",
        "Free some space there, or name another on a disk that has some: --output FILE",
    )
    message, hint = told(write, OSError(errno.ENAMETOOLONG, "File name too long"))
    assert (message, hint) == (f"can't write {tmp_path / 'a.md'}: File name too long.", "Name another: --output FILE")
    other = PkdError("another thing.", "Do this.")
    with pytest.raises(PkdError) as caught:
        write(other)
    assert caught.value is other, "what is no matter of writing keeps its own words"


def test_the_stores_own_words_are_for_runs_not_for_files_that_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "a.md"

    def write():
        with destination(path, "--output"):
            write_text(path, "text")

    assert told(write)[1] == "Name another: --output FILE"
