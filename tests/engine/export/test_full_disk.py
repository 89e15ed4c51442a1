"""A full disk is told with the file that could not be written, whatever library writes it; nothing of it stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pkdcli.compat import activate
from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.store import named_by

activate()  # before mmdet is imported

from pkdcli.engine.export import int8, other_files  # noqa: E402

FULL = Path("/dev/full")
TOLD = "no space left to write student.bin.\nFree some space, or name another place with -o DIR."
needs_one = pytest.mark.skipif(not FULL.exists(), reason="only Linux has a disk that is always full")


def told(write, *args) -> PkdError:
    with pytest.raises(PkdError) as caught, named_by("-o DIR", Path("student.bin")):
        write(*args)
    return caught.value


@needs_one
def test_safetensors():
    error = told(other_files.write_safetensors, torch.nn.Linear(2, 2), FULL, {"classes": ["a"]})
    assert (str(error), error.code) == (TOLD, ExitCode.MISSING)


@needs_one
def test_torchscript(monkeypatch):
    monkeypatch.setattr(other_files, "example", lambda *_: (torch.zeros(1, 2),))
    error = told(other_files.write_torchscript, torch.nn.Linear(2, 2), None, FULL, 32)
    assert (str(error), error.code) == (TOLD, ExitCode.MISSING)


def test_quantizing_begins_with_room_for_what_it_writes_besides(tmp_path, monkeypatch):
    source = tmp_path / "student.onnx"
    source.write_bytes(b"a graph")
    monkeypatch.setattr(int8.shutil, "disk_usage", lambda _: SimpleNamespace(free=13))
    error = told(int8.write, source, tmp_path / "student.int8.onnx", iter(()))
    assert (str(error), error.code) == (TOLD, ExitCode.MISSING)
    assert os.listdir(tmp_path) == ["student.onnx"]


def test_an_error_with_a_file_of_its_own_is_not_that_files(tmp_path):
    with pytest.raises(FileNotFoundError), named_by("-o DIR", Path("student.bin")):
        (tmp_path / "absent").read_text()


def test_what_is_no_run_has_no_log_to_look_into(tmp_path):

    (tmp_path / "asked.json").write_text("{}")
    script = (
        "import sys\nfrom pkdcli.engine.worker.request import answer_lines\n"
        "sys.exit(answer_lines(['asked.json'], lambda asked, say: asked['absent']))"
    )
    process = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    error = json.loads(process.stdout)["error"]
    assert (process.returncode, error["message"]) == (1, "KeyError: 'absent'")
    assert error["hint"] == "It was raised in <string>, line 3."
