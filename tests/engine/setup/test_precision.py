"""A GPU that rounds to TF32 (a fake one) takes nothing from frozen and folded norms: they are checked without."""

from __future__ import annotations

import contextlib

import pytest
import torch

import pkdcli.engine.register  # noqa: F401
from pkdcli.engine.bench.fake_gpu import fake_gpu
from pkdcli.engine.distill.teacher import fold_batch_norms
from pkdcli.engine.setup.precision import full_float32
from pkdcli.engine.speedups import conv_norms
from pkdcli.engine.speedups.frozen_norms import quicken_norms

from mmdet.registry import MODELS  # isort: skip
from mmengine.config import ConfigDict  # isort: skip
from mmengine.registry import init_default_scope  # isort: skip
from torch import nn  # isort: skip

from pkdcli.config.build import detector  # isort: skip
from pkdcli.recipe.resolve import Request, resolve  # isort: skip


@pytest.fixture
def gpu():
    with fake_gpu(tf32=True) as there:
        yield there


def student() -> nn.Module:
    """FCOS-R50 as its mmdet config has it, on the GPU, with statistics as if learned."""
    init_default_scope("mmdet")
    recipe = resolve(Request(pretrained=False))
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"classes": ["a", "b"]})})
    torch.manual_seed(0)
    built = MODELS.build(ConfigDict(detector(recipe, recipe.student)))
    for part in built.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 1)
            nn.init.normal_(part.bias, 0, 0.1)
    return built.to("cuda").eval()


def test_the_fake_gpu_rounds_as_the_switches_say(gpu):
    conv = nn.Conv2d(1, 1, 1, bias=False).to("cuda")
    nn.init.ones_(conv.weight)
    x = torch.full((1, 1, 1, 1), 1 + 2**-12).to("cuda")
    with full_float32():
        assert conv(x).item() == 1 + 2**-12
    assert conv(x).item() == 1


def test_norms_are_changed_under_tf32_because_they_are_checked_without_it(gpu, monkeypatch):
    found = []
    distances = conv_norms._apart
    monkeypatch.setattr(conv_norms, "_apart", lambda *levels: found.append(distances(*levels)) or found[-1])
    assert quicken_norms(student()) == (0, 53)
    assert fold_batch_norms(student().requires_grad_(False)) == 53
    assert all(one < 1e-5 for one in found)
    monkeypatch.setattr(conv_norms, "full_float32", contextlib.nullcontext)
    assert quicken_norms(student()) == (0, 0)
    assert fold_batch_norms(student().requires_grad_(False)) == 0
    assert all(one > conv_norms.SAME for one in found[2:])
    assert len(found) == 4


@pytest.mark.parametrize("fails", [False, True])
def test_the_switches_are_as_they_were_afterwards(fails):
    conv, product = torch.backends.cudnn.conv, torch.backends.cuda.matmul
    before = conv.fp32_precision, product.fp32_precision
    with contextlib.suppress(ZeroDivisionError), full_float32():
        assert (conv.fp32_precision, product.fp32_precision) == ("ieee", "ieee")
        if fails:
            raise ZeroDivisionError
    assert (conv.fp32_precision, product.fp32_precision) == before
    assert torch.backends.cudnn.allow_tf32 in (True, False)  # PyTorch refuses to say where the two interfaces differ


def test_an_older_pytorch_has_one_switch_for_all(monkeypatch):
    class Backend:
        allow_tf32 = True

    class Backends:
        cudnn = Backend()
        cuda = type("Cuda", (), {"matmul": Backend()})

    monkeypatch.setattr(torch, "backends", Backends)
    with full_float32():
        assert (Backends.cudnn.allow_tf32, Backends.cuda.matmul.allow_tf32) == (False, False)
    assert (Backends.cudnn.allow_tf32, Backends.cuda.matmul.allow_tf32) == (True, True)
