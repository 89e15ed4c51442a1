"""`pkd doctor`: what a machine has and lacks."""

from __future__ import annotations

import json

from asking import card


def test_doctor_tells_what_is_there_and_what_is_not(type_, engine):
    line = '{"what": "torch", "found": "2.9", "ok": true, "remedy": ""}'
    engine("pkdcli.engine.worker.doctor", f"print({line!r}); print('noise')")
    findings = {f["what"]: f for f in map(json.loads, type_("doctor", "--json").out.splitlines())}
    assert findings["torch"] == {"what": "torch", "found": "2.9", "ok": True, "remedy": ""}
    assert findings["data coco"]["ok"] is None
    assert "cocodataset.org" in findings["data coco"]["remedy"]
    assert findings["mmdet"]["found"] == "3.3.0"
    assert type_("doctor").code == 0
    engine("pkdcli.engine.worker.doctor", "import sys; sys.exit('Traceback\\nImportError: libc')")
    said = type_("doctor", "--json")
    assert said.code == 3
    assert json.loads(said.out.splitlines()[-1]) == {
        "what": "torch",
        "found": "the stack does not start",
        "ok": False,
        "remedy": "ImportError: libc",
    }


def test_doctor_with_the_real_stack(here):
    code, out, err = card("doctor --json", here)
    assert (code, err) == (0, "")
    findings = {finding["what"]: finding for finding in map(json.loads, out.splitlines())}
    assert {"python", "torch", "cache", "runs", "data shapes", "data coco"} <= findings.keys()
    assert findings["mmcv operators"]["ok"] is findings["mmdet and mmrazor"]["ok"] is True
