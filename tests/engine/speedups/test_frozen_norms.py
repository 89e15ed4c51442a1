"""A student's batch norms in place and in convolutions: the same values and gradients, fewer feature maps kept."""

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
from pkdcli.engine.speedups import conv_norms
from pkdcli.engine.speedups.conv_norms import distance
from pkdcli.engine.speedups.frozen_norms import InPlaceNorm, NormedConv, NormInConv, apply_speedups, quicken_norms
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


@pytest.mark.parametrize(
    "change",
    [
        lambda norm: nn.init.constant_(norm.weight, 2),
        lambda norm: norm.load_state_dict(norm_of(4, seed=8).state_dict()),
        lambda norm: norm.load_state_dict(norm_of(4, seed=8).state_dict(), assign=True),
        lambda norm: norm.running_mean.add_(1),
        lambda norm: norm.double(),
        lambda norm: setattr(norm, "running_var", torch.full((4,), 3.0)),
        lambda norm: setattr(norm.bias, "data", torch.full((4,), 3.0)),
        lambda norm: (norm.train()(picture(2, 4, 3, 3)), norm.eval()),
    ],
)
def test_scale_and_shift_are_kept_until_one_of_the_numbers_changes(change):
    norm = in_place(norm_of(4))
    first = norm.scale_and_shift()
    assert norm.scale_and_shift() is first
    norm(picture(2, 4, 3, 3))
    assert norm.scale_and_shift() is first
    change(norm.requires_grad_(False))
    x = picture(2, 4, 3, 3, dtype=norm.running_mean.dtype, seed=5)
    plain = copy.deepcopy(norm)
    plain.__class__ = nn.BatchNorm2d
    assert distance(norm(x.clone()), plain(x)) < 1e-6
    assert distance(copy.deepcopy(norm)(x.clone()), plain(x)) < 1e-6


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


def trunk(dtype=torch.float64, bias=False):
    """A convolution and its norm, as PyTorch has them and with one in the other."""
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=bias), norm_of(4, frozen=False)).to(dtype)
    plain.extract_feat = lambda x: (plain(x),)
    ours = copy.deepcopy(plain)
    ours.extract_feat = lambda x: (ours(x),)
    assert quicken_norms(ours) == (0, 1)
    assert [type(one) for one in ours] == [NormedConv, NormInConv]
    return plain, ours


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-14), (torch.float32, 2e-6)])
def test_a_convolution_with_its_norm_in_it_has_the_values_and_gradients_of_both(dtype, bound, bias):
    found = []
    for one in trunk(dtype, bias):
        x = picture(dtype=dtype).requires_grad_()
        out = one(x)
        out.backward(picture(2, 4, 16, 16, dtype=dtype, seed=2))
        found.append({"out": out, "x": x.grad, **{name: p.grad for name, p in one.named_parameters()}})
    assert list(found[0]) == ["out", "x", "0.weight", *(["0.bias"] if bias else []), "1.weight", "1.bias"]
    assert found[1].keys() == found[0].keys()
    for name, value in found[0].items():
        assert distance(found[1][name], value) <= bound, name


def test_steps_of_an_optimizer_lead_to_the_same_weights():
    nets = trunk()
    for one in nets:
        optimizer = torch.optim.SGD(one.parameters(), 0.1, momentum=0.9, weight_decay=1e-2)
        for step in range(5):
            optimizer.zero_grad()
            (one(picture(dtype=torch.float64, seed=step)) - 1).square().mean().backward()
            optimizer.step()
    plain, ours = (one.state_dict() for one in nets)
    assert list(ours) == list(plain)
    assert max(distance(ours[name], value) for name, value in plain.items()) < 1e-13


def test_mixed_precision_reaches_every_gradient_in_its_own_type():
    plain, ours = trunk(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        outs = [one(picture()) for one in (plain, ours)]
    assert [out.dtype for out in outs] == [torch.bfloat16] * 2
    assert distance(outs[1], outs[0]) < 1e-2
    for out in outs:
        out.float().square().sum().backward()
    for ours_p, plain_p in zip(ours.parameters(), plain.parameters(), strict=True):
        assert ours_p.grad.dtype == torch.float32
        assert distance(ours_p.grad, plain_p.grad) < 2e-2


def test_a_norm_that_learns_its_statistics_is_pytorch_s_own():
    nets = trunk(torch.float32)
    for one in nets:
        one.train()
        one(picture()).square().sum().backward()
    for a, b in zip(*(one.state_dict().values() for one in nets), strict=True):
        assert torch.equal(a, b)
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(*(one.parameters() for one in nets), strict=True))
    assert nets[1][1].num_batches_tracked == 1


def test_a_copy_has_a_norm_of_its_own():
    _, ours = trunk()
    other = copy.deepcopy(ours)
    assert other[0].norm[0] is other[1]
    assert other[0].norm[0] is not ours[1]
    assert [name for name, _ in ours[0].named_modules()] == [""], "the norm has become a submodule"


@pytest.mark.parametrize("listener", ["first", "norm", "second", "trained"])
def test_whoever_listens_hears_what_there_was(listener):
    torch.manual_seed(0)
    small = Small().eval()
    heard = []
    getattr(small, listener).register_forward_hook(lambda module, inputs, output: heard.append(output.clone()))
    small.extract_feat(picture())
    apply_speedups(small)
    small.extract_feat(picture())
    assert distance(heard[-1], heard[0]) < 1e-6


def test_only_a_norm_with_a_convolution_of_its_own_is_changed():
    torch.manual_seed(0)
    small = Small().train()
    small.norm.eval(), small.trained.eval()
    before = copy.deepcopy(small)
    assert quicken_norms(small) == (1, 1)
    kinds = [type(getattr(small, name)) for name in ("norm", "trained", "plain", "alone")]
    assert kinds == [InPlaceNorm, NormInConv, *[nn.BatchNorm2d] * 2]
    assert [type(getattr(small, name)) is NormedConv for name in ("first", "second", "third")] == [False, True, False]
    assert [m.training for m in small.modules()] == [m.training for m in before.modules()]
    state, expected = small.state_dict(), before.state_dict()
    assert list(state) == list(expected)
    assert all(torch.equal(state[name], value) for name, value in expected.items())
    made = [type(one) for one in small.modules()]
    assert quicken_norms(small) == (1, 1)
    assert [type(one) for one in small.modules()] == made, "again"
    small.eval(), before.eval()
    (ours,), (plain,) = small.extract_feat(picture()), before.extract_feat(picture())
    ours.sum().backward(), plain.sum().backward()
    assert distance(ours, plain) < 1e-6
    assert distance(small.first.weight.grad, before.first.weight.grad) < 1e-6


def test_a_convolution_whose_output_is_wanted_elsewhere_keeps_it():
    torch.manual_seed(0)
    small = Small(shared=True).eval()
    (plain,) = small.extract_feat(picture())
    assert quicken_norms(small) == (0, 0)
    assert type(small.norm) is nn.BatchNorm2d
    assert torch.equal(small.extract_feat(picture())[0], plain)


def test_what_can_not_be_folded_is_as_before(monkeypatch):
    torch.manual_seed(0)
    small = Small().eval()
    before, (plain,) = copy.deepcopy(small.state_dict()), small.extract_feat(picture())
    monkeypatch.setattr(conv_norms, "SAME", -1.0)
    assert quicken_norms(small) == (0, 0)
    assert {type(one) for one in small.children()} == {nn.Conv2d, nn.BatchNorm2d}
    assert "norm" not in vars(small.second)
    assert all(torch.equal(value, before[name]) for name, value in small.state_dict().items())
    assert torch.equal(small.extract_feat(picture())[0], plain)


def test_a_detector_that_takes_no_such_picture_is_left_alone(monkeypatch):
    def refuse(self, x):
        raise RuntimeError("only pictures of 1024 pixels")

    small = Small().eval()
    told = []
    monkeypatch.setattr(Small, "extract_feat", refuse)
    monkeypatch.setattr(conv_norms, "print_log", lambda text, *_: told.append(text))
    assert quicken_norms(small) == (0, 0)
    assert {type(one) for one in small.children()} == {nn.Conv2d, nn.BatchNorm2d}
    assert not any(one._forward_hooks for one in small.modules())
    assert told == ["batch norms are left as they are: RuntimeError: only pictures of 1024 pixels"]


# Batch norms of each student: all of caffe's ResNet-50 are frozen, in others those of stem and first stage. At scale
# tiny they are group norms.
@pytest.mark.parametrize(
    ("pair", "scale", "frozen", "trained"),
    [("gfl101-fcos50", "paper", 53, 0), ("gfl101-gfl50", "paper", 11, 42), ("gfl101-fcos50", "tiny", 0, 0)],
)
def test_students_of_the_paper(pair, scale, frozen, trained):
    init_default_scope("mmdet")
    recipe = resolve(Request(pair=pair, scale=scale))
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"classes": ["a", "b"]})})
    torch.manual_seed(0)
    plain = MODELS.build(ConfigDict(detector(recipe, recipe.student))).train()
    ours = copy.deepcopy(plain)
    assert quicken_norms(ours) == (frozen, trained)
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
    if frozen:  # the rest are the neck's and the outputs of blocks
        ours, theirs = (sum(sizes.values()) for sizes in kept)
        assert ours < 0.7 * theirs


NORMS = "scale.rules.1.set.norm_cfg={type: BN, requires_grad: %s}"
PLAIN = "from pkdcli.engine.train import runner; runner.apply_speedups = lambda student: None"


# The student is a ResNet-18, of 20 batch norms.
@pytest.mark.parametrize(
    ("trained", "told"),
    [("false", "20 work in place, 0 within their convolutions"), ("true", "0 work in place, 20 within")],
)
def test_a_run_is_the_same_with_and_without(trained, told, make_run, workers, tmp_path):
    """Six steps of a real worker, in channels last; the weights that PyTorch's norms lead to."""
    runs = []
    for name, first in (("ours", ""), ("plain", PLAIN)):
        sets = (NORMS % trained, "scale.rules.1.set.norm_eval=true")
        run = make_run(tmp_path / name, *sets, loss="none", max_iters=6, val_images=1)
        runs.append(workers.finish(run, first))
    logs = [(run / "log.txt").read_text() for run in runs]
    assert [f"batch norms: {told}" in log for log in logs] == [True, False]
    ours, plain = (torch.load(run / "student.pth", weights_only=True)["state_dict"] for run in runs)
    assert list(ours) == list(plain)
    moved = {name: value for name, value in plain.items() if value.is_floating_point()}
    assert max(distance(ours[name], value) for name, value in moved.items()) < 1e-4
