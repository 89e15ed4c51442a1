"""A loss that is not finite stops a training before the optimizer takes it over, and says where it began."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from pkdcli import compat

compat.activate()

from pkdcli.engine.train import divergence, optimizer  # noqa: E402
from pkdcli.errors import ExitCode, PkdError  # noqa: E402

NAN, INF = float("nan"), float("inf")


def wrapper(kind=optimizer.PkdOptimWrapper):
    weight = nn.Parameter(torch.ones(1))
    return weight, kind(optimizer=torch.optim.SGD([weight], lr=0.1))


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_the_first_such_loss_is_refused_and_the_weights_stay(value):
    weight, optim = wrapper()
    optim.update_params((weight * 2).sum())
    before = weight.item()
    with pytest.raises(optimizer.NotFinite):
        optim.update_params((weight * value).sum())
    assert weight.item() == before != 1


def test_mixed_precision_may_overflow_twice_in_a_row():
    assert optimizer.PkdAmpOptimWrapper.tolerance == 3

    class Counting:
        passed = 0

        def update_params(self, loss):
            self.passed += 1

    class Guarded(optimizer._Guard, Counting):
        tolerance = optimizer.AMP_TOLERANCE

    guarded = Guarded()
    for value in (1.0, INF, NAN, 2.0, INF, INF, 3.0, NAN, NAN):
        guarded.update_params(torch.tensor(value))
    assert guarded.passed == 9
    with pytest.raises(optimizer.NotFinite):
        guarded.update_params(torch.tensor(NAN))
    assert guarded.passed == 9


class Sample:
    def __init__(self, path):
        self.img_path = path


class Neck(nn.Module):
    """Two levels of four channels; channel 2 of level 1 is spoilt."""

    def __init__(self, value):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.value = value

    def forward(self, inputs):
        first = self.conv(inputs)
        second = first.clone()
        second[:, 2] = second[:, 2] * self.value
        return first, second


class Detector(nn.Module):
    def __init__(self, value=1.0, term=1.0):
        super().__init__()
        self.neck = Neck(value)
        self.term = term

    def data_preprocessor(self, batch, training):
        return {"inputs": batch["inputs"]}

    def extract_feat(self, inputs):
        return self.neck(inputs)

    def forward(self, inputs, mode):
        features = sum(level.mean() for level in self.extract_feat(inputs))
        return {"loss_cls": features, "loss_bbox": torch.tensor(self.term)}


class Runner:
    """The little of mmengine's Runner that the search reads."""

    def __init__(self, folder, model):
        self.work_dir, self.model, self.iter, self.epoch, self.seed, self.rank = str(folder), model, 6, 1, 0, 0
        self.optim_wrapper = wrapper()[1]


def told(folder, model):
    batch = {"inputs": torch.ones(2, 3, 4, 4), "data_samples": [Sample("/data/a.jpg"), Sample("/data/b.jpg")]}
    error = divergence.stopped(Runner(folder, model), batch, optimizer.NotFinite(NAN))
    return error, json.loads((Path(folder) / "nan.json").read_text())


def test_the_level_and_channel_where_it_began_are_told(tmp_path):
    error, written = told(tmp_path, Detector(value=INF))
    assert error.message == (
        "training diverged: the loss is nan at step 7; it began at level 1, channel 2, of the student, in neck."
    )
    assert "--weight" in error.hint
    assert str(tmp_path / "nan.json") in error.hint
    assert error.code == ExitCode.RUN_FAILED
    assert written["images"] == ["/data/a.jpg", "/data/b.jpg"]
    assert written["began"] == {"detector": "student", "module": "neck", "level": 1, "channel": 2}
    expected = {"iter": 7, "epoch": 2, "process": 0, "loss": "nan", "lr": 0.1}
    assert {key: written[key] for key in expected} == expected
    assert written["losses"]["loss_cls"] in ("inf", "-inf", "nan")


def test_a_loss_over_finite_features_is_told_by_its_name(tmp_path):
    error, written = told(tmp_path, Detector(term=NAN))
    assert error.message.endswith("at step 7; it began in loss_bbox.")
    assert written["began"] == {"term": "loss_bbox"}
    assert written["losses"]["loss_bbox"] == "nan"


class Pair(nn.Module):
    """A student and its teacher, which is no submodule and computes in another precision."""

    def __init__(self, teacher, student):
        super().__init__()
        self.architecture = student
        object.__setattr__(self, "teacher", teacher)
        self.taught = True

    def data_preprocessor(self, batch, training):
        return {"inputs": batch["inputs"], "teacher_inputs": batch["inputs"]}

    def forward(self, inputs, teacher_inputs, mode):
        return self.architecture(inputs, mode)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("whose", ["teacher", "student"])
def test_a_teacher_of_any_precision_is_looked_at(tmp_path, whose, precision):
    values = {"teacher": 1.0, "student": 1.0, whose: INF}
    model = Pair(Detector(values["teacher"]).to(precision), Detector(values["student"]))
    error, written = told(tmp_path, model)
    assert error.message == (
        f"training diverged: the loss is nan at step 7; it began at level 1, channel 2, of the {whose}, in neck."
    )
    assert written["began"] == {"detector": whose, "module": "neck", "level": 1, "channel": 2}


def test_weights_that_were_spoilt_before_are_told(tmp_path):
    model = Detector()
    with torch.no_grad():
        model.neck.conv.weight[0] = NAN
    error, written = told(tmp_path, model)
    assert "its weights were not finite before (neck.conv.weight first)" in error.message
    assert written["began"]["weights"] == ["neck.conv.weight"]
    assert (written["began"]["level"], written["began"]["channel"], written["began"]["module"]) == (0, 0, "neck.conv")


def test_spoilt_weights_are_not_saved(tmp_path):
    model = Detector()
    divergence.check_weights(Runner(tmp_path, model), 7)
    with torch.no_grad():
        model.neck.conv.bias[1] = INF
    with pytest.raises(PkdError, match=r"1 weights, neck.conv.bias first, are no longer finite after step 7"):
        divergence.check_weights(Runner(tmp_path, model), 7)
