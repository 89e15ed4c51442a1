"""What a run is made of is built before its teacher is trained: whatever is wrong with it is found then."""

from __future__ import annotations

import pytest

import pkdcli.engine.register  # noqa: F401  before mmdet, which does not import without it
from pkdcli.engine.worker.prove import prove
from pkdcli.errors import ExitCode, PkdError
from pkdcli.recipe import library
from pkdcli.recipe.resolve import Request, resolve

LOSS = """\
name: mine
title: Mine
summary: s
type: {type}
weight: {{default: 1}}
params: {params}
"""
MODULE = """\
from torch import nn

class Mine(nn.Module):
    def __init__(self, delta=1.0):
        super().__init__()

    def forward(self, student, teacher):
        return (student - teacher).abs().mean()
"""


def proven(*sets: str, here: bool = True, **request):
    recipe = resolve(Request(**{"scale": "tiny", "schedule": "1x", **request}, sets=sets))
    data = recipe.data.model_copy(update={"classes": ["a", "b", "c"], "masks": False, "train_images": 800})
    content = recipe.model_copy(update={"data": data}).model_dump(mode="json")
    return prove({"recipes": [content], "devices": 1, "here": here})["said"]


def refused(*sets: str, **request) -> PkdError:
    with pytest.raises(PkdError) as caught:
        proven(*sets, **request)
    return caught.value


@pytest.mark.parametrize("pair", library.names("pairs"))
def test_every_pair_that_is_shipped_can_be_built(pair):
    own = library.load("pairs", pair).training == "own"
    assert proven(pair=pair, schedule=None if own else "1x") == []


def test_what_is_left_out_is_said():
    said = "config.optim_wrapper.optimizer.type=AdamW: AdamW takes no momentum: left out."
    assert proven("config.optim_wrapper.optimizer.type=AdamW") == [said]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("config.default_hooks.mine={type: MyHook}", "KeyError: "),
        ("config.custom_hooks=[{type: MyHook}]", "MyHook is not in the mmdet::hook registry"),
        ("config.optim_wrapper.optimizer.nesterow=true", "unexpected keyword argument 'nesterow'"),
        ("config.param_scheduler.1.type=StepLR", "missing 1 required positional argument: 'step_size'"),
        ("config.train_dataloader.dataset.pipeline.3={type: RandomFlop}", "RandomFlop is not in the mmdet::transform"),
        ("student.set.bbox_head.loss_cls={type: FocalLost}", "FocalLost is not in the mmdet::model registry"),
    ],
)
def test_what_can_not_be_built_is_refused_and_says_that_nothing_was_trained(setting, said):
    error = refused(setting)
    assert error.code == ExitCode.USAGE
    assert error.message.startswith("gfl101-fcos50: ")
    assert said in error.message
    assert error.hint.startswith("Found before anything was trained, ")


def test_a_loss_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    recipe = tmp_path / "mine.yaml"

    def write(type="probe_mine:Mine", params="{delta: 2.0}"):
        recipe.write_text(LOSS.format(type=type, params=params))

    (tmp_path / "probe_mine.py").write_text(MODULE)
    write()
    assert proven(loss=str(recipe)) == []
    write(type="probe_mine:Yours")
    assert "'probe_mine:Yours' cannot be imported" in refused(loss=str(recipe)).message
    write(params="{dalta: 2.0}")
    assert refused(loss=str(recipe)).hint.startswith("Did you mean 'delta'?")


def test_what_needs_a_gpu_is_refused_where_the_run_will_be(monkeypatch):
    error = refused(amp=True)
    assert (error.message, error.code) == ("--amp needs a GPU, and torch sees none.", ExitCode.MISSING)
    error = refused("teacher_speed.precision=float16")
    assert error.message == "teacher_speed.precision: float16 needs a GPU, and torch sees none."
    assert proven(amp=True, here=False) == []  # on a cluster, whose machines have some
    assert proven("teacher_speed.precision=float16", loss="none") == []
