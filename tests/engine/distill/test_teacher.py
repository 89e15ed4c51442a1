"""The teacher made faster: the same features, from folded convolutions, in other precisions, compiled or shared."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import nn

import pkdcli.engine.register  # noqa: F401

# isort: split
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope

from pkdcli.config.build import detector, model
from pkdcli.engine.distill import teacher as module
from pkdcli.engine.distill.teacher import as_constants, fold_batch_norms, forward_features, prepare
from pkdcli.engine.speedups.conv_norms import distance
from pkdcli.errors import PkdError
from pkdcli.recipe.resolve import Request, resolve


def build(pair, scale="paper"):
    """The pair's teacher with random weights and statistics, in eval mode; its recipe is as from the zoo."""
    init_default_scope("mmdet")
    recipe = resolve(Request(pair=pair, scale=scale, pretrained=False))
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"classes": ["a", "b"]})})
    torch.manual_seed(0)
    built = MODELS.build(ConfigDict(detector(recipe, recipe.teacher)))
    for part in built.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 1)
            nn.init.normal_(part.bias, 0, 0.1)
    return built.requires_grad_(False).eval()


def picture(size=64, seed=1):
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(seed))


def largest(ours, theirs):
    return max(distance(a, b) for a, b in zip(ours, theirs, strict=True))


# Batch norms of each teacher, and how many of them are behind a convolution that can take them over. A deformable
# convolution of the first version has no bias, so the norms behind the 30 of ResNeXt-101's last three stages stay.
@pytest.mark.parametrize(
    ("pair", "norms", "folded"),
    [("gfl101-fcos50", 104, 104), ("maskswin-faster50", 0, 0), ("reppointsx101-reppoints50", 104, 74)],
)
def test_the_defaults_keep_the_features(pair, norms, folded):
    teacher = build(pair)
    count = sum(isinstance(part, nn.BatchNorm2d) for part in teacher.modules())
    with torch.no_grad():
        plain = [feature.clone() for feature in teacher.extract_feat(picture())]
    assert (count, prepare(teacher)) == (norms, folded)
    assert sum(isinstance(part, nn.BatchNorm2d) for part in teacher.modules()) == norms - folded
    found = forward_features(teacher, picture())
    assert [feature.shape for feature in found] == [feature.shape for feature in plain]
    assert largest(found, plain) < 1e-5
    if folded:
        assert not all(torch.equal(a, b) for a, b in zip(found, plain, strict=True)), "nothing was folded"


class Small(nn.Module):
    """A backbone with everything that can be had wrong about folding, and a neck."""

    def __init__(self, break_it=False):
        super().__init__()
        self.backbone, self.neck = nn.Identity(), nn.Identity()
        self.first, self.norm = nn.Conv2d(3, 4, 3, padding=1, bias=True), nn.BatchNorm2d(4, affine=False)
        self.shared, self.one, self.other = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.alone = nn.BatchNorm2d(4)
        self.break_it = break_it
        for part in (self.norm, self.one, self.other, self.alone):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)

    def extract_feat(self, x):
        made = self.first(x)
        x = self.norm(made)
        if self.break_it:
            x = x + made
        x = self.one(self.shared(x)) + self.other(self.shared(x * 2))
        return (self.alone(x.relu()),)


def test_only_a_norm_with_a_convolution_of_its_own_is_folded():
    torch.manual_seed(0)
    small = Small().requires_grad_(False).eval()
    (plain,) = small.extract_feat(picture())
    assert fold_batch_norms(small) == 1
    assert isinstance(small.norm, nn.Identity)
    assert [type(part) for part in (small.one, small.other, small.alone)] == [nn.BatchNorm2d] * 3
    assert distance(small.extract_feat(picture())[0], plain) < 1e-6


def test_a_model_that_folding_would_change_stays_as_it_is():
    torch.manual_seed(0)
    small = Small(break_it=True).requires_grad_(False).eval()
    before = {name: value.clone() for name, value in small.state_dict().items()}
    (plain,) = small.extract_feat(picture())
    assert fold_batch_norms(small) == 0
    after = small.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert torch.equal(small.extract_feat(picture())[0], plain)


def test_what_leaves_inference_mode_is_the_same_memory_and_fit_for_autograd():
    with torch.inference_mode():
        inside = {"levels": (torch.randn(2, 3).to(torch.bfloat16), [torch.randn(1, 2, 3, 4)])}
    inside["levels"][1].append(torch.zeros(1))
    outside = as_constants(inside)
    pairs = [(outside["levels"][0], inside["levels"][0]), *zip(outside["levels"][1], inside["levels"][1], strict=True)]
    for new, old in pairs:
        assert not new.is_inference()
        assert (new.data_ptr(), new.dtype, new.stride()) == (old.data_ptr(), old.dtype, old.stride())
        weight = torch.ones_like(new, requires_grad=True)
        (weight * new).sum().backward()
        assert torch.equal(weight.grad, new)
        assert new._version == 0


@pytest.mark.parametrize("channels_last", [None, True, False])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_whole_step_takes_every_precision_and_layout(precision, channels_last):
    init_default_scope("mmdet")
    recipe = resolve(Request(scale="tiny", sets=(f"teacher_speed.precision={precision}",)))
    speed = recipe.teacher_speed.model_copy(update={"channels_last": channels_last})
    data = recipe.data.model_copy(update={"classes": ["a", "b"]})
    recipe = recipe.model_copy(update={"data": data, "teacher_speed": speed})
    torch.manual_seed(0)
    algorithm = MODELS.build(ConfigDict(model(recipe))).to(memory_format=torch.channels_last)
    weight = next(one for one in algorithm.teacher.parameters() if one.ndim == 4 and one.shape[1] > 1)
    assert weight.dtype == getattr(torch, precision)
    assert weight.is_contiguous(memory_format=torch.channels_last) == (channels_last is not False)
    assert algorithm.teacher.backbone.conv1.weight.requires_grad is False
    algorithm.forward_teacher(picture(96))
    (record,) = algorithm.distiller.teacher_recorders.recorders["fpn"].data_buffer
    assert {(level.dtype, level.is_inference()) for level in record} == {(getattr(torch, precision), False)}
    algorithm.forward_teacher(picture(96))
    with algorithm.distiller.student_recorders:
        algorithm.architecture.extract_feat(picture(96))
    losses = algorithm.distiller.compute_distill_losses()
    sum(losses.values()).backward()
    gradient = next(algorithm.architecture.parameters()).grad
    assert gradient.dtype == torch.float32
    assert torch.isfinite(gradient).all()
    assert gradient.abs().sum() > 0


def test_float16_is_refused_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(PkdError) as caught:
        prepare(Small(), precision="float16")
    assert caught.value.message == "teacher_speed.precision: float16 needs a GPU, and torch sees none."
    assert (caught.value.hint, caught.value.code) == ("Set it to float32 or bfloat16.", 3)


class Neckless(nn.Module):
    """The least that `prepare` can compile."""

    def __init__(self):
        super().__init__()
        self.backbone, self.neck = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1)

    def extract_feat(self, x):
        return (self.neck(self.backbone(x).relu()),)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
def test_compiled_features_are_the_same():
    torch.manual_seed(0)
    teacher = Neckless().requires_grad_(False).eval()
    (plain,) = teacher.extract_feat(picture())
    other = picture(96)[:, :, :80].contiguous()
    (plain_other,) = teacher.extract_feat(other)
    torch._dynamo.utils.counters.clear()
    prepare(teacher, compile=True)
    assert distance(forward_features(teacher, other)[0], plain_other) < 1e-6
    assert distance(forward_features(teacher, picture())[0], plain) < 1e-6
    forward_features(teacher, picture(128))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2, "a size has been compiled anew"
    assert torch._dynamo.config.recompile_limit == 4


def test_a_backbone_that_is_compiled_for_each_size_is_refused():
    recipe = resolve(Request(pair="maskswin-fcos50", scale="tiny", sets=("teacher_speed.compile=true",)))
    with pytest.raises(PkdError) as caught:
        model(recipe.model_copy(update={"data": recipe.data.model_copy(update={"classes": ["a"]})}))
    assert caught.value.message == (
        "teacher_speed.compile: the teacher's SwinTransformer would be compiled anew for each size of images, which "
        "takes minutes each."
    )
    assert caught.value.hint.startswith("Leave out --set teacher_speed.compile=true;")
    assert caught.value.code == 2


def test_what_can_not_be_compiled_is_said(monkeypatch):
    from torch._dynamo.exc import Unsupported

    def fails(forward, **options):
        def run(*args):
            raise Unsupported("no compiler\nand a long story")

        assert options == {"dynamic": True}
        return run

    monkeypatch.setattr(module.torch, "compile", fails)
    teacher = Neckless()
    prepare(teacher, compile=True)
    with pytest.raises(PkdError) as caught:
        forward_features(teacher, picture())
    assert caught.value.message == "teacher_speed.compile: torch.compile can't compile the teacher here: no compiler"
    assert caught.value.hint == "Set it to false; on a CPU torch.compile needs a C++ compiler."
