"""`pkd compare` as the user sees it: what it writes, and what it says of runs that can't be compared."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace

import pytest
from compared_runs import Desk, desk_in, refused

from pkdcli.data.scoring.predictions import read, write
from pkdcli.errors import ExitCode
from pkdcli.runs.paths import RunPaths, teachers_root
from pkdcli.runs.store import read_json, write_json


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A baseline and pkd, which is better, of one teacher whose numbers the result tells."""
    desk = desk_in(tmp_path, monkeypatch)
    desk.base = desk.add("none", 6.0)
    desk.pkd = desk.add("pkd", 3.0, teacher_run="gone", teacher_metrics={"mAP": 95.0})
    return desk


def test_the_table_holds_the_numbers_of_the_json(desk):
    rows = json.loads(desk("fcos50__baseline", "gfl101-fcos50__pkd", "--resamples", "40", "--format", "json").stdout)
    by_key = {(row["kind"], row["key"]): row for row in rows}
    mean = by_key["metric", "mAP"]
    assert mean["difference"] == pytest.approx(mean["b"] - mean["a"])
    assert mean["images_lower"] < mean["difference"] < mean["images_upper"]
    assert mean["difference"] > 5
    assert by_key["class", "car"]["images_lower"] is not None
    text = desk("fcos50__baseline", "gfl101-fcos50__pkd", "--resamples", "40").stdout
    (line,) = (line for line in text.splitlines() if line.split()[:1] == ["mAP"])
    assert line.split() == ["mAP", f"{mean['a']:.1f}", f"{mean['b']:.1f}", f"{mean['difference']:+.1f}",
                            f"{mean['images_lower']:+.1f}", "to", f"{mean['images_upper']:+.1f}"]  # fmt: skip
    share = 100 * mean["difference"] / (95 - mean["a"])
    said = " ".join(text.split())
    assert f"The teacher has 95.0 mAP: B makes up {share:.0f} % of its lead over A." in said
    assert "The teacher's own errors are not shown:" in said
    assert "Most frequent confusions" in said


def test_every_format_and_the_plots(desk, tmp_path):
    names = ("fcos50__baseline", "gfl101-fcos50__pkd", "--resamples", "5")
    for suffix, sign in (
        ("md", "| mAP |"),
        ("tex", r"\begin{tabular}"),
        ("csv", "against,kind,key"),
        ("html", "<!doctype html>"),
    ):
        path = tmp_path / f"c.{suffix}"
        desk(*names, "-o", path)
        assert sign in path.read_text()
    with (tmp_path / "c.csv").open() as file:
        kinds = {"run", "pair", "metric", "class", "error", "calibration", "confusion", "image"}
        assert {row["kind"] for row in csv.DictReader(file)} == kinds
    out = desk(*names, "--plot", "--plot-dir", tmp_path / "plots").stdout
    assert re.search(r"Better or worse than baseline\n95 % intervals over images\nmAP +\+\d+\.\d .*├─+●─+┤", out)
    made = {path.name for path in (tmp_path / "plots").iterdir()}
    assert {f"compare-{name}.png" for name in ("differences", "classes", "errors", "calibration")} < made
    assert sum(name.startswith("compare-image-") for name in made) == 6


def test_one_run_or_the_same_twice(desk):
    error = refused(desk, "fcos50__baseline")
    assert error.message == "give two runs or more: what is compared with first."
    assert refused(desk, "fcos50__baseline", "fcos50__baseline").message == "these are the same run twice."


def test_runs_on_other_data_are_named(desk, tmp_path, monkeypatch):
    other = Desk(tmp_path / "more", name="other")
    other.runs, other.cache = desk.runs, desk.cache
    run = other.add("mse", 3.0)
    error = refused(desk, "fcos50__baseline", run.run)
    said = f"{desk.base.run} and {run.run} can't be compared: they differ in data set: mine and other."
    assert error.message == said
    assert error.hint == "Compare runs that were trained and evaluated on the same data."
    assert error.code == ExitCode.USAGE


def test_another_set_of_images_is_named(desk):
    run = desk.add("mse", 3.0, images=20)
    error = refused(desk, "fcos50__baseline", run.run)
    assert error.message == (
        f"{desk.base.run} and {run.run} can't be compared: they were evaluated on 30 and 20 images, and 10 of these "
        "are not in both, such as id 21."
    )
    assert error.hint == f"A smoke run evaluates a few images alone; pkd eval {run.run} evaluates all."
    # What that has written is taken, though the run's own are whole as well.
    write(run.evaluation_predictions("mine", "val"), desk.detections(3.0, 0, None))
    desk("fcos50__baseline", run.run, "--resamples", "0")


def test_a_run_that_two_words_mean(desk):
    for words in (("fcos50__baseline", desk.base.root), ("fcos50", "gfl101-fcos50", desk.base.run)):
        error = refused(desk, *words)
        assert error.message == f"{str(words[0])!r} and {str(words[-1])!r} both mean {desk.base.run}."
        assert error.code == ExitCode.USAGE


def test_a_copy_of_a_run_is_another_run(desk, tmp_path):
    copy = tmp_path / "copy" / desk.base.run
    shutil.copytree(desk.base.root, copy)
    text = desk("fcos50__baseline", copy, "--resamples", "2", "--format", "csv").stdout
    (row,) = (row for row in csv.DictReader(text.splitlines()) if row["key"] == "mAP")
    assert float(row["difference"]) == 0


def test_a_split_that_the_data_set_has_not(desk):
    error = refused(desk, "fcos50__baseline", "gfl101-fcos50__pkd", "--split", "test")
    assert error.message == f"{desk.base.run}: its data set mine has no split 'test'."
    assert error.hint == "It has train, val."


def test_a_file_that_cannot_be_written(desk, tmp_path):
    error = refused(desk, "fcos50__baseline", "gfl101-fcos50__pkd", "--resamples", "0", "-o", tmp_path)
    assert error.message == f"can't write {tmp_path}: Is a directory."
    assert (error.hint, error.code) == (f"Name a file in it: --output {tmp_path}/NAME", ExitCode.MISSING)


def test_a_split_that_was_not_evaluated(desk):
    error = refused(desk, "fcos50__baseline", "gfl101-fcos50__pkd", "--split", "train")
    assert error.message == f"{desk.base.run} has kept no detections of its train split."
    assert error.hint.startswith(f"pkd eval {desk.base.run} --split train evaluates it and keeps them;")
    assert error.code == ExitCode.MISSING


def test_a_run_that_has_kept_nothing(desk):
    desk.pkd.predictions.unlink()
    error = refused(desk, "fcos50__baseline", "gfl101-fcos50__pkd")
    assert error.message == f"{desk.pkd.run} has kept no detections of its val split."
    assert error.hint == (
        f"pkd eval {desk.pkd.run} evaluates it and keeps them; every run does so at its end, unless it was started "
        "with --no-keep-predictions or by an older release."
    )
    assert error.code == ExitCode.MISSING


def test_a_run_that_pkd_eval_does_not_look_for_is_named_by_its_folder(desk, monkeypatch):
    """Neither a teacher nor a run of another folder is found there by its id."""
    home = teachers_root(desk.cache) / "taught"
    shutil.copytree(desk.pkd.root, home)
    RunPaths(home).predictions.unlink()
    assert refused(desk, "fcos50__baseline", "taught").hint.startswith(f"pkd eval {home} evaluates it")
    desk.pkd.predictions.unlink()
    monkeypatch.setenv("PKD_RUNS", str(desk.runs.parent))
    hint = refused(desk, "fcos50__baseline", "gfl101-fcos50__pkd", "--runs", desk.runs).hint
    assert hint.startswith(f"pkd eval {desk.pkd.root} evaluates it")


def test_a_run_that_is_not_finished_is_gone_on_with(desk):
    desk.pkd.predictions.unlink()
    desk.pkd.result.unlink()
    write_json(desk.pkd.status, {"state": "interrupted"})
    error = refused(desk, "fcos50__baseline", "gfl101-fcos50__pkd")
    assert error.message == f"{desk.pkd.run} is not finished (interrupted): a run keeps its detections at its end."
    assert error.hint == f"pkd resume {desk.pkd.run} goes on with it; `pkd status` says how far it is."
    assert error.code == ExitCode.MISSING


def test_annotations_that_have_changed_since(desk):
    old = read(desk.pkd.predictions).fingerprint
    desk.content["annotations"][0]["bbox"][2] += 1
    desk.annotate(desk.content)
    error = refused(desk, "fcos50__baseline", "gfl101-fcos50__pkd")
    now = re.search(r"and is (\w+)\)", error.message).group(1)
    assert now != old
    assert error.message == (
        f"{desk.base.run}: the annotations of data set mine have changed since it was evaluated (their fingerprint was "
        f"{old}, and is {now})."
    )
    assert error.hint == f"pkd eval {desk.base.run} evaluates it again, on the annotations as they are now."


def test_what_pkd_eval_has_written_since_is_taken(desk):
    whole = desk("fcos50__baseline", "gfl101-fcos50__pkd", "--resamples", "0", "--format", "csv").stdout
    found = read(desk.pkd.predictions)
    write(desk.pkd.evaluation_predictions("mine", "val"), found)
    write(desk.pkd.predictions, replace(found, fingerprint="other", scores=found.scores[::-1]))
    assert desk("fcos50__baseline", "gfl101-fcos50__pkd", "--resamples", "0", "--format", "csv").stdout == whole
    desk.pkd.predictions.write_bytes(b"cut short")
    assert desk("fcos50__baseline", "gfl101-fcos50__pkd", "--resamples", "0", "--format", "csv").stdout == whole


def test_an_image_that_the_annotations_lack(desk):
    found = read(desk.base.predictions)
    found.images[0] = 77
    for run in (desk.base, desk.pkd):
        write(run.predictions, found)
    error = refused(desk, "fcos50__baseline", "gfl101-fcos50__pkd")
    assert error.message == (
        f"{desk.base.run}: the kept detections are of 1 image that the annotation file has not, such as id 77."
    )
    assert error.hint == f"pkd eval {desk.base.run} evaluates again, on the data as it is now."


def test_a_class_that_the_annotations_lack(desk):
    for run in (desk.base, desk.pkd):
        write(run.predictions, replace(read(run.predictions), classes=("car", "persona")))
    error = refused(desk, "fcos50__baseline", "gfl101-fcos50__pkd")
    assert error.message == (f"{desk.base.run}: the annotation file has no category 'persona'; it has 'car', 'person'.")
    assert "Did you mean 'person'?" in error.hint


def test_a_damaged_file_of_detections(desk):
    desk.pkd.predictions.write_bytes(desk.pkd.predictions.read_bytes()[:200])
    error = refused(desk, "fcos50__baseline", "gfl101-fcos50__pkd")
    assert error.message == f"{desk.pkd.predictions} is damaged: File is not a zip file."
    assert error.hint == f"pkd eval {desk.pkd.run} finds them again, and keeps them."


def test_annotations_that_are_gone(desk):
    (desk.folder / "val.json").unlink()
    error = refused(desk, "fcos50__baseline", "gfl101-fcos50__pkd")
    assert error.message == f"{desk.base.run}: its annotations are not there: {desk.folder / 'val.json'}."
    assert error.code == ExitCode.MISSING


def test_images_that_are_gone_are_not_needed(desk, tmp_path):
    shutil.rmtree(desk.folder / "images")
    desk("fcos50__baseline", "gfl101-fcos50__pkd", "--resamples", "2", "-o", tmp_path / "c.html")
    assert '"src": ""' in (tmp_path / "c.html").read_text()


def test_a_teacher_of_other_validation_images_tells_no_share(desk):
    write_json(desk.pkd.result, {**read_json(desk.pkd.result), "teacher_metrics": None})
    assert "of its lead" not in desk("fcos50__baseline", "gfl101-fcos50__pkd", "--resamples", "2").stdout


def test_the_teacher_stands_beside_its_students_once_it_has_kept_detections(desk):
    names = ("fcos50__baseline", "gfl101-fcos50__pkd", "--resamples", "0")
    home = teachers_root(desk.cache) / "taught"
    shutil.copytree(desk.pkd.root, home)
    write_json(desk.pkd.result, {**read_json(desk.pkd.result), "teacher_run": "taught"})
    RunPaths(home).predictions.unlink()
    said = desk(*names, "--format", "md").stdout
    assert (
        "The teacher's own errors are not shown: taught has kept no detections of its val split. "
        f"pkd eval {home} evaluates it and keeps them; every run does so at its end, unless it was started with "
        "--no-keep-predictions or by an older release.\n"
    ) in said
    write(RunPaths(home).predictions, replace(desk.detections(0.5, 9, None), fingerprint=None))
    said = desk(*names, "--format", "md").stdout
    assert "| kind | what it is | A | B | B - A | teacher |" in said
    assert "not shown" not in said
    share = re.search(r"The teacher has (\d+\.\d) mAP: B makes up", said)
    assert float(share.group(1)) > 60, "its own numbers, not those that the student's result tells"
