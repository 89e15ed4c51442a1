"""The detectors and mmrazor's distillation run on the mended stack: a training step and a prediction each."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import mmrazor
import numpy as np
import pytest
import torch

HEIGHT, WIDTH = 96, 128
DETECTORS = [
    "gfl/gfl_r101_fpn_ms-2x_coco.py",
    "fcos/fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco.py",
    "retinanet/retinanet_x101-64x4d_fpn_1x_coco.py",
    "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",
    "swin/mask-rcnn_swin-s-p4-w7_fpn_amp-ms-crop-3x_coco.py",
    "reppoints/reppoints-moment_x101-dconv-c3-c5_fpn-gn_head-gn_2x_coco.py",
]


@pytest.fixture(scope="module", autouse=True)
def _modules() -> None:
    from mmdet.utils import register_all_modules

    register_all_modules()
    torch.manual_seed(0)


def architecture(config: str):
    """The model of one of mmdet's configs, without pretrained weights."""
    from mmengine.hub import get_config

    model = get_config(f"mmdet::{config}").model
    model.backbone.init_cfg = None
    return model


def batch() -> dict:
    """One image with two objects, as mmdet's data loader gives it."""
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData

    boxes = [(10, 12, 60, 70), (70, 30, 120, 90)]
    masks = np.zeros((2, HEIGHT, WIDTH), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = 1
    shape = (HEIGHT, WIDTH)
    sample = DetDataSample(metainfo={"img_shape": shape, "ori_shape": shape, "scale_factor": (1.0, 1.0)})
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32),
        labels=torch.tensor([3, 7]),
        masks=BitmapMasks(masks, HEIGHT, WIDTH),
    )
    sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    return {"inputs": [torch.randint(0, 256, (3, HEIGHT, WIDTH), dtype=torch.uint8)], "data_samples": [sample]}


def total(losses: dict) -> torch.Tensor:
    terms = [sum(value) if isinstance(value, list) else value for name, value in losses.items() if "loss" in name]
    return torch.stack([term.sum() for term in terms]).sum()


def keep_every_score(test_cfg) -> None:
    """Untrained scores are low: without a threshold there is something to suppress and to return."""
    for cfg in (test_cfg, test_cfg.get("rcnn", {})):
        if "score_thr" in cfg:
            cfg["score_thr"] = 0.0


@pytest.mark.parametrize("config", DETECTORS, ids=[Path(name).parent.name for name in DETECTORS])
def test_detector(config):
    from mmdet.registry import MODELS

    cfg = architecture(config)
    keep_every_score(cfg.test_cfg)
    model = MODELS.build(cfg).train()
    loss = total(model(**model.data_preprocessor(batch(), training=True), mode="loss"))
    loss.backward()
    assert math.isfinite(loss.item())
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert any(gradient.abs().sum() > 0 for gradient in gradients)

    model.eval()
    with torch.no_grad():
        (result,) = model(**model.data_preprocessor(batch(), training=False), mode="predict")
    found = result.pred_instances
    assert len(found) == 100  # what every one of these configs returns at most
    assert found.bboxes.shape == (100, 4)
    assert torch.isfinite(found.scores).all()
    if model.with_mask:
        assert found.masks.shape == (100, HEIGHT, WIDTH)


def shrunk():
    """A RetinaNet that builds in no time."""
    cfg = architecture("retinanet/retinanet_r18_fpn_1x_coco.py")
    cfg.backbone.base_channels = 8
    cfg.neck.in_channels = [8, 16, 32, 64]
    cfg.neck.out_channels = cfg.bbox_head.in_channels = cfg.bbox_head.feat_channels = 16
    cfg._scope_ = "mmdet"
    return cfg


@pytest.mark.parametrize("number", [6, 10])
def test_distillation_by_one_of_mmrazors_own_configs(number):
    """`mmrazor::` names a config, which names mmdet's with `mmdet::`, and whose algorithm computes PKD's loss."""
    from mmengine.hub import get_config
    from mmrazor.models.algorithms import FpnTeacherDistill
    from mmrazor.models.distillers import ConfigurableDistiller
    from mmrazor.registry import MODELS

    name = {6: "pkd_fpn_faster-rcnn_r101_faster-rcnn_r50_2x_coco", 10: "pkd_fpn_retina_x101_retina_r50_2x_coco"}
    cfg = get_config(f"mmrazor::distill/mmdet/pkd/{name[number]}.py")
    assert cfg.model.distiller.distill_losses.loss_pkd_fpn0.loss_weight == number
    cfg.model.architecture, cfg.model.teacher, cfg.model.teacher_ckpt = shrunk(), shrunk(), None
    model = MODELS.build(copy.deepcopy(cfg.model))
    model.train()  # mmrazor's does not return the model
    assert type(model) is FpnTeacherDistill
    assert type(model.distiller) is ConfigurableDistiller
    losses = model(**model.data_preprocessor(batch(), training=True), mode="loss")
    distilled = [losses[f"distill.loss_pkd_fpn{level}"] for level in range(4)]
    assert all(math.isfinite(loss.item()) and loss.item() > 0 for loss in distilled)
    total(losses).backward()
    assert all(p.grad is None for p in model.teacher.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.architecture.neck.parameters())


def test_every_pkd_config_of_mmrazor_is_found():
    from mmengine.hub import get_config

    folder = Path(mmrazor.__file__).parent / ".mim" / "configs"
    files = sorted(folder.glob("distill/mmdet/pkd/*.py"))
    assert len(files) == 5
    for file in files:
        cfg = get_config(f"mmrazor::{file.relative_to(folder)}")
        assert "type" in cfg.model, file.name


def test_every_part_of_mmrazors_distillation_is_registered():
    import mmrazor.engine
    import mmrazor.models.losses
    import mmrazor.models.task_modules.recorder
    from mmrazor.registry import LOOPS, MODELS, TASK_UTILS

    names = [*mmrazor.models.losses.__all__, "FpnTeacherDistill", "SingleTeacherDistill", "ConfigurableDistiller"]
    assert len(names) == 25
    for name in names:
        assert MODELS.get(name) is MODELS.get(f"mmrazor.{name}") is not None, name
    for name in ("FunctionInputs", "FunctionOutputs", "MethodInputs", "MethodOutputs", "ModuleInputs", "ModuleOutputs",
                 "Parameter"):  # fmt: skip
        assert TASK_UTILS.get(f"mmrazor.{name}Recorder") is not None, name
    assert LOOPS.get("mmrazor.SingleTeacherDistillValLoop") is not None
