"""The quick way of pooling and of sparse convolutions has PyTorch's numbers, and is not taken where it is no way."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import pkdcli.engine.register  # noqa: F401

# isort: split
from pkdcli.engine.speedups.conv_norms import distance
from pkdcli.engine.speedups.cpu_modules import SparseConv, StemPool, quicken_modules


def pair(**options):
    plain = nn.MaxPool2d(**{"kernel_size": 3, "stride": 2, "padding": 1, **options})
    ours = nn.Sequential(nn.MaxPool2d(**{"kernel_size": 3, "stride": 2, "padding": 1, **options}))
    quicken_modules(ours)
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


def convolutions(**options):
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 4, **{"kernel_size": 1, "stride": 2, **options})
    ours = nn.Sequential(copy.deepcopy(plain))
    quicken_modules(ours)
    return plain, ours[0]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(1, 1), (4, 6), (5, 7)])
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"stride": (1, 3)}, {"groups": 2}])
def test_a_sparse_convolution_has_pytorch_s_values_and_gradients(options, size, layout):
    plain, ours = convolutions(**options)
    assert type(ours) is SparseConv
    x = torch.randn(2, 6, *size, generator=torch.Generator().manual_seed(0)).to(memory_format=layout)
    found = []
    for one in (plain, ours):
        leaf = x.clone().requires_grad_()
        out = one(leaf)
        out.square().sum().backward()
        found.append([out, leaf.grad, *(p.grad for p in one.parameters())])
    assert [value.shape for value in found[1]] == [value.shape for value in found[0]]
    assert max(distance(b, a) for a, b in zip(*found, strict=True)) < 1e-6


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_which_way_a_sparse_convolution_takes(layout, monkeypatch):
    _, ours = convolutions()
    shapes, real = [], torch.nn.functional.conv2d

    def watched(x, *args, **more):
        shapes.append(tuple(x.shape))
        return real(x, *args, **more)

    monkeypatch.setattr(torch.nn.functional, "conv2d", watched)
    ours(torch.randn(1, 6, 8, 8).to(memory_format=layout))
    ours(torch.randn(6, 8, 8))
    first = (1, 6, 4, 4) if layout == torch.contiguous_format else (1, 6, 8, 8)
    assert shapes == [first, (6, 8, 8)]


@pytest.mark.parametrize("options", [{"stride": 1}, {"kernel_size": 3}, {"padding": 1}])
def test_other_convolutions_are_left_alone(options):
    assert type(convolutions(**options)[1]) is nn.Conv2d
