"""What is measured is what is exported: also where a hook puts averages of the weights in for an evaluation."""

from __future__ import annotations

import json

import pytest
import torch

EMA = "config.default_hooks.ema={type: EMAHook, momentum: 0.2}"

# A hook of the user's that doubles the scores' biases while the model is evaluated.
OTHER = """
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class Louder(Hook):
    def before_val_epoch(self, runner):
        self.turn(runner, 2.0)
    def after_val_epoch(self, runner, metrics=None):
        self.turn(runner, 0.5)
    def turn(self, runner, by):
        runner.model.architecture.bbox_head.conv_cls.bias.data.mul_(by)
"""

# The worker dies when all is measured and nothing is exported yet.
DIES = "import os\nfrom pkdcli.config import stock\nstock.write = lambda *_: os._exit(7)\n"


def exported(run):
    return torch.load(run / "student.pth")["state_dict"]


def last_state(run):
    return torch.load(max((run / "checkpoints").glob("epoch_*.pth")), weights_only=False)


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())


@pytest.fixture(scope="module")
def averaged(make_run, workers, tmp_path_factory):
    """A distilled run with averages of the weights that nothing interrupted."""
    return workers.finish(make_run(tmp_path_factory.mktemp("averaged"), EMA))


def test_the_averages_are_exported_and_the_state_has_both(averaged):
    state = last_state(averaged)
    found = exported(averaged)
    key = "bbox_head.conv_cls.weight"
    assert torch.equal(found[key], state["state_dict"][f"architecture.{key}"])
    assert not torch.equal(found[key], state["ema_state_dict"][f"module.architecture.{key}"])
    assert json.loads((averaged / "result.json").read_text())["metrics"]["mAP"] > 0


@pytest.mark.parametrize("first", ["import signal\nSTEP = 7\n", DIES])
def test_a_run_with_averages_is_resumed_exactly(averaged, make_run, workers, tmp_path, first):
    if "STEP" in first:
        first += (
            "from pkdcli.engine.train.loop import PkdTrainLoop\nrun_iter = PkdTrainLoop.run_iter\n"
            "def one(loop, index, batch):\n    run_iter(loop, index, batch)\n"
            "    if loop.iter == STEP: os.kill(os.getpid(), signal.SIGTERM)\n"
            "PkdTrainLoop.run_iter = one\n"
        )
    run = make_run(tmp_path, EMA)
    assert workers.run(run, first=first) == (130 if "STEP" in first else 7), (run / "log.txt").read_text()[-3000:]
    assert not (run / "student.pth").exists()
    run = workers.finish(make_run(tmp_path, EMA))
    assert same(exported(run), exported(averaged))
    one, other = (json.loads((each / "result.json").read_text())["metrics"] for each in (run, averaged))
    assert one == other


@pytest.mark.parametrize("first", ["", DIES])
def test_whatever_a_hook_does_for_an_evaluation_is_exported(make_run, workers, tmp_path, first):
    sets = ("config.default_hooks.louder={type: Louder}", "schedule.epochs=1")
    run = make_run(tmp_path, *sets)
    if first:
        assert workers.run(run, first=OTHER + first) == 7
    workers.finish(make_run(tmp_path, *sets), first=OTHER)
    key = "bbox_head.conv_cls.bias"
    learned = last_state(run)["state_dict"][f"architecture.{key}"]
    assert torch.equal(exported(run)[key], 2 * learned)
