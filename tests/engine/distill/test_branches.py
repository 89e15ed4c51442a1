"""A student with several branches in training: the branch that predicts is compared with the teacher."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import pkdcli.engine.register  # noqa: F401  before mmdet, which does not import without it
from pkdcli.config.distill import _recorder
from pkdcli.config.levels import Level, Outputs
from pkdcli.recipe.detectors.read import load_config

from mmrazor.models.task_modules.recorder import RecorderManager  # isort: skip

TRIDENT = "tridentnet/tridentnet_r50-caffe_1x_coco.py"


class Branches(nn.Module):
    """Puts out the batch three times in training, once in eval mode, as a TridentResNet does."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (torch.cat([images, images + 1, images + 2]) if self.training else images + 1,)


def recorded(training: bool, **branches: int) -> torch.Tensor:
    model = nn.Module()
    model.backbone = Branches().train(training)
    recorders = RecorderManager({"fpn": {"type": "mmrazor.PkdBranchOutputs", "source": "backbone", **branches}})
    recorders.initialize(model)
    with recorders:
        model.backbone(torch.zeros(2, 4, 3, 3))
    return recorders.get_recorder("fpn").get_record_data(0, 0)


@pytest.mark.parametrize("branch", [1, -1])
@pytest.mark.parametrize("training", [True, False])
def test_the_branch_that_predicts_is_kept(training, branch):
    level = recorded(training, branches=3, branch=branch)
    assert torch.equal(level, torch.ones(2, 4, 3, 3))


def test_the_last_branch_can_be_the_one():
    assert torch.equal(recorded(True, branches=3, branch=2), torch.full((2, 4, 3, 3), 2.0))


def test_a_tridentnet_that_learns_is_recorded_so_and_one_that_teaches_is_not():
    outputs = Outputs([Level(16, 1024)], "backbone")
    model = load_config(TRIDENT)["model"]
    assert _recorder(outputs, model) == {
        "type": "mmrazor.PkdBranchOutputs", "source": "backbone", "branches": 3, "branch": 1,
    }  # fmt: skip
    assert _recorder(outputs)["type"] == "mmrazor.ModuleOutputs"
    assert _recorder(outputs, load_config("atss/atss_r50_fpn_1x_coco.py")["model"])["type"] == "mmrazor.ModuleOutputs"
