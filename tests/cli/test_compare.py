"""`pkd compare` on runs that were really made."""

from __future__ import annotations

import json
import shutil

import pkdcli
from pkdcli.reporting.table import signed


def test_two_runs_as_tables_and_as_data(lab):
    baseline, student = lab.run("fcos50__baseline").name, lab.run("gfl101-fcos50__pkd").name
    answer = lab.pkd("compare", "fcos50__baseline", "gfl101-fcos50__pkd", "--resamples", "20", "--quiet")
    assert answer.code == 0, answer.err
    for words in ("A: fcos50__baseline, B: gfl101-fcos50__pkd", "95 % over images", "AP by class", "Loc", "circle"):
        assert words in answer.out
    answer = lab.pkd("compare", baseline, student, "--resamples", "0", "--format", "json", "--quiet")
    rows = {(row["kind"], row["key"]): row for row in json.loads(answer.out)}
    a, b = (json.loads((lab.run(name) / "result.json").read_text())["metrics"]["mAP"] for name in (baseline, student))
    assert (rows["metric", "mAP"]["a"], rows["metric", "mAP"]["b"]) == (a, b)
    assert rows["metric", "mAP"]["difference"] == b - a


def test_its_twin_in_python(lab, monkeypatch):
    monkeypatch.setenv("PKD_CACHE", str(lab.cache))
    found = pkdcli.compare(lab.run("fcos50__baseline"), lab.run("gfl101-fcos50__mse"), resamples=20, runs=lab.runs)
    frame = found.frame()
    assert list(frame[frame.kind == "metric"].key) == ["mAP", "AP50", "AP75", "AP_S", "AP_M", "AP_L"]
    teacher = json.loads(next(lab.cache.glob("teachers/*/result.json")).read_text())
    assert found.teacher["mAP"] == teacher["metrics"]["mAP"]
    (mean,) = frame[frame.key == "mAP"].difference
    names = [lab.run(name).name for name in ("fcos50__baseline", "gfl101-fcos50__mse")]
    # A line, and not the pages of recipes and detections that are in it.
    assert repr(found) == f"<Comparison with {names[0]}: {names[1]} {signed(mean)} mAP>"


def test_a_run_that_kept_nothing_names_the_command_that_helps(lab, tmp_path):
    for name in ("fcos50__baseline", "gfl101-fcos50__pkd"):
        shutil.copytree(lab.run(name), tmp_path / lab.run(name).name)
    run = next(tmp_path.glob("gfl101*"))
    (run / "predictions.npz").unlink()
    answer = lab.pkd("compare", "fcos50__baseline", "gfl101-fcos50__pkd", "--runs", tmp_path)
    assert answer.code == 3
    assert f"{run.name} has kept no detections of its val split." in answer.err
    assert f"pkd eval {run.name} evaluates it and keeps them" in " ".join(answer.err.split())


def test_one_run_alone_and_a_wrong_split(lab):
    answer = lab.pkd("compare", "fcos50__baseline")
    assert (answer.code, "give two runs or more" in answer.err) == (2, True)
    answer = lab.pkd("compare", "fcos50__baseline", "gfl101-fcos50__pkd", "--split", "tset")
    assert answer.code == 2
    assert "'test'" in answer.err
    answer = lab.pkd("compare", "fcos50__baseline", "gfl101-fcos50__pdk")
    assert answer.code == 2
    assert "no run begins with 'gfl101-fcos50__pdk'" in answer.err
