"""A paused run that goes on in another folder, with another cache and its data elsewhere, ends as if never moved."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from pkdcli import compat

compat.activate()

import pkdcli  # noqa: E402
from pkdcli.engine.checkpoint import load_state  # noqa: E402
from pkdcli.errors import ExitCode  # noqa: E402
from pkdcli.runs.paths import RunPaths  # noqa: E402
from pkdcli.runs.store import read_json, read_jsonl  # noqa: E402

PAUSE = """
import os, signal
from pkdcli.engine.train.hooks.progress import PkdProgressHook  # noqa: E402
usual = PkdProgressHook.after_train_iter
def also(self, runner, *args, **kwargs):
    usual(self, runner, *args, **kwargs)
    if runner.iter + 1 == 8:
        os.kill(os.getpid(), signal.SIGTERM)
PkdProgressHook.after_train_iter = also
"""


@contextmanager
def gone(*folders: Path):
    """Nothing is where it was, while the block runs."""
    moved = [(folder, folder.with_name(f"{folder.name}-gone")) for folder in folders]
    for folder, away in moved:
        folder.rename(away)
    try:
        yield
    finally:
        for folder, away in moved:
            away.rename(folder)


@pytest.fixture(scope="module")
def whole(make_run, workers, tmp_path_factory) -> Path:
    """A distilled run that nothing happened to."""
    return workers.finish(make_run(tmp_path_factory.mktemp("whole"), loss="pkd"))


@pytest.fixture
def travelled(make_run, workers, dozen, lab_cache, tmp_path, monkeypatch):
    """The same run, stopped after step 8, packed, and unpacked where nothing of its first home is left."""
    run = make_run(tmp_path / "runs", loss="pkd")
    assert workers.run(run, PAUSE) == ExitCode.INTERRUPTED
    monkeypatch.setenv("PKD_CACHE", str(lab_cache))
    packed = pkdcli.archive(str(run), output=tmp_path / "run.tar.gz")
    assert len(packed.teachers) == 1
    data = shutil.copytree(dozen.parent, tmp_path / "data-there")
    monkeypatch.setenv("PKD_CACHE", str(tmp_path / "cache-there"))
    with gone(tmp_path / "runs", dozen.parent, lab_cache):
        found = pkdcli.unpack(packed.path, data=f"dozen={data}", runs=tmp_path / "runs-there")
        assert (found.runs, found.missing) == ([tmp_path / "runs-there" / run.name], [])
        yield RunPaths(found.runs[0])


def test_a_paused_run_goes_on_to_the_same_numbers_elsewhere(travelled, whole, workers):
    assert read_json(travelled.status)["state"] == "interrupted"
    workers.finish(travelled.root)
    assert [one["iter"] for one in read_jsonl(travelled.metrics) if one["kind"] == "start"] == [0, 8]
    ours, theirs = (load_state(path / "student.pth") for path in (travelled.root, whole))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    results = [read_json(path / "result.json") for path in (travelled.root, whole)]
    assert results[0]["metrics"] == results[1]["metrics"]
    assert results[0]["teacher_metrics"] == results[1]["teacher_metrics"]
    assert results[0]["recipe_hash"] == results[1]["recipe_hash"]
    job = json.loads(travelled.job.read_text())
    assert not [word for word in (job["cache"], job["teacher"]) if "-there" not in word]


def test_a_recipe_alone_repeats_the_run_to_the_last_bit(whole, workers, lab_cache, tmp_path):
    """All that is needed to repeat the run: a copy of its recipe.yaml, with nothing beside it."""
    from pkdcli.data.prepare import prepare
    from pkdcli.experiment import plan, repeat
    from pkdcli.experiment import prepare as preparation

    copy = shutil.copy(whole / "recipe.yaml", tmp_path / "copy.yaml")
    recipe = repeat.read(Path(copy), repeat.Changes())
    complete = recipe.model_copy(update={"data": prepare(recipe.data, lab_cache)})
    repeat.check_same(recipe, complete, Path(copy))
    *_, planned = plan.plan([complete], tmp_path / "runs", lab_cache)
    assert planned.run == whole.name
    preparation.prepare(planned, lab_cache)
    workers.finish(planned.paths.root)
    ours, theirs = (load_state(path / "student.pth") for path in (planned.paths.root, whole))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert read_json(planned.paths.result)["metrics"] == read_json(whole / "result.json")["metrics"]
