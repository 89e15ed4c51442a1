"""SGD in one pass steps to the same weights, and is not taken where tensors are laid out differently."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from pkdcli.engine.speedups.fused_sgd import use_fused_sgd

LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}


def trained(fused, weights="contiguous", gradients="contiguous", steps=4, state=None, **options):
    """(weights, optimizer) after some steps on drawn gradients."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(5, 4, 3, 3, generator=generator)
    weight = nn.Parameter(drawn.contiguous(memory_format=LAYOUTS[weights]))
    without = nn.Parameter(torch.ones(3))  # no gradient ever comes
    optimizer = torch.optim.SGD([weight, without], **{"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-2, **options})
    if state:
        optimizer.load_state_dict(copy.deepcopy(state))
    for _ in range(steps):
        gradient = torch.randn(5, 4, 3, 3, generator=generator)
        weight.grad = gradient.contiguous(memory_format=LAYOUTS[gradients])
        if fused:
            use_fused_sgd(optimizer)
        optimizer.step()
    assert torch.equal(without, torch.ones(3))
    return weight.detach().contiguous(), optimizer


@pytest.mark.parametrize("options", [{}, {"momentum": 0.0}, {"nesterov": True}, {"weight_decay": 0.0}])
@pytest.mark.parametrize("weights", list(LAYOUTS))
@pytest.mark.parametrize("gradients", list(LAYOUTS))
def test_the_weights_are_those_of_plain_sgd(weights, gradients, options):
    plain, _ = trained(False, weights, gradients, **options)
    ours, optimizer = trained(True, weights, gradients, **options)
    torch.testing.assert_close(ours, plain, rtol=1e-6, atol=1e-7)
    assert optimizer.param_groups[0]["fused"] is (weights == gradients)


def test_momentum_of_another_layout_is_seen():
    _, optimizer = trained(False, gradients="channels last", steps=1)
    state = optimizer.state_dict()
    assert state["state"][0]["momentum_buffer"].is_contiguous(memory_format=torch.channels_last)
    plain, _ = trained(False, state=state)
    ours, optimizer = trained(True, state=state)
    torch.testing.assert_close(ours, plain, rtol=1e-6, atol=1e-7)
    assert optimizer.param_groups[0]["fused"] is False


def test_strides_of_dimensions_with_one_place_say_nothing():
    weights = [nn.Parameter(torch.randn(6, 4, 1, 1, generator=torch.Generator().manual_seed(0))) for _ in range(2)]
    optimizers = [torch.optim.SGD([weight], 0.1, momentum=0.9, weight_decay=1e-2) for weight in weights]
    for step in range(3):
        for ours, weight, optimizer in zip((False, True), weights, optimizers, strict=True):
            gradient = torch.randn(6, 4, generator=torch.Generator().manual_seed(step))
            weight.grad = gradient.as_strided((6, 4, 1, 1), (4, 1, 4, 4))
            if ours:
                use_fused_sgd(optimizer)
            optimizer.step()
    assert weights[1].stride() != weights[1].grad.stride()
    assert optimizers[1].param_groups[0]["fused"] is True
    torch.testing.assert_close(weights[1], weights[0], rtol=1e-6, atol=1e-7)


def test_another_optimizer_is_left_alone():
    weight = nn.Parameter(torch.ones(3))
    weight.grad = torch.ones(3)
    optimizer = torch.optim.AdamW([weight])
    use_fused_sgd(optimizer)
    assert not optimizer.param_groups[0]["fused"]
