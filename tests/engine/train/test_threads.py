"""Threads and loader processes by the cores of a process, and what is said when their number changes."""

from __future__ import annotations

from types import SimpleNamespace

import pkdcli.engine.register  # noqa: F401

# isort: split
import pytest
import torch
from mmengine.config import Config

from pkdcli.config.build import build_config
from pkdcli.engine.train.hooks.progress import PkdProgressHook
from pkdcli.engine.train.trainer import fit_loaders
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.runs.store import read_json


@pytest.fixture
def hook(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    hook = PkdProgressHook()
    hook._begin = 0.0
    return hook


def test_a_state_that_was_made_with_other_threads_is_said(hook, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    state = {}
    hook.before_save_checkpoint(None, state)
    assert state["pkd"]["threads"] == 4
    runner = SimpleNamespace(work_dir=str(tmp_path))
    hook.after_load_checkpoint(runner, state)
    hook.after_load_checkpoint(runner, {"pkd": {"seconds": 1.0}})  # made before threads were written down
    assert not (tmp_path / "status.json").exists()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    hook.after_load_checkpoint(runner, state)
    assert read_json(tmp_path / "status.json")["warnings"] == [
        "it goes on with 1 compute thread after 4 before: sums are rounded otherwise, so it does not end bit for bit "
        "as it would have. OMP_NUM_THREADS=4 keeps their number."
    ]


@pytest.mark.parametrize(("asked", "cores", "loaders"), [(None, "8", 2), (None, "1", 1), (3, "1", 3), (0, "1", 0)])
def test_loaders_follow_the_cores_where_nobody_has_asked_for_a_number(tmp_path, monkeypatch, asked, cores, loaders):
    monkeypatch.setenv("PKD_CORES", cores)
    recipe = resolve(Request(pair="gfl101-fcos50", scale="tiny", loss="none", workers=asked))
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"classes": ["a"], "train_images": 8})})
    config = Config(build_config(recipe, tmp_path))
    assert fit_loaders(config, recipe) == loaders
    assert [config[name].num_workers for name in ("train_dataloader", "val_dataloader")] == [loaders] * 2
