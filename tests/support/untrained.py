"""Detectors of scale tiny that find many objects, without a training."""

from __future__ import annotations

import torch

import pkdcli.engine.register  # noqa: F401  before mmdet, which does not import without it
from pkdcli.config.build import detector
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Detector

from mmdet.registry import MODELS  # isort: skip
from mmengine.config import Config  # isort: skip
from mmengine.registry import init_default_scope  # isort: skip


def built(config: str) -> torch.nn.Module:
    """A detector of scale tiny whose scores differ from position to position."""
    init_default_scope("mmdet")
    torch.manual_seed(0)
    recipe = resolve(Request(scale="tiny", loss="none"))
    student = Detector(name="any", title="any", kind="one-stage", config=config)
    data = recipe.data.model_copy(update={"classes": ["a", "b", "c"], "masks": False, "train_images": 8})
    section = detector(recipe.model_copy(update={"student": student, "data": data}), student)
    model = MODELS.build(Config({"model": section}).model)
    model.init_weights()
    generator = torch.Generator().manual_seed(0)
    for name, weight in model.named_parameters():
        if "head" in name and weight.dim() > 1:
            last = "cls" in name and weight.shape[0] <= 27  # what tells the scores: so far apart that none are equal
            weight.data += (0.05 if last else weight.std()) * torch.randn(weight.shape, generator=generator)
        elif "cls" in name and name.endswith("bias"):
            weight.data.fill_(-1.0)
        elif "obj" in name and name.endswith("bias"):
            weight.data.fill_(1.0)
    return model.eval()


HEADS = {
    "fcos": "fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py",
    "gfl": "gfl/gfl_r50_fpn_1x_coco.py",
    "retina": "retinanet/retinanet_r50_fpn_1x_coco.py",
    "atss": "atss/atss_r50_fpn_1x_coco.py",
    "rtmdet": "rtmdet/rtmdet_tiny_8xb32-300e_coco.py",
    "yolox": "yolox/yolox_tiny_8xb8-300e_coco.py",
    "reppoints": "reppoints/reppoints-moment_r50_fpn-gn_head-gn_1x_coco.py",
    "vfnet": "vfnet/vfnet_r50_fpn_1x_coco.py",  # decodes as FCOS does
    "faster": "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",
    "mask": "mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py",  # its boxes
}
