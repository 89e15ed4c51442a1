"""Detectors of mmdet's own that no rule of scale tiny was written for: each is shrunk, takes a step and predicts."""

from __future__ import annotations

import pytest
import torch

import pkdcli.engine.register  # noqa: F401  before mmdet, which does not import without it
from pkdcli.config.build import detector
from pkdcli.config.levels import neck_levels, pairing
from pkdcli.recipe import library
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Detector

from mmdet.registry import MODELS  # isort: skip
from mmdet.structures import DetDataSample  # isort: skip
from mmengine.config import Config  # isort: skip
from mmengine.logging import MMLogger  # isort: skip
from mmengine.registry import init_default_scope  # isort: skip
from mmengine.structures import InstanceData  # isort: skip

# config, what its neck is told of the backbone, the strides of its levels
ANY = {
    "detr": ("detr/detr_r50_8xb2-150e_coco.py", [128], [32]),
    "deformable": ("deformable_detr/deformable-detr_r50_16xb2-50e_coco.py", [32, 64, 128], [8, 16, 32, 64]),
    "dino": ("dino/dino-4scale_r50_8xb2-12e_coco.py", [32, 64, 128], [8, 16, 32, 64]),
    "yolof": ("yolof/yolof_r50-c5_8xb8-1x_coco.py", 128, None),
    "atss": ("atss/atss_r50_fpn_1x_coco.py", [16, 32, 64, 128], [8, 16, 32, 64, 128]),
    "cascade": ("cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py", [16, 32, 64, 128], [4, 8, 16, 32, 64]),
}


def section(name: str) -> dict:
    config, *_ = ANY[name]
    recipe = resolve(Request(scale="tiny", loss="none"))
    student = Detector(name=name, title=name, kind="one-stage", config=config)
    data = recipe.data.model_copy(update={"classes": ["a", "b", "c"], "masks": False, "train_images": 8})
    return detector(recipe.model_copy(update={"student": student, "data": data}), student)


def batch() -> dict:
    generator = torch.Generator().manual_seed(1)
    samples = []
    for _ in range(2):
        sample = DetDataSample(
            metainfo={
                "img_shape": (128, 128), "ori_shape": (128, 128), "scale_factor": (1.0, 1.0),
                "batch_input_shape": (128, 128),
            }
        )  # fmt: skip
        boxes = torch.tensor([[8.0, 8.0, 56.0, 60.0]])
        sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([1]))
        samples.append(sample)
    images = [torch.randint(0, 256, (3, 128, 128), generator=generator, dtype=torch.uint8) for _ in range(2)]
    return {"inputs": images, "data_samples": samples}


@pytest.mark.parametrize("name", [name for name, facts in ANY.items() if facts[2]])
def test_its_levels_are_known(name):
    teacher = library.load("detectors", "gfl101")
    recipe = resolve(Request(scale="tiny"))
    data = recipe.data.model_copy(update={"classes": ["a", "b", "c"]})
    theirs = detector(recipe.model_copy(update={"data": data}), teacher)
    strides = [level.stride for level in neck_levels(section(name), "student")]
    assert strides == ANY[name][2]
    paired = pairing("stride", section(name), theirs)
    assert [(strides[s], s) for s, _ in paired.pairs] == [(s, n) for n, s in enumerate(strides) if s in (8, 16, 32, 64)]


@pytest.mark.parametrize("name", ANY)
def test_a_detector_of_mmdets_takes_a_step_and_predicts_at_scale_tiny(name):
    init_default_scope("mmdet")
    torch.manual_seed(0)
    model = section(name)
    neck = model["neck"][0] if isinstance(model["neck"], list) else model["neck"]
    assert neck["in_channels"] == ANY[name][1]
    built = MODELS.build(Config({"model": model}).model)
    MMLogger.get_current_instance().setLevel("ERROR")
    built.init_weights()
    losses = built(**built.data_preprocessor(batch(), True), mode="loss")
    total, _ = built.parse_losses(losses)
    assert torch.isfinite(total)
    total.backward()
    moved = [name for name, weight in built.backbone.named_parameters() if weight.grad is not None]
    assert "conv1.weight" in moved
    built.eval()
    with torch.no_grad():
        found = built(**built.data_preprocessor(batch(), False), mode="predict")
    assert len(found) == 2
    assert int(found[0].pred_instances.labels.max() if len(found[0].pred_instances) else 0) < 3
