"""What a machine has and lacks, as far as it can be said without torch."""

from __future__ import annotations

import json
import os

import pytest

from pkdcli.api import doctor
from pkdcli.api.doctor import Finding, checks
from pkdcli.errors import PkdError


@pytest.fixture
def found(tmp_path, monkeypatch):
    for name, folder in (("PKD_CACHE", "cache/deep"), ("PKD_RUNS", "runs"), ("PKD_COCO", "coco")):
        monkeypatch.setenv(name, str(tmp_path / folder))

    def found():
        return {finding.what: finding for finding in checks()}

    return found


def test_this_machine_has_what_is_needed(found, tmp_path):
    findings = found()
    assert [finding.what for finding in findings.values() if finding.ok is False] == []
    assert findings["mmcv-lite"].found == "2.1.0"
    assert findings["data shapes"] == Finding("data shapes", "embedded; drawn on first use", True)
    assert findings["cache"].found.startswith(f"{tmp_path}/cache/deep, ")
    assert list(tmp_path.iterdir()) == []  # looking makes no folders


def test_coco_is_noted_and_not_demanded(found, tmp_path):
    coco = found()["data coco"]
    assert (coco.ok, coco.found) == (None, f"not at {tmp_path}/coco")
    assert coco.remedy.startswith("Download train2017.zip")
    (tmp_path / "coco" / "annotations").mkdir(parents=True)
    for split in ("train", "val"):
        (tmp_path / "coco" / "annotations" / f"instances_{split}2017.json").write_text("{}")
    assert found()["data coco"] == Finding("data coco", "there", True)


def test_packages_that_are_absent_or_of_another_release(found, monkeypatch):
    monkeypatch.setattr(doctor, "requires", lambda _: ["mmdet==9.9", "no-such-package>=1", 'x; extra == "test"'])
    findings = found()
    assert findings["mmdet"] == Finding("mmdet", "3.3.0", False, 'pip install "mmdet==9.9"')
    assert findings["no-such-package"] == Finding(
        "no-such-package", "not installed", False, 'pip install "no-such-package>=1"'
    )
    assert "x" not in findings


@pytest.mark.parametrize(("free", "writable"), [(10**8, True), (10**12, False)])
def test_folders_without_room_or_permission(found, monkeypatch, free, writable):
    class Usage:
        pass

    Usage.free = free
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: Usage)
    monkeypatch.setattr(os, "access", lambda *_: writable)
    findings = found()
    for what, variable in (("cache", "PKD_CACHE"), ("runs", "PKD_RUNS")):
        assert findings[what].ok is False
        assert findings[what].remedy == f"Set {variable} to a folder with room that you may write to."
        assert findings[what].found.endswith("0 GiB free" if writable else "not writable")


def test_findings_travel_as_lines():
    finding = Finding("a", "b", None, "c")
    assert Finding.read(f"noise\n{finding.line()}\n{{}}\n") == [finding]


# The function and the command

STACK = [Finding("torch", "2.9", True), Finding("GPU", "none", None, "Scale tiny runs on the CPU.")]
MODULE = "pkdcli.engine.worker.doctor"


def test_the_function_gives_what_the_command_prints(engine, typed, called):
    engine(MODULE, "\n".join(f"print({one.line()!r})" for one in STACK) + "\nprint('noise')")
    found = called(doctor.doctor)
    assert list(found[-2:]) == STACK
    answer = typed("doctor", "--json")
    assert [json.loads(line)["what"] for line in answer.out.splitlines()] == [one.what for one in found]
    assert answer.out.splitlines()[-2:] == [one.line() for one in STACK]
    assert (answer.code, found.ok) == (0, True)


def test_a_stack_that_does_not_start_is_a_finding_and_exit_code_3(engine, typed, called):
    engine(MODULE, "import sys; sys.exit('Traceback\\nImportError: libc')")
    found = called(doctor.doctor)
    assert found[-1] == Finding("torch", "the stack does not start", False, "ImportError: libc")
    assert (typed("doctor").code, found.ok) == (3, False)


def test_what_was_found_before_the_stack_broke_is_kept(engine, called):
    engine(MODULE, f"print({STACK[0].line()!r}, flush=True)\nimport os; os.kill(os.getpid(), 11)")
    assert called(doctor.doctor)[-1] == STACK[0]


def test_findings_are_a_frame_and_a_table_for_notebooks():
    found = doctor.Findings([Finding("a<b", "c", False, "d & e"), *STACK])
    frame = found.frame()
    assert list(frame.columns) == ["what", "found", "ok", "remedy"]
    assert frame["ok"].tolist() == [False, True, None]
    html = found._repr_html_()
    assert "<td>missing</td><td>a&lt;b</td><td>c</td><td>d &amp; e</td>" in html
    assert html.count("<tr>") == 4


def test_the_doctor_takes_no_keywords():
    with pytest.raises(PkdError) as caught:
        doctor.doctor(json=True)
    assert caught.value.message == "unknown keyword 'json'."


def test_a_file_in_the_place_of_a_folder_is_no_folder_with_room(found, monkeypatch, tmp_path):
    file = tmp_path / "a-file"
    file.touch()
    monkeypatch.setenv("PKD_CACHE", str(file / "below"))
    monkeypatch.setenv("PKD_RUNS", str(file))
    findings = found()
    assert findings["cache"].ok is findings["runs"].ok is False
    assert findings["cache"].found == f"{file / 'below'}, but {file} is a file"
    assert findings["runs"].found == f"{file} is a file, not a folder of runs."
    assert findings["runs"].remedy == "Set PKD_RUNS to a folder with room that you may write to."
