"""Max pooling by rows and columns: the same numbers as PyTorch's, and PyTorch's own where something is learned."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pkdcli.engine.pooling import StemPool, quick_pools


def pair(**options):
    plain = nn.MaxPool2d(**{"kernel_size": 3, "stride": 2, "padding": 1, **options})
    ours = nn.Sequential(nn.MaxPool2d(**{"kernel_size": 3, "stride": 2, "padding": 1, **options}))
    quick_pools(ours)
    return plain, ours[0]


@pytest.mark.parametrize("height", [1, 2, 3, 4, 7, 12])
@pytest.mark.parametrize("width", [1, 2, 5, 8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_numbers_are_pytorch_s(height, width, dtype):
    plain, ours = pair()
    assert type(ours) is StemPool
    x = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0)).to(dtype)
    before = x.clone()
    found = ours(x)
    assert torch.equal(found, plain(x))
    assert found.is_contiguous()
    assert torch.equal(x, before), "the input was written to"


def test_infinity_and_nan_go_where_pytorch_has_them_go():
    plain, ours = pair()
    x = torch.randn(1, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    x[0, 0, 2, 3], x[0, 0, 7, 7], x[0, 0, 0, :4] = torch.nan, torch.inf, -torch.inf
    assert torch.equal(ours(x).nan_to_num(7.0, 8.0, 9.0), plain(x).nan_to_num(7.0, 8.0, 9.0))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_what_is_learned_from_goes_pytorch_s_way(layout):
    plain, ours = pair()
    x = torch.randn(2, 3, 9, 8, generator=torch.Generator().manual_seed(0)).to(memory_format=layout)
    found = []
    for pool in (plain, ours):
        leaf = x.clone().requires_grad_()
        out = pool(leaf)
        out.square().sum().backward()
        found.append((out, leaf.grad))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_channels_last_stays_so():
    plain, ours = pair()
    x = torch.randn(2, 3, 9, 8).to(memory_format=torch.channels_last)
    assert ours(x).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(ours(x), plain(x))


@pytest.mark.parametrize(
    "options",
    [{"kernel_size": 2}, {"stride": 1}, {"padding": 0}, {"dilation": 2}, {"ceil_mode": True}, {"return_indices": True}],
)
def test_other_pools_are_left_alone(options):
    assert type(pair(**options)[1]) is nn.MaxPool2d
