"""Why a checkpoint does not fit: how much of each part does, and the likeliest cause, of real detectors."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from mmengine.registry import DefaultScope

from pkdcli.compat import activate
from pkdcli.engine.checkpoint import load_into
from pkdcli.engine.checkpoint.explain import reason, shapes_of, shares
from pkdcli.errors import PkdError
from pkdcli.recipe.configs import config_path, read_config

activate()

from mmdet.registry import MODELS  # noqa: E402
from mmengine.config import ConfigDict  # noqa: E402

GFL50 = "gfl/gfl_r50_fpn_1x_coco.py"


@cache
def shapes(config: str, device: str = "meta", **backbone) -> dict[str, tuple[int, ...]]:
    model = read_config(config_path(config), "test")["model"]
    model["backbone"].update(dict(backbone), init_cfg=None)
    if "base_channels" in backbone:
        model["neck"]["in_channels"] = [channels // 2 for channels in model["neck"]["in_channels"]]
    with DefaultScope.overwrite_default_scope("mmdet"), torch.device(device):
        return shapes_of(MODELS.build(ConfigDict(model)).state_dict())


@pytest.mark.parametrize(("theirs", "fits", "why"), [
    (("gfl/gfl_r101_fpn_ms-2x_coco.py", {}), "backbone 318 of 318, neck 16 of 16, bbox_head 34 of 34",
     "Its backbone is a ResNet-101, the model's a ResNet-50."),
    (("atss/atss_r18_fpn_8xb8-amp-lsj-200e_coco.py", {}), "backbone 97 of 318, neck 13 of 16, bbox_head 29 of 34",
     "Its backbone is a ResNet-18, the model's a ResNet-50."),
    ((GFL50, {"base_channels": 32}), "backbone 53 of 318, neck 13 of 16, bbox_head 34 of 34",
     "Its backbone is of another width (conv1.weight: 32 channels in the file, 64 in the model): another --scale, or "
     "another size of the same detector?"),
    (("rtmdet/rtmdet_tiny_8xb32-300e_coco.py", {}), "backbone 0 of 318, neck 0 of 16, bbox_head 0 of 34",
     "They have no name in common: it is of another framework, or a wrapper has renamed all."),
    (("atss/atss_r50_fpn_1x_coco.py", {}), "backbone 318 of 318, neck 16 of 16, bbox_head 29 of 34",
     "Its heads are those of ATSS, the model's of GFL: another detector."),
    (("faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py", {}), "backbone 318 of 318, neck 11 of 16, bbox_head 0 of 34",
     "Its heads are those of Faster R-CNN, the model's of GFL: another detector."),
])  # fmt: skip
def test_the_likeliest_reason(theirs, fits, why):
    file, model = shapes(theirs[0], **theirs[1]), shapes(GFL50)
    assert ", ".join(shares(file, model)) == fits
    assert reason(file, model) == why


def test_a_backbone_of_another_kind_is_named():
    swin = shapes("swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py", "cpu")  # it asks its numbers for their values
    faster = shapes("faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py")
    assert reason(swin, faster) == "Its backbone is a Swin, the model's a ResNet-50."


def test_what_fits_and_why_not_stand_in_the_error(tmp_path):
    names = {"backbone.layer1.0.conv1.weight": (4, 4, 3, 3), "backbone.layer1.1.conv1.weight": (4, 4, 3, 3)}
    path = tmp_path / "weights.pth"
    torch.save({key: torch.zeros(shape) for key, shape in names.items()}, path)

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = torch.nn.ModuleDict({"layer1": torch.nn.ModuleDict({"0": torch.nn.Conv2d(4, 4, 3)})})

    with pytest.raises(PkdError) as caught:
        load_into(Model(), path, strict="exact", what="the teacher")
    assert "What fits: backbone 0 of 2." in caught.value.hint
