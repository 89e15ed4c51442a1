"""What configs' own hooks do to a model: averages, switches of the head, statistics of norms, the epoch."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch

import pkdcli.engine.register  # noqa: F401

# isort: split
from mmdet.registry import MODELS
from mmengine.hooks import Hook
from mmengine.optim import DefaultOptimWrapperConstructor, build_optim_wrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, DefaultScope
from torch import nn

from pkdcli.config.build import build_config
from pkdcli.engine.train.hooks import own
from pkdcli.engine.train.hooks.averages import PkdEMAHook
from pkdcli.engine.train.hooks.own import PkdModeSwitchHook, PkdSyncNormHook, tell_epoch
from pkdcli.recipe.resolve import Request, resolve


class Net(nn.Module):
    """A convolution with its norm, beside a list that the other model may have in another order."""

    def __init__(self, turned: bool = False) -> None:
        super().__init__()
        parts = {"conv": nn.Conv2d(2, 2, 1), "norm": nn.BatchNorm2d(2)}
        for name in sorted(parts, reverse=turned):
            self.add_module(name, parts[name])


def averaged(**options) -> tuple[PkdEMAHook, Net]:
    model = Net()
    hook = PkdEMAHook(**options)
    hook.before_run(SimpleNamespace(model=model))
    return hook, model


@pytest.mark.parametrize("buffers", [True, False])
def test_averages_change_places_with_the_weights_by_name(buffers):
    hook, model = averaged(momentum=0.5, update_buffers=buffers)
    hook.ema_model.module = Net(turned=True)
    before, averages = (copy.deepcopy(one.state_dict()) for one in (model, hook.ema_model.module))
    names = list(before) if buffers else [name for name, _ in model.named_parameters()]
    hook.before_val_epoch(None)
    now, other = model.state_dict(), hook.ema_model.module.state_dict()
    assert all(torch.equal(now[name], averages[name]) and torch.equal(other[name], before[name]) for name in names)
    hook.after_val_epoch(None)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_averages_are_those_of_the_config():
    """mmdet's: a momentum that falls from one to the config's, by an exponential of the steps."""
    hook, model = averaged(ema_type="mmdet.ExpMomentumEMA", momentum=0.1, gamma=4, update_buffers=True)
    runner = SimpleNamespace(iter=0, epoch=0)
    mean = None
    for step in range(4):
        model.conv.weight.data.fill_(float(step))
        hook.after_train_iter(runner, step)
        if mean is None:
            mean = 0.0
        else:
            momentum = 0.9 * torch.exp(torch.tensor(-(1 + step) / 4)) + 0.1
            mean = float((1 - momentum) * mean + momentum * step)
    assert hook.ema_model.module.conv.weight.flatten().tolist() == pytest.approx([mean] * 4, rel=1e-5)


def test_a_state_of_another_model_is_refused():
    hook, model = averaged(momentum=0.5)
    averages = {"steps": torch.tensor(3), "module.other": torch.ones(1)}
    state = {"state_dict": {**model.state_dict(), "other": torch.ones(1)}, "ema_state_dict": averages}
    with pytest.raises(RuntimeError, match="Missing key"):
        hook.after_load_checkpoint(SimpleNamespace(_resume=True), state)


def test_averages_that_begin_behind_a_smoke_runs_end_are_no_error():
    hook, _ = averaged(momentum=0.5, begin_iter=100)
    hook.before_train(SimpleNamespace(max_iters=2, max_epochs=1))


@pytest.fixture(scope="module")
def distilled():
    """A distilled RTMDet's model, a teacher beside it."""
    recipe = resolve(Request(pair="gfl101-rtmdet-tiny", scale="tiny"))
    known = {"classes": ["a"], "train_images": 800}
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update=known)})
    config = build_config(recipe, "/w")
    with DefaultScope.overwrite_default_scope("mmdet"):
        return MODELS.build(config["model"]), config["optim_wrapper"]


def test_averages_have_no_teacher_of_their_own(distilled):
    model, _ = distilled
    copied = copy.deepcopy(model)
    assert copied.teacher is model.teacher
    assert copied.architecture is not model.architecture
    assert copied.state_dict().keys() == model.state_dict().keys()
    ours, theirs = model.architecture.backbone.stem[0].conv.weight, copied.architecture.backbone.stem[0].conv.weight
    assert torch.equal(ours, theirs)
    assert ours.data_ptr() != theirs.data_ptr()


def test_a_constructor_sees_the_detector_by_its_own_names(distilled):
    model, wrapper = distilled
    seen = []

    @OPTIM_WRAPPER_CONSTRUCTORS.register_module(force=True)
    class NamesFirst(DefaultOptimWrapperConstructor):
        def add_params(self, params, module, **kwargs):
            seen.extend(name for name, _ in module.named_parameters())
            for name, parameter in module.named_parameters():
                rate = self.base_lr * (0.5 if name.startswith("backbone.") else 1)
                params.append({"params": [parameter], "lr": rate})

    section = {**wrapper, "constructor": "PkdOptimWrapperConstructor"}
    section["paramwise_cfg"] = {"constructor": "NamesFirst", "decay": 1}
    built = build_optim_wrapper(model, section)
    assert {name.partition(".")[0] for name in seen} == {"backbone", "neck", "bbox_head"}
    groups = built.optimizer.param_groups
    rates = {round(group["lr"] / wrapper["optimizer"]["lr"], 3) for group in groups}
    assert rates == {0.5, 1.0}
    held = {id(one) for group in groups for one in group["params"]}
    assert held == {id(one) for one in model.parameters()}


@pytest.mark.parametrize(("epoch", "built", "on"), [(0, False, False), (5, False, False), (6, False, True),
                                                    (7, False, True), (0, True, True)])  # fmt: skip
def test_the_head_switches_by_the_epoch_wherever_a_run_begins(epoch, built, on):
    head = nn.Module()
    head.use_l1 = built
    runner = SimpleNamespace(epoch=epoch, model=nn.Sequential(nn.ReLU(), head))
    hook = PkdModeSwitchHook(6)
    hook.before_train_epoch(runner)
    assert head.use_l1 is on
    runner.epoch = 3
    hook.before_train_epoch(runner)
    assert head.use_l1 is built, "a run that goes on from an earlier state"


def test_a_run_that_is_too_short_never_switches():
    head = nn.Module()
    head.use_l1 = False
    PkdModeSwitchHook(None).before_train_epoch(SimpleNamespace(epoch=0, model=nn.Sequential(head)))
    assert head.use_l1 is False


def test_statistics_become_their_mean_over_the_processes(monkeypatch):
    model = Net()
    hook, _ = averaged(momentum=0.5)
    model.norm.running_mean.fill_(1.0)
    model.norm.running_var.fill_(3.0)
    hook.ema_model.module.norm.running_mean.fill_(5.0)
    runner = SimpleNamespace(model=model, hooks=[Hook(), hook])
    PkdSyncNormHook().after_train_epoch(runner)
    assert model.norm.running_mean.tolist() == [1.0, 1.0], "a process alone"
    monkeypatch.setattr(own.processes, "world_size", lambda: 2)
    monkeypatch.setattr(own.processes, "mean", lambda values: values.double() + 1)
    PkdSyncNormHook().after_train_epoch(runner)
    assert (model.norm.running_mean.tolist(), model.norm.running_var.tolist()) == ([2.0, 2.0], [4.0, 4.0])
    assert hook.ema_model.module.norm.running_mean.tolist() == [6.0, 6.0]


def test_whoever_wants_to_know_the_epoch_is_told():
    class Head(nn.Module):
        told = None

        def set_epoch(self, epoch):
            self.told = epoch

    model = nn.Sequential(nn.ReLU(), nn.Sequential(Head()))
    tell_epoch(model, 3)
    assert model[1][0].told == 3
