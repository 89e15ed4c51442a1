"""Parameters and operations: by hand, against mmengine's counter, and the same on every way to count a detector."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

import pkdcli.engine.register  # noqa: F401

# isort: split
from mmengine.structures import InstanceData

from pkdcli.engine.setup.detector import build_detector
from pkdcli.engine.sizes import Size, count, detector_size, flops_of, parameters_of, size_at
from pkdcli.recipe.alone import alone
from pkdcli.recipe.resolve import Request, resolve

META, REAL = torch.device("meta"), None


def detector(name: str, folder: Path) -> nn.Module:
    recipe = resolve(Request(student=name, scale="tiny", loss="none", pretrained=False))
    data = recipe.data.model_copy(update={"classes": ["circle", "square", "star"]})
    return build_detector(alone(recipe.model_copy(update={"data": data})), data.classes, folder)


def test_a_small_net_is_what_a_hand_counts():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),  # 8 x 3 x 3 x 3 weights and 8 biases; 10 x 12 positions
        nn.BatchNorm2d(8),  # 8 scales and 8 shifts; no operations
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=4, bias=False),  # 8 x 2 x 3 x 3 weights; 5 x 6 positions
        nn.Flatten(),
        nn.Linear(8 * 5 * 6, 7),
    ).eval()
    assert parameters_of(net) == (216 + 8) + 16 + 144 + (240 * 7 + 7) == 2071
    # A multiply-add is two operations, and the bias of a convolution none.
    assert flops_of(lambda: net(torch.zeros(2, 3, 10, 12))) == 2 * 2 * (216 * 120 + 144 * 30 + 240 * 7) == 127_680


def test_a_parameter_that_two_modules_share_counts_once():
    first, second = nn.Linear(4, 5), nn.Linear(4, 5)
    second.weight = first.weight
    assert parameters_of(nn.ModuleList([first, second])) == 20 + 5 + 5


def test_a_deformable_convolution_counts_as_a_convolution():
    images, weight, offset = torch.zeros(2, 4, 9, 9), torch.zeros(6, 2, 3, 3), torch.zeros(2, 18, 9, 9)
    found = flops_of(lambda: torchvision.ops.deform_conv2d(images, offset, weight, padding=1))
    plain = flops_of(lambda: nn.functional.conv2d(images, weight, padding=1, groups=2))
    assert found == plain == 2 * 2 * 81 * 6 * 2 * 9


def test_resnet_50_is_what_mmengine_counts():
    from mmengine.analysis import FlopAnalyzer

    logging.getLogger("mmengine").setLevel("ERROR")
    net, image = torchvision.models.resnet50().eval(), torch.zeros(1, 3, 224, 224)
    theirs = FlopAnalyzer(net, (image,)).by_operator()
    # mmengine calls a multiply-add one operation, and counts norms and pooling too.
    assert flops_of(lambda: net(image)) == 2 * (theirs["conv"] + theirs["linear"]) == 8_178_368_512
    assert parameters_of(net) == 25_557_032


@pytest.mark.parametrize("name", ["fcos50", "gfl50", "faster50", "reppoints50"])
def test_without_computing_it_is_what_a_real_pass_counts(name, tmp_path):
    model = detector(name, tmp_path)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    size = detector_size(model, (64, 96))
    assert size.flops == count._counted(model, (64, 96), REAL, "tensor") > 0
    assert size.flops == count._counted(model, (64, 96), META, "tensor")
    assert (size.image, size.why) == ((64, 96), None)
    assert size.parameters == sum(value.numel() for key, value in before.items() if not _is_buffer(key))
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def _is_buffer(key: str) -> bool:
    return key.endswith(("running_mean", "running_var", "num_batches_tracked", "integral.project"))


def test_a_two_stage_detector_is_counted_with_all_the_proposals_that_it_may_have(tmp_path):
    """Each one more costs what the RoI head does for it, whatever the weights find in a blank image."""
    model = detector("faster50", tmp_path)
    found = []
    for limit in (10, 11):
        model.rpn_head.test_cfg.max_per_img = limit
        found.append(detector_size(model, (64, 64)).flops)
    head = model.roi_head.bbox_head
    linear = [one for one in head.modules() if isinstance(one, nn.Linear)]
    assert found[1] - found[0] == 2 * sum(one.in_features * one.out_features for one in linear)
    assert type(model.rpn_head).predict is model.rpn_head.predict.__func__


class Refuses(nn.Module):
    """A detector that no pass goes through."""

    def __init__(self, error: Exception | None) -> None:
        super().__init__()
        self.layer, self.error = nn.Linear(2, 3), error

    def forward(self, inputs, samples, mode):
        if self.error:
            raise self.error
        return [InstanceData()]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ValueError("no such mode"), "ValueError: no such mode"),
        (None, "its forward pass has no convolution, matrix product or attention"),
    ],
)
def test_what_cannot_be_counted_says_why(error, why):
    assert detector_size(Refuses(error), (32, 32)) == Size(9, None, (32, 32), why)
    assert Size(9, None, (32, 32), why).columns() == {"parameters": 9, "gflops": None, "gflops_image": [32, 32]}


def test_images_are_as_large_as_the_preprocessor_pads_them(tmp_path):
    model = detector("fcos50", tmp_path)
    assert size_at(model, 800, 1333) == (800, 1344)
    model.data_preprocessor.pad_size_divisor = 1
    assert size_at(model, 800, 1333) == (800, 1333)
