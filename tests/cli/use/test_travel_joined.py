"""`pkd archive` and `pkd unpack` of runs whose data is joined of several files, and other places of these files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image

from pkdcli.recipe.identity import run_id
from pkdcli.recipe.modules.copies import read_recipe
from pkdcli.runs.store import read_json, write_json


@pytest.fixture
def halves(own) -> Path:
    """The small data set with its training file in two, of which one calls a class by another name."""
    folder = own.parent
    content = json.loads((folder / "train.json").read_text())
    for number, place in enumerate(("a", "b")):
        images = content["images"][4 * number : 4 * number + 4]
        ids = {one["id"] for one in images}
        classes = [one | {"name": one["name"].replace("cat", "kitty" if number else "cat")}
                   for one in content["categories"]]  # fmt: skip
        part = {"images": images, "categories": classes,
                "annotations": [one for one in content["annotations"] if one["image_id"] in ids]}  # fmt: skip
        (folder / place).mkdir()
        (folder / place / "train.json").write_text(json.dumps(part))
    (folder / "train.json").unlink()
    for grey, file in enumerate(sorted((folder / "images").iterdir())):  # no picture is in both halves
        Image.new("L", (64, 64), 9 * grey).save(file)
    parts = ", ".join(f"{{images: images/, annotations: {place}/train.json}}" for place in "ab")
    own.write_text(
        f"name: own\ntrain: [{parts}]\nval: {{images: images/, annotations: val.json}}\nmap: {{kitty: cat}}\n"
    )
    return own


@pytest.fixture
def trained(type_, worker, halves, here) -> Path:
    worker()
    done = type_("train", "--scale", "tiny", "--data", halves, "--loss", "none", "-q")
    assert done.code == 0, done.err
    (run,) = (here / "runs").iterdir()
    return run


@pytest.fixture
def elsewhere(type_, trained, halves, here, monkeypatch, tmp_path) -> Path:
    """Another machine: of this one the archive is left, and the data in another folder."""
    packed = type_("archive", trained.name, "-o", "a.tar.gz")
    assert packed.err == "note: data set own is not packed: pkd unpack a.tar.gz --data own=FOLDER\n"
    there = tmp_path / "there"
    shutil.move(halves.parent, there / "pictures")
    for folder in (here / "runs", tmp_path / "cache"):
        shutil.rmtree(folder)
    monkeypatch.setenv("PKD_CACHE", str(there / "cache"))
    monkeypatch.setenv("PKD_RUNS", str(there / "runs"))
    return there


def stopped(run: Path) -> None:
    """As if it had been interrupted."""
    (run / "result.json").unlink()
    write_json(run / "status.json", {**read_json(run / "status.json"), "state": "interrupted"})


@pytest.mark.parametrize("place", ["pictures", "pictures/own.yaml"])
def test_joined_data_is_found_and_joined_again(type_, trained, halves, elsewhere, here, place):
    said = type_("unpack", "a.tar.gz", "--data", f"own={elsewhere / place}")
    assert (said.code, said.err) == (0, "")
    run = elsewhere / "runs" / trained.name
    kept = yaml.safe_load((run / "recipe.yaml").read_text())["data"]
    parts = [{"images": str(elsewhere / "pictures" / "images"),
              "annotations": str(elsewhere / "pictures" / one / "train.json")} for one in "ab"]  # fmt: skip
    assert [{key: value.rstrip("/") for key, value in one.items()} for one in kept["train"]["joined"]] == parts
    made = Path(kept["train"]["annotations"])
    assert made.parts[:-2] == (elsewhere / "cache" / "joined").parts
    assert len(json.loads(made.read_text())["images"]) == 8
    said_of_config = (run / "config.py").read_text()
    assert str(made) in said_of_config
    for name in ("recipe.yaml", "config.py", "job.json"):
        text = (run / name).read_text()
        assert (str(halves.parent) in text, str(here.parent / "cache") in text) == (False, False)
    assert run_id(read_recipe(run / "recipe.yaml")) == trained.name
    again = type_("train", "--recipe", run, "--dry-run", "--json")
    assert [json.loads(line)["state"] for line in again.out.splitlines()] == ["done"], again.err
    stopped(run)
    assert type_("resume", trained.name).code == 0
    assert read_json(run / "result.json")["metrics"]["mAP"] == 20.0


def test_joined_data_that_is_elsewhere_is_told_by_its_own_files(type_, trained, halves, elsewhere):
    said = type_("unpack", "a.tar.gz")
    run = elsewhere / "runs" / trained.name
    files = [halves.parent / name for name in ("a/train.json", "b/train.json", "val.json")]
    assert said.err.startswith(
        "note: data set own is not here; it lay at\n" + "".join(f"  {file}\n" for file in files)
    )
    remedy = f"pkd train --recipe {run} --data FILE.yaml"
    assert said.err.endswith(f"\n  {remedy}\n")
    done = type_(*remedy.replace("FILE.yaml", str(elsewhere / "pictures" / "own.yaml")).split()[1:], "-q")
    assert done.code == 0, done.err
    assert [path.name for path in (elsewhere / "runs").iterdir()] == [trained.name]
    found = read_recipe(run / "recipe.yaml").data
    assert [Path(one.annotations).parent.name for one in found.train.joined] == ["a", "b"]
    assert found.train.joined[0].annotations == str(elsewhere / "pictures" / "a" / "train.json")


def test_other_annotations_in_one_of_the_files_are_refused(type_, trained, elsewhere):
    file = elsewhere / "pictures" / "b" / "train.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["bbox"][0] += 1
    file.write_text(json.dumps(content))
    said = type_("unpack", "a.tar.gz", "--data", f"own={elsewhere / 'pictures'}")
    assert said.code == 2
    assert "its annotations are not those that the run was made on: their fingerprint is " in said.err
    assert not (elsewhere / "runs").exists()


def test_a_file_of_several_that_is_missing_is_named(type_, trained, elsewhere):
    (elsewhere / "pictures" / "b" / "train.json").unlink()
    said = type_("unpack", "a.tar.gz", "--data", f"own={elsewhere / 'pictures'}")
    assert said.code == 2
    assert said.err.startswith(
        f"error: --data own={elsewhere / 'pictures'}: it should have these, and has not:\n"
        f"  {elsewhere / 'pictures' / 'b' / 'train.json'}\n"
    )


def test_another_cache_has_the_joined_file_made_again(type_, trained, halves, here, monkeypatch, tmp_path):
    """A run of joined data that goes on where the cache is another one, by its folder and by its recipe."""
    monkeypatch.setenv("PKD_CACHE", str(tmp_path / "moved"))
    shutil.rmtree(tmp_path / "cache")
    again = type_("train", "--recipe", trained, "--dry-run", "--json")
    assert [json.loads(line)["state"] for line in again.out.splitlines()] == ["done"], again.err
    stopped(trained)
    resumed = type_("resume", trained.name)
    assert resumed.code == 0, resumed.err
    made = read_recipe(trained / "recipe.yaml").data.train.annotations
    assert made.startswith(str(tmp_path / "moved" / "joined"))
    assert len(json.loads(Path(made).read_text())["images"]) == 8
    assert made in (trained / "config.py").read_text()
    assert str(tmp_path / "cache") not in (trained / "config.py").read_text()
