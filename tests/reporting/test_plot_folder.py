"""`--plot-dir`: looked at before the work, filled with all plots or none."""

from __future__ import annotations

import errno
import importlib.util

import pytest
from compared_runs import desk_in, refused

import pkdcli
from pkdcli.errors import ExitCode, PkdError
from pkdcli.reporting import plot_folder
from pkdcli.reporting.compare import scored
from pkdcli.reporting.plot_folder import check_folder, staged

NAMES = ("fcos50__baseline", "gfl101-fcos50__pkd", "--resamples", "0")


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A baseline and pkd, and the folder of them."""
    desk = desk_in(tmp_path, monkeypatch)
    desk.add("none", 6.0)
    desk.add("pkd", 3.0)
    return desk


def write(folder, error):
    """Write one plot of two, and meet an error."""
    with staged(folder) as beside:
        (beside / "a.png").write_bytes(b"new")
        raise error


@pytest.mark.parametrize("words", [("-o", "x.pdf"), ("--plot-dir", "file"), ("-o", "file/a.md"), ("-o", ".")])
def test_what_can_not_be_written_is_refused_before_a_run_is_read(desk, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(scored, "score", lambda *_, **__: pytest.fail("a run was read"))
    refused(desk, *NAMES, *words)


def test_a_picture_is_no_format_and_where_pictures_go_is_said(desk):
    assert refused(desk, *NAMES, "-o", "x.pdf").hint.startswith("Pictures are written into a folder: --plot-dir DIR.")


def test_a_disk_that_is_full_leaves_neither_plots_nor_their_folder(tmp_path):
    folder = tmp_path / "new" / "plots"
    with pytest.raises(PkdError) as caught:
        write(folder, OSError(errno.ENOSPC, "No space left on device"))
    assert caught.value.message == f"no space left to write {folder}."
    assert caught.value.hint == "Free some space there, or name another on a disk that has some: --plot-dir DIR"
    assert caught.value.code == ExitCode.MISSING
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_stays_where_new_plots_fail(tmp_path):
    (tmp_path / "a.png").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, KeyboardInterrupt())
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.png", b"old")]


def test_without_matplotlib_the_line_to_type_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(plot_folder, "find_spec", lambda name: None)
    with pytest.raises(PkdError) as caught:
        check_folder(tmp_path)
    assert caught.value.message == "--plot-dir needs matplotlib, which is not installed."
    assert (caught.value.hint, caught.value.code) == ("Type: pip install matplotlib", ExitCode.MISSING)
    assert importlib.util.find_spec("matplotlib") is not None


def test_python_writes_what_the_command_writes(desk, tmp_path):
    """An output that was given to the function used to be taken without a word, and nothing written."""
    asked = {"resamples": 0, "quiet": True}
    found = pkdcli.compare("fcos50__baseline", "gfl101-fcos50__pkd", output=tmp_path / "a.csv", **asked)
    desk(*NAMES, "-o", tmp_path / "b.csv")
    assert found.files == (tmp_path / "a.csv",)
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    found = pkdcli.compare("fcos50__baseline", "gfl101-fcos50__pkd", plot_dir=tmp_path / "plots", **asked)
    assert {path.name for path in found.files} | {"captions.md"} == {
        path.name for path in (tmp_path / "plots").iterdir()}  # fmt: skip
