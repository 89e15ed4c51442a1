"""A training whose loss stays NaN is stopped; a single overflow is not held against it."""

from __future__ import annotations

import json

import pytest
import torch

from pkdcli import compat

compat.activate()

from pkdcli.engine.hooks import PkdProgressHook  # noqa: E402
from pkdcli.errors import ExitCode, PkdError  # noqa: E402


class Scalar:
    def mean(self, window: int) -> float:
        return 0.0


class Runner:
    """The little of mmengine's Runner that the hook reads."""

    def __init__(self, work_dir):
        self.work_dir, self.iter, self.epoch, self.max_iters, self.max_epochs = str(work_dir), 0, 0, 8, 1
        self.optim_wrapper, self.message_hub = self, self

    def get_lr(self):
        return {"lr": [0.1]}

    def get_scalar(self, name):
        return Scalar()


def run(folder, losses):
    runner, hook = Runner(folder), PkdProgressHook()
    hook.before_train(runner)
    for runner.iter, loss in enumerate(losses):
        hook.after_train_iter(runner, 0, outputs={"loss": torch.tensor(loss)})


def train_records(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [record["loss"] for line in lines if (record := json.loads(line))["kind"] == "train"]


NAN, INF = float("nan"), float("inf")


def test_three_records_without_a_finite_loss_stop_the_run(tmp_path):
    with pytest.raises(PkdError) as error:
        run(tmp_path, [1.0, INF, NAN, NAN, NAN, NAN])
    assert error.value.message == "training diverged: the loss is nan at step 4."
    assert "--weight" in error.value.hint
    assert error.value.code == ExitCode.RUN_FAILED
    assert train_records(tmp_path) == [1.0, None, None, None]  # what led there stays on record


def test_an_overflow_now_and_then_does_not(tmp_path):
    losses = [1.0, INF, NAN, 2.0, INF, INF, 3.0, NAN]
    run(tmp_path, losses)
    assert train_records(tmp_path) == [1.0, None, None, 2.0, None, None, 3.0, None]
