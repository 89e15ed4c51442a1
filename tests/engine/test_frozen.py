"""A student's frozen batch norms work in place: the same values and gradients, fewer feature maps kept."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import pkdcli.engine.register  # noqa: F401

# isort: split
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope

from pkdcli.config.build import detector
from pkdcli.engine.frozen import InPlaceNorm, work_in_place
from pkdcli.engine.norms import distance
from pkdcli.recipe.resolve import Request, resolve


def norm_of(channels, frozen=True, kind=nn.BatchNorm2d, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    made = kind(channels, **options)
    made.running_mean.copy_(torch.randn(channels, generator=generator))
    made.running_var.copy_(torch.rand(channels, generator=generator) + 0.5)
    if made.affine:
        nn.init.uniform_(made.weight, 0.5, 1.5, generator=generator)
        nn.init.normal_(made.bias, generator=generator)
        made.requires_grad_(not frozen)
    return made.eval()


class Small(nn.Module):
    """A backbone with a frozen norm behind a convolution, and everything that is none."""

    def __init__(self, shared=False):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 4, 3, padding=1), norm_of(4)
        self.second, self.trained = nn.Conv2d(4, 4, 1), norm_of(4, frozen=False, seed=1)
        self.third, self.plain = nn.Conv2d(4, 4, 1), norm_of(4, affine=False, seed=2)
        self.fourth, self.alone = nn.Conv2d(4, 4, 1), norm_of(4, seed=3)
        self.shared = shared

    def extract_feat(self, x):
        made = self.first(x)
        x = self.norm(made).relu_()
        if self.shared:
            x = x + made
        x = self.plain(self.third(self.trained(self.second(x))))
        return (self.alone(self.fourth(x) * 2),)


def picture(*shape, dtype=torch.float32, seed=1):
    return torch.randn(shape or (2, 3, 16, 16), dtype=dtype, generator=torch.Generator().manual_seed(seed))


def in_place(norm):
    norm = copy.deepcopy(norm)
    norm.__class__ = InPlaceNorm
    return norm


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float64, 1e-15), (torch.float32, 1e-7), (torch.bfloat16, 4e-3), (torch.float16, 5e-4)]
)
def test_values_and_gradients_are_those_of_a_batch_norm(dtype, bound, channels_last):
    plain_norm, norm = norm_of(5).double(), norm_of(5)
    norm = in_place(norm.double() if dtype == torch.float64 else norm)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x = picture(3, 5, 7, 6, dtype=torch.float64).to(dtype).to(memory_format=layout)
    upstream = picture(3, 5, 7, 6, dtype=torch.float64, seed=2).to(dtype).to(memory_format=layout)
    found = []
    for one, like in ((plain_norm, torch.float64), (norm, dtype)):
        leaf = x.to(like, copy=True).requires_grad_()
        out = one(leaf * 1)
        out.backward(upstream.to(like))
        found.append((out, leaf.grad))
    (plain, plain_gradient), (ours, gradient) = found
    assert (ours.dtype, gradient.dtype) == (dtype, dtype)
    assert ours.is_contiguous(memory_format=layout)
    assert distance(ours, plain) <= bound
    assert distance(gradient, plain_gradient) <= bound


def test_float32_is_the_same_as_pytorch_s_to_the_last_bit_or_next_to_it():
    norm = norm_of(5)
    x = picture(3, 5, 7, 6)
    plain, ours = norm(x), in_place(norm)(x.clone())
    ulp = (torch.nextafter(plain.abs(), torch.tensor(torch.inf)) - plain.abs()).maximum(torch.tensor(1e-7))
    assert ((ours - plain).abs() <= 2 * ulp).all()


def test_the_gradient_is_that_of_finite_differences():
    norm = in_place(norm_of(3).double())
    x = picture(2, 3, 4, 4, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: norm(x * 1), (x,))
    assert torch.autograd.gradgradcheck(lambda x: norm(x * 1), (x,))


def test_the_input_is_written_over_and_not_kept():
    norm, x = in_place(norm_of(4)), picture(2, 4, 8, 8)
    leaf = x.clone().requires_grad_()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.numel()) or tensor, lambda x: x):
        made = leaf + 0
        out = norm(made)
    assert out.data_ptr() == made.data_ptr()
    assert kept == [4]  # the scale
    with torch.no_grad():
        made = x.clone()
        assert norm(made).data_ptr() == made.data_ptr()


@pytest.mark.parametrize("what", ["training", "weight", "bias"])
def test_a_norm_that_is_trained_after_all_is_pytorch_s_own(what):
    plain = norm_of(4)
    ours = in_place(plain)
    for one in (plain, ours):
        one.train() if what == "training" else getattr(one, what).requires_grad_()
    found = []
    for one in (plain, ours):
        x = picture(2, 4, 8, 8).requires_grad_()
        made = x * 1
        out = one(made)
        assert out.data_ptr() != made.data_ptr()
        out.square().sum().backward()
        found.append([out, x.grad, *(p.grad for p in one.parameters() if p.grad is not None), one.running_mean])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_only_a_frozen_norm_with_a_convolution_of_its_own_works_in_place():
    torch.manual_seed(0)
    small = Small().train()
    small.norm.eval()
    before = copy.deepcopy(small)
    assert work_in_place(small) == 1
    kinds = [type(getattr(small, name)) for name in ("norm", "trained", "plain", "alone")]
    assert kinds == [InPlaceNorm, *[nn.BatchNorm2d] * 3]
    assert [m.training for m in small.modules()] == [m.training for m in before.modules()]
    state, expected = small.state_dict(), before.state_dict()
    assert list(state) == list(expected)
    assert all(torch.equal(state[name], value) for name, value in expected.items())
    assert work_in_place(small) == 0, "again"
    small.eval(), before.eval()
    (ours,), (plain,) = small.extract_feat(picture()), before.extract_feat(picture())
    ours.sum().backward(), plain.sum().backward()
    assert distance(ours, plain) < 1e-6
    assert distance(small.first.weight.grad, before.first.weight.grad) < 1e-6


def test_a_convolution_whose_output_is_wanted_elsewhere_keeps_it():
    torch.manual_seed(0)
    used, heard = Small(shared=True).eval(), Small().eval()
    heard.first.register_forward_hook(lambda module, inputs, output: None)
    for small in (used, heard):
        (plain,) = small.extract_feat(picture())
        assert work_in_place(small) == 0
        assert type(small.norm) is nn.BatchNorm2d
        assert torch.equal(small.extract_feat(picture())[0], plain)


# Batch norms of each student, and how many are frozen: all of caffe's ResNet-50, in others those of stem and first
# stage. At scale tiny they are group norms.
@pytest.mark.parametrize(
    ("pair", "scale", "count"),
    [("gfl101-fcos50", "paper", 53), ("gfl101-gfl50", "paper", 11), ("gfl101-fcos50", "tiny", 0)],
)
def test_students_of_the_paper(pair, scale, count):
    init_default_scope("mmdet")
    recipe = resolve(Request(pair=pair, scale=scale))
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"classes": ["a", "b"]})})
    torch.manual_seed(0)
    plain = MODELS.build(ConfigDict(detector(recipe, recipe.student))).train()
    ours = copy.deepcopy(plain)
    assert work_in_place(ours) == count
    features = [one.train().extract_feat(picture(1, 3, 64, 64)) for one in (ours, plain)]
    assert max(distance(a, b) for a, b in zip(*features, strict=True)) < 1e-5
    kept: list[dict[int, int]] = [{}, {}]
    for one, sizes in zip((ours, plain), kept, strict=True):

        def keep(tensor, sizes=sizes):
            if tensor.ndim == 4 and tensor.shape[0] == 2:  # a feature map, which may be kept by several
                sizes[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
            sum(level.sum() for level in one.extract_feat(picture(2, 3, 64, 64))).backward()
    gradients = [{n: p.grad for n, p in one.named_parameters() if p.grad is not None} for one in (ours, plain)]
    assert list(gradients[0]) == list(gradients[1])
    assert max(distance(gradients[0][name], value) for name, value in gradients[1].items()) < 1e-4
    if count == 53:  # the rest are the neck's and the outputs of blocks
        ours, theirs = (sum(sizes.values()) for sizes in kept)
        assert ours < 0.7 * theirs
