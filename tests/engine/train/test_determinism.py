"""`--deterministic`: PyTorch is told so before it computes, and what can't be so is named."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import warnings

import pytest
import torch
import yaml

import pkdcli.engine.register  # noqa: F401
from pkdcli.config.teacher import teacher_recipe
from pkdcli.engine.train import determinism
from pkdcli.recipe.identity import comparable, run_id
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.runs.store import read_json, write_json

LACKS = "put_ does not have a deterministic implementation, but you set 'torch.use_deterministic_algorithms(True, ...)'"


@pytest.fixture
def restored(monkeypatch):
    """PyTorch's switches, Python's warnings and the listeners as they were."""
    monkeypatch.setattr(determinism, "_listening", [])
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "x")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    with warnings.catch_warnings():
        yield
    torch.use_deterministic_algorithms(False)


def test_every_switch_is_set(restored):
    determinism.switch_on(None)
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (True, False)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_an_operation_that_has_no_such_way_is_named_once_everywhere(restored, tmp_path, monkeypatch):
    env, told, logged = tmp_path / "env.json", [], []
    monkeypatch.setattr(determinism, "print_log", lambda text, *_: logged.append(text))
    write_json(env, {"threads": 2})
    listener = determinism.switch_on(env)
    assert read_json(env) == {"threads": 2, "deterministic": {"asked": True, "operations_without": []}}
    for _ in range(3):
        torch.zeros(4).put_(torch.tensor([1, 1]), torch.tensor([1.0, 2.0]))
    assert read_json(env)["deterministic"] == {"asked": True, "operations_without": ["put_"]}
    listener.tell(told.append)
    warnings.warn(LACKS.replace("put_", "roi_align_backward_kernel"), UserWarning, stacklevel=1)
    assert told == [
        "--deterministic: put_ can't be: numbers may differ in their last digits on another run",
        "--deterministic: roi_align_backward_kernel can't be: numbers may differ in their last digits on another run",
    ]
    assert logged == told
    assert listener.operations == read_json(env)["deterministic"]["operations_without"]


def test_other_warnings_are_shown_as_ever(restored):
    shown = []
    warnings.showwarning = lambda message, *args, **kwargs: shown.append(str(message))
    determinism.switch_on(None)
    warnings.warn("something else", UserWarning, stacklevel=1)
    warnings.warn(LACKS, UserWarning, stacklevel=1)
    assert shown == ["something else"]


def test_it_is_part_of_the_name_but_not_of_what_a_gain_compares():
    plain, asked = (resolve(Request(deterministic=one)) for one in (False, True))
    assert run_id(plain) != run_id(asked)
    assert comparable(plain) == comparable(asked)
    # Weights of the zoo are only evaluated; a teacher that is trained is trained so, too.
    assert run_id(teacher_recipe(plain)) == run_id(teacher_recipe(asked))
    assert teacher_recipe(resolve(Request(scale="tiny", deterministic=True))).deterministic


def test_two_runs_are_the_same_bit_for_bit_and_say_so(make_run, workers, tmp_path):
    found = []
    for name in ("a", "b"):
        run = workers.finish(make_run(tmp_path / name, loss="none", epochs=1, deterministic=True))
        found.append(hashlib.sha256((run / "student.pth").read_bytes()).hexdigest())
        assert yaml.safe_load((run / "recipe.yaml").read_text())["deterministic"] is True
        assert read_json(run / "env.json")["deterministic"] == {"asked": True, "operations_without": []}
    assert found[0] == found[1]


def test_the_environment_is_there_before_the_process(tmp_path):
    from pkdcli.experiment import plan
    from pkdcli.experiment import prepare as preparation

    asked = [resolve(Request(scale="tiny", loss="none", deterministic=one)) for one in (True, False)]
    planned = plan.plan(asked, tmp_path / "runs", tmp_path / "cache")
    specs = [preparation.spec(one, tmp_path / "cache", "pkd train") for one in planned]
    assert [spec.env.get("CUBLAS_WORKSPACE_CONFIG") for spec in specs] == [":4096:8", None]


def test_the_option_is_offered_by_every_command_that_trains():
    for command in ("train", "sweep", "reproduce"):
        words = [sys.executable, "-m", "pkdcli", command, "--help"]
        env = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
        assert "--deterministic" in subprocess.run(words, capture_output=True, text=True, env=env, check=True).stdout
