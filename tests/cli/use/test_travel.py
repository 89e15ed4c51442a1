"""`pkd archive` and `pkd unpack`: runs and their teachers on another machine, with its own cache, runs and data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

import pkdcli
from pkdcli.experiment.prepare import restored
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.modules.copies import read_recipe
from pkdcli.recipe.modules.files import hash_of_module
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_json, write_json

TINY = ("--scale", "tiny", "--data")


@pytest.fixture
def trained(type_, worker, own, here) -> Path:
    """A student that has learned from a teacher, by stand-ins, from data that lies in `own`."""
    worker()
    assert type_("train", *TINY, own, "-q").code == 0
    return next((here / "runs").glob("*__pkd-*"))


@pytest.fixture
def packed(type_, trained, here) -> Path:
    said = type_("archive", trained.name, "-o", "a.tar.gz")
    assert said.code == 0, said.err
    return here / "a.tar.gz"


@pytest.fixture
def elsewhere(packed, own, here, monkeypatch, tmp_path):
    """Another machine: nothing of this one is left but the archive; the data lies in another folder."""
    data = tmp_path / "there" / "pictures"
    shutil.move(own.parent, data)
    for folder in (here / "runs", tmp_path / "cache"):
        shutil.move(folder, tmp_path / f"left-behind-{folder.name}")
    monkeypatch.setenv("PKD_CACHE", str(tmp_path / "there" / "cache"))
    monkeypatch.setenv("PKD_RUNS", str(tmp_path / "there" / "runs"))
    return tmp_path / "there"


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_packed_is_said(type_, trained, own, here):
    said = type_("archive", trained.name)
    teacher = next((here.parent / "cache" / "teachers").iterdir()).name
    assert said.out.startswith(f"     run  {trained.name}\n teacher  {teacher}\nwrote {here / trained.name}.tar.gz (")
    assert said.err == f"note: data set own is not packed: pkd unpack {trained.name}.tar.gz --data own=FOLDER\n"
    found = json.loads(type_("archive", trained.name, "-o", "b.tar.gz", "--json").out)
    assert (found["runs"], found["teachers"], found["outside"]) == ([trained.name], [teacher], [])
    assert found["data"][0]["splits"]["val"] == {
        "images": str(own.parent / "images"), "annotations": str(own.parent / "val.json")
    }  # fmt: skip
    assert (here / "b.tar.gz").read_bytes() == (here / f"{trained.name}.tar.gz").read_bytes()


def test_an_archive_is_not_written_over_unasked(type_, trained, packed, here):
    said = type_("archive", trained.name, "-o", "a.tar.gz")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"error: {here / 'a.tar.gz'} is there already.\nGive another with -o FILE")
    assert type_("archive", trained.name, "-o", "a.tar.gz", "--force").code == 0


def test_what_can_not_be_packed(type_, trained, run, mine):
    assert type_("archive").err.startswith("error: give the runs to pack.\n")
    assert type_("archive", "nothing").err.startswith("error: no run begins with 'nothing'.")
    write_json(trained / "status.json", {**read_json(trained / "status.json"), "state": "running", **mine})
    (trained / "result.json").unlink()
    said = type_("archive", trained.name)
    assert said.code == 2
    assert said.err.startswith(f"error: {trained.name} is running: ")
    assert said.err.endswith(f"pkd cancel {trained.name}\n")


def test_all_is_there_on_the_other_machine(type_, packed, trained, elsewhere):
    said = type_("unpack", packed, "--data", f"own={elsewhere / 'pictures'}")
    assert said.code == 0, said.err
    runs, teachers = RunPaths(elsewhere / "runs" / trained.name), elsewhere / "cache" / "teachers"
    (teacher,) = (RunPaths(path) for path in teachers.iterdir())
    assert said.out == f"{runs.root}\n{teacher.root}\n"
    assert said.err == ""
    before = files(elsewhere.parent / "left-behind-runs" / trained.name)
    changed = {name for name, content in files(runs.root).items() if content != before[name]}
    assert changed == {"recipe.yaml", "config.py", "job.json"}
    # Everything is this machine's, and the run is the same.
    for paths in (runs, teacher):
        recipe = read_recipe(paths.recipe)
        assert run_id(recipe) == paths.run
        assert recipe.data.train.annotations == str(elsewhere / "pictures" / "train.json")
        assert str(elsewhere.parent / "own") not in "".join(
            (paths.root / name).read_text() for name in ("recipe.yaml", "config.py", "job.json")
        )
    cache = str(elsewhere / "cache")
    assert read_json(runs.job) == {"cache": cache, "teacher": str(teacher.root), "devices": 1}
    assert [one.paths for one in restored(runs, elsewhere / "cache")[0]] == [teacher, runs]
    rows = json.loads(type_("report", "--format", "json").out)
    assert [(row["run"], row["mAP"], row["state"]) for row in rows] == [(trained.name, 31.0, "done")]
    # The same command finds it done, and so does the recipe.
    again = type_("train", "--recipe", runs.root, "--dry-run", "--json")
    assert [json.loads(line)["state"] for line in again.out.splitlines()] == ["done", "done"]


def test_data_that_is_elsewhere_is_named_with_a_remedy_that_works(type_, packed, trained, elsewhere):
    said = type_("unpack", packed)
    run = elsewhere / "runs" / trained.name
    remedy = f"pkd train --recipe {run} --data FILE.yaml"
    assert said.code == 0
    assert "note: data set own is not here; it lay at\n" in said.err
    assert said.err.endswith(f"\n  {remedy}\n")
    assert json.loads(type_("report", "--format", "json").out)[0]["mAP"] == 31.0
    asked = type_("eval", trained.name)
    assert (asked.code, remedy in asked.err) == (2, True)
    (run / "result.json").unlink()
    write_json(run / "status.json", {**read_json(run / "status.json"), "state": "interrupted"})
    resumed = type_("resume", trained.name)
    assert (resumed.code, remedy in resumed.err) == (2, True)
    done = type_(*remedy.replace("FILE.yaml", str(elsewhere / "pictures" / "own.yaml")).split()[1:], "-q")
    assert done.code == 0, done.err
    assert [path.name for path in (elsewhere / "runs").iterdir()] == [trained.name]
    assert read_json(run / "result.json")["metrics"]["mAP"] == 31.0
    assert read_recipe(run / "recipe.yaml").data.val.images == str(elsewhere / "pictures" / "images")


def test_a_finished_run_learns_where_its_data_is(type_, packed, trained, elsewhere):
    type_("unpack", packed)
    run = elsewhere / "runs" / trained.name
    done = type_("train", "--recipe", run, "--data", elsewhere / "pictures" / "own.yaml", "-q")
    assert done.code == 0, done.err
    for name in ("recipe.yaml", "config.py"):
        assert str(elsewhere / "pictures" / "val.json") in (run / name).read_text()
    assert run_id(read_recipe(run / "recipe.yaml")) == trained.name


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("own", "--data: 'own' should look like NAME=FOLDER."),
        ("other=x", "--data other=x: the archive needs no data set 'other'."),
        ("own=nowhere", "--data own=nowhere: there is no folder "),
        ("own=.", "--data own=.: it should have these, and has not:"),
    ],
)
def test_data_that_can_not_be_found(type_, packed, elsewhere, word, message):
    said = type_("unpack", packed, "--data", word)
    assert said.code == 2
    assert said.err.startswith(f"error: {message}")
    assert not (elsewhere / "runs").exists()


def test_other_annotations_are_refused(type_, packed, elsewhere, trained):
    path = elsewhere / "pictures" / "train.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"][0] += 1
    path.write_text(json.dumps(content))
    said = type_("unpack", packed, "--data", f"own={elsewhere / 'pictures'}")
    assert said.code == 2
    assert "its annotations are not those that the run was made on" in said.err
    assert not (elsewhere / "runs").exists()
    type_("unpack", packed)
    again = type_("train", "--recipe", elsewhere / "runs" / trained.name, "--data", elsewhere / "pictures" / "own.yaml")
    assert again.code == 2
    assert "data.fingerprint: is " in again.err


def test_nothing_here_is_written_over_unasked(type_, packed, trained, elsewhere):
    type_("unpack", packed)
    run = elsewhere / "runs" / trained.name
    (run / "mine.txt").write_text("keep")
    before = files(elsewhere)
    said = type_("unpack", packed)
    assert said.code == 2
    assert said.err == (
        f"error: 1 of 1 runs are here already:\n  {run}\n"
        "Nothing was written. --force writes over them; --runs DIR names another folder.\n"
    )
    assert files(elsewhere) == before
    assert type_("unpack", packed, "--force").code == 0
    assert not (run / "mine.txt").exists()
    assert not list((elsewhere / "runs").glob(".*"))


def test_a_teacher_with_other_weights_stays_until_somebody_says_so(type_, packed, trained, elsewhere):
    type_("unpack", packed)
    shutil.rmtree(elsewhere / "runs")
    (teacher,) = (RunPaths(path) for path in (elsewhere / "cache" / "teachers").iterdir())
    teacher.teacher.write_bytes(b"trained here")
    said = type_("unpack", packed)
    assert said.code == 2
    assert said.err.startswith(f"error: the teacher {teacher.run} is here already, with other weights than in ")
    assert not (elsewhere / "runs" / trained.name).exists()
    kept = type_("unpack", packed, "--no-teacher")
    assert (kept.code, teacher.teacher.read_bytes()) == (0, b"trained here")
    assert f"note: the teacher {teacher.run} that is here stays\n" in kept.err
    assert type_("unpack", packed, "--force").code == 0
    assert teacher.teacher.read_bytes() == b""


def test_one_that_is_damaged_leaves_nothing_behind(type_, packed, elsewhere):
    content = packed.read_bytes()
    packed.write_bytes(content[:-2000])
    said = type_("unpack", packed)
    assert said.code == 2
    assert said.err.startswith(f"error: {packed} can't be unpacked: it is damaged")
    assert not [path for path in elsewhere.rglob("*") if path.is_file() and "pictures" not in path.parts]
    assert type_("unpack", "nothing.tar.gz").err.startswith("error: there is no file nothing.tar.gz.\n")


def test_a_run_without_its_teacher(type_, trained, here, monkeypatch, tmp_path):
    said = type_("archive", trained.name, "--no-teacher", "-o", "a.tar.gz")
    left_out = f"its teacher is left out: where {trained.name} is to go on, one has to be there: gfl101__teacher"
    assert left_out in said.err
    monkeypatch.setenv("PKD_CACHE", str(tmp_path / "other"))
    found = json.loads(type_("unpack", "a.tar.gz", "--runs", "there", "--json").out)
    assert (found["teachers"], found["kept"]) == ([], [])
    assert found["runs"] == [str(here / "there" / trained.name)]


def test_modules_and_files_of_ones_own(type_, trained, here, monkeypatch, tmp_path):
    """Modules go along and stand in; a file that a recipe names besides is said on both sides."""
    weights = tmp_path / "backbone.pth"
    weights.touch()
    (trained / "modules").mkdir()
    (trained / "modules" / "mine.py").write_text("A = 1\n")
    content = yaml.safe_load((trained / "recipe.yaml").read_text())
    known = hash_of_module("mine", trained / "modules")
    content["imports"] = [{"module": "mine", "folder": "/gone", "sha256": known}]
    content["student"]["set"] = {"backbone.init_cfg.checkpoint": str(weights)}
    (trained / "recipe.yaml").write_text(yaml.safe_dump(content))
    packed = type_("archive", trained.name, "-o", "a.tar.gz")
    assert f"note: not packed, and named by a recipe: {weights}\n" in packed.err
    weights.unlink()
    monkeypatch.setenv("PKD_CACHE", str(tmp_path / "other"))
    said = type_("unpack", "a.tar.gz", "--runs", "there")
    run = here / "there" / trained.name
    assert f"note: named by a recipe, and not here: {weights}\n" in said.err
    assert f"note: {run}/modules is Python from the other machine, and will be imported when its" in said.err
    (module,) = read_recipe(run / "recipe.yaml").imports
    assert (module.folder, (run / "modules" / "mine.py").read_text()) == (str(run / "modules"), "A = 1\n")


def test_shapes_are_those_of_the_present_cache(type_, worker, here, monkeypatch, tmp_path):
    """A recipe has absolute paths of the cache it was made with; whatever they say, drawn data is found or drawn."""
    from pkdcli.data.shapes import dataset

    drawn = []

    def draw(cache: Path, progress=None) -> Path:
        drawn.append(cache)
        return cache / "data" / "shapes-v1"

    monkeypatch.setattr(dataset, "ensure_shapes", draw)
    worker()
    assert type_("train", "--scale", "tiny", "--loss", "none", "-q").code == 0
    run = next((here / "runs").iterdir())
    old = tmp_path / "cache" / "data" / "shapes-v1"
    written = yaml.safe_load((run / "recipe.yaml").read_text())["data"]["val"]
    assert written["annotations"] == f"{old}/annotations/val.json"
    monkeypatch.setenv("PKD_CACHE", str(tmp_path / "moved"))
    new = tmp_path / "moved" / "data" / "shapes-v1"
    assert read_recipe(run / "recipe.yaml").data.val.annotations == f"{new}/annotations/val.json"
    (run / "result.json").unlink()
    write_json(run / "status.json", {**read_json(run / "status.json"), "state": "interrupted"})
    assert type_("resume", run.name).code == 0
    assert drawn[-1] == tmp_path / "moved"
    for name in ("recipe.yaml", "config.py"):
        assert str(old) not in (run / name).read_text()
    assert run_id(read_recipe(run / "recipe.yaml")) == run.name


def test_from_python(here, trained, monkeypatch, tmp_path):
    packed = pkdcli.archive(trained.name, output="a.tar.gz")
    assert (packed.path, packed.runs) == (here / "a.tar.gz", [trained.name])
    monkeypatch.setenv("PKD_CACHE", str(tmp_path / "other"))
    found = pkdcli.unpack("a.tar.gz", runs="there")
    assert found.runs == [here / "there" / trained.name]
    assert pkdcli.load_run(trained.name, runs="there").done
    removed = pkdcli.remove(trained.name, runs="there")
    assert (removed.done, list(removed.sizes)) == (True, found.runs)
    assert not found.runs[0].exists()
