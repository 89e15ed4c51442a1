"""A place named by an option that can't be written to: the message names that option, and no other."""

from __future__ import annotations

import errno

import pytest

from pkdcli.errors import ExitCode, PkdError
from pkdcli.folders import make_room
from pkdcli.runs.store import cannot_write, named_by


@pytest.mark.parametrize(
    ("words", "place", "option"),
    [
        (("data", "check"), ("--html", "file/x.html"), "--html FILE"),
        (("data", "check"), ("--fix", "file/x"), "--fix DIR"),
        (("data", "import"), ("--output", "file/x"), "--output DIR"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_the_option_is_named(type_, own, here, words, place, option):
    (here / "file").touch()
    answer = type_(*words, own.parent if "import" in words else own, *place)
    told = f"error: can't write {here / place[1]}: a file stands where a folder should be.\n"
    assert answer.code == 3
    assert answer.err.endswith(f"{told}Check the permissions there, or name another place with {option}.\n")


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "Free some space, or name another place with --plot-dir DIR."),
        (errno.EACCES, "Check the permissions there, or name another place with --plot-dir DIR."),
    ],
)
def test_a_full_disk_and_permissions(number, hint):
    problem = OSError(number, "why")
    with pytest.raises(PkdError) as caught, named_by("--plot-dir DIR"):
        raise cannot_write("plots/a.png", problem) from problem
    assert (caught.value.hint, caught.value.code) == (hint, ExitCode.MISSING)


def test_another_error_keeps_its_remedy():
    with pytest.raises(PkdError) as caught, named_by("--plot-dir DIR"):
        raise PkdError("something else.", "Its remedy.")
    assert str(caught.value) == "something else.\nIts remedy."


def test_a_folder_for_exports_and_predictions_is_looked_at_before_anything_is_done(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(PkdError) as caught:
        make_room(tmp_path / "file" / "x", force=False)
    told = f"can't write {tmp_path}/file/x: {tmp_path}/file is a file.\nGive another folder with -o DIR."
    assert (str(caught.value), caught.value.code) == (told, ExitCode.MISSING)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(PkdError) as caught:
        make_room(tmp_path / "new" / "x", force=False)
    told = f"can't write {tmp_path}/new/x: Permission denied.\nGive another folder with -o DIR."
    assert (str(caught.value), caught.value.code) == (told, ExitCode.MISSING)
    monkeypatch.undo()
    make_room(tmp_path / "new" / "x", force=False)
    assert not (tmp_path / "new").exists()
