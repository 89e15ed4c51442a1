"""`pkd clean`: what is shown first, what is removed and what stays."""

from __future__ import annotations

import json
import os

import pytest

from pkdcli.runs.store import write_json

TINY = ("--scale", "tiny", "--data")


@pytest.fixture
def cluttered(run, here):
    """A finished and an unfinished run with checkpoints, and parts of a cache."""
    folders = run("finished", "done", result=True), run("unfinished", "interrupted")
    for folder in folders:
        (folder / "checkpoints").mkdir()
        for epoch in range(1, 4):
            path = folder / "checkpoints" / f"epoch_000{epoch}.pth"
            path.write_bytes(b"x" * 1000)
            os.utime(path, (epoch, epoch))
    half = folders[1] / ".result.json.abc.part"
    half.write_bytes(b"x" * 10)
    os.utime(half, (0, 0))
    (folders[1] / ".status.json.abc.part").touch()
    for part in ("downloads", "data", "teachers"):
        (here.parent / "cache" / part).mkdir(parents=True)
        (here.parent / "cache" / part / "file").write_bytes(b"x" * 500)
    return folders


def left(here):
    files = (path for path in here.parent.rglob("*") if path.is_file())
    return {path.name if path.name != "file" else path.parent.name for path in files}


def test_clean_shows_first_and_removes_nothing(type_, cluttered, here):
    before = left(here)
    said = type_("clean")
    runs = here / "runs"
    assert said.out == (
        f"      1 kB  {runs}/finished/checkpoints/epoch_0001.pth\n"
        f"      1 kB  {runs}/finished/checkpoints/epoch_0002.pth\n"
        f"      10 B  {runs}/unfinished/.result.json.abc.part\n"
        "2 kB in 3 places; nothing is removed yet: add --yes\n"
    )
    assert left(here) == before


def test_clean_keeps_the_newest_and_everything_of_unfinished_runs(type_, cluttered, here):
    assert type_("clean", "--yes").out.endswith("removed 2 kB in 3 places\n")
    finished, unfinished = cluttered
    assert [path.name for path in (finished / "checkpoints").iterdir()] == ["epoch_0003.pth"]
    assert len(list((unfinished / "checkpoints").iterdir())) == 3
    assert (unfinished / ".status.json.abc.part").exists()
    assert {"result.json", "student.pth", "downloads", "data", "teachers"} <= left(here)
    assert type_("clean", "--yes").out.startswith("nothing to remove in ")
    assert type_("clean", "--keep-checkpoints", "0", "--yes").out.endswith("removed 1 kB in 1 places\n")


def test_clean_takes_parts_of_the_cache_by_name_and_never_teachers(type_, cluttered, here):
    type_("clean", "--cache", "downloads", "--yes")
    assert {"data", "teachers"} <= left(here)
    assert "downloads" not in left(here)
    type_("clean", "--cache", "all", "--yes")
    assert left(here).isdisjoint({"downloads", "data"})
    assert "teachers" in left(here)
    assert type_("clean", "--cache", "teachers").code == 2


@pytest.fixture
def several(run, here):
    """Runs of every state, a smoke run, and teachers with a student and without one."""
    for name, state in (("bad", "failed"), ("paused", "interrupted")):
        run(name, state)
    for name in ("whole", "cut"):
        run(name, "done", result=True)
    cut = {"role": "baseline", "metrics": {"mAP": 1.0}, "max_iters": 2, "val_images": 8}
    write_json(here / "runs" / "cut" / "result.json", cut)
    for name in ("used", "unused"):
        teacher = here.parent / "cache" / "teachers" / name
        write_json(teacher / "status.json", {"run": name, "state": "done"})
        write_json(teacher / "result.json", {"role": "teacher", "metrics": {"mAP": 1.0}})
        (teacher / "teacher.pth").touch()
    write_json(here / "runs" / "whole" / "job.json", {"teacher": str(here.parent / "cache" / "teachers" / "used")})


@pytest.mark.parametrize(
    ("what", "gone"),
    [
        ("failed", {"bad"}),
        ("smoke", {"cut"}),
        ("failed,smoke", {"bad", "cut"}),
        ("teachers", {"unused"}),
        ("checkpoints", set()),
    ],
)
def test_clean_takes_what_is_named_and_nothing_else(type_, several, here, what, gone):
    folders = {*(here / "runs").iterdir(), *(here.parent / "cache" / "teachers").iterdir()}
    said = type_("clean", "--what", what, "--dry-run", "--yes", "--json")
    seen = [json.loads(line) for line in said.out.splitlines()]
    assert {one["path"].rsplit("/", 1)[1] for one in seen} == gone
    assert not [one for one in seen if one["removed"] or one["bytes"] == 0]
    assert all(folder.is_dir() for folder in folders)
    assert type_("clean", "--what", what, "--yes").code == 0
    assert {folder.name for folder in folders if not folder.exists()} == gone
    assert not [path for folder in folders for path in folder.parent.glob(".*")]


def test_clean_of_the_cache_and_of_nothing_that_there_is(type_, cluttered, here):
    type_("clean", "--what", "cache", "--yes")
    assert left(here).isdisjoint({"downloads", "data"})
    assert {"teachers", "epoch_0001.pth"} <= left(here)
    said = type_("clean", "--what", "smok")
    assert (said.code, said.err.splitlines()[0]) == (2, "error: --what: unknown thing to clean 'smok'.")


def test_what_was_killed_while_it_unpacked_or_removed_is_found(type_, run, here):
    run("a", "done", result=True)
    hidden = [here / "runs" / ".unpack-abc", here.parent / "cache" / "teachers" / ".removed-b"]
    for folder in hidden:
        (folder / "c").mkdir(parents=True)
        (folder / "c" / "file").write_bytes(b"x" * 10)
    assert type_("clean").out.startswith("nothing to remove in ")  # somebody may be at it
    for folder in hidden:
        os.utime(folder, (0, 0))
    assert [json.loads(line)["bytes"] for line in type_("clean", "--json", "--yes").out.splitlines()] == [10, 10]
    assert not [folder for folder in hidden if folder.exists()]
    assert (here / "runs" / "a").is_dir()
