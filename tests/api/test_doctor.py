"""What a machine has and lacks, as far as it can be said without torch."""

from __future__ import annotations

import os

import pytest

from pkdcli.api import doctor
from pkdcli.api.doctor import Finding, checks


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
