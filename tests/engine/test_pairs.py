"""Every pair at scale tiny: one training step and a prediction, and a teacher that sees what it would see alone."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

import pkdcli.engine.register  # noqa: F401  before mmdet, which does not import without it
from pkdcli.config.build import detector, model
from pkdcli.recipe import library
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import TeacherSpeed

from mmdet.registry import MODELS  # isort: skip
from mmdet.structures import DetDataSample  # isort: skip
from mmdet.structures.mask import BitmapMasks  # isort: skip
from mmengine.config import Config  # isort: skip
from mmengine.logging import MessageHub, MMLogger  # isort: skip
from mmengine.registry import init_default_scope  # isort: skip
from mmengine.structures import InstanceData  # isort: skip

SIDES = ((96, 64), (64, 96))  # two images of one batch, (height, width) in pixels: both are padded


# How many the teacher has, and how many are compared, where that is not an FPN's 5 and the official 4.
LEVELS = {
    "dino50-gfl50": (4, 4),
    "gfl101-rtmdet-tiny": (5, 3),
    "rtmdet-l-rtmdet-tiny": (3, 3),
    "rtmdet-l-yolox-tiny": (3, 3),
    "yolox-l-yolox-tiny": (3, 3),
}


@dataclass(frozen=True)
class Built:
    """A pair at scale tiny: the algorithm, the whole teacher with the same weights, its levels and those compared."""

    algorithm: nn.Module
    alone: nn.Module
    levels: tuple[int, int]
    adapters: int
    masks: bool
    box: tuple[float, ...] = (8.0, 8.0, 56.0, 60.0)

    def batch(self) -> dict:
        """Two uint8 BGR images as the loader gives them, with one box each."""
        generator = torch.Generator().manual_seed(1)
        images, samples = [], []
        for height, width in SIDES:
            images.append(torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8))
            sample = DetDataSample(
                metainfo={"img_shape": (height, width), "ori_shape": (height, width), "scale_factor": (1.0, 1.0)}
            )
            sample.gt_instances = InstanceData(bboxes=torch.tensor([self.box]), labels=torch.tensor([1]))
            if self.masks:  # as the loader reads them: where one of the two detectors learns from them
                sample.gt_instances.masks = BitmapMasks.random(1, height=height, width=width)
            samples.append(sample)
        return {"inputs": images, "data_samples": samples}


def recipe_of(pair: str):
    recipe = resolve(Request(pair=pair, scale="tiny"))
    facts = {"classes": ["a", "b", "c"], "masks": True, "train_images": 800}
    # A teacher with batch norms would have them folded into its convolutions, and other weights than alone.
    return recipe.model_copy(
        update={"data": recipe.data.model_copy(update=facts), "teacher_speed": TeacherSpeed(fold=False)}
    )


def build(section: dict) -> nn.Module:
    built = MODELS.build(Config({"model": section}).model)
    MMLogger.get_current_instance().setLevel("ERROR")  # it lists the source of every weight
    built.init_weights()
    return built


@pytest.fixture(scope="module", params=library.names("pairs"))
def pair(request) -> Built:
    init_default_scope("mmdet")
    torch.manual_seed(0)
    recipe = recipe_of(request.param)
    alone = build(detector(recipe, recipe.teacher)).eval()
    algorithm = build(model(recipe)).train()
    missing, unexpected = algorithm.teacher.load_state_dict(alone.state_dict(), strict=False)
    assert not missing
    assert all(name.split(".")[0].endswith("head") for name in unexpected)
    MessageHub.get_current_instance().update_info("iter", 0)  # a YOLOX changes the size of its images by it
    masks = recipe.teacher.mask or recipe.student.mask
    levels = LEVELS.get(request.param, (5, 4))
    # From the 48 channels of a small RTMDet or YOLOX to the 64 of all teachers, with a bias each.
    adapters = 3 * (48 + 1) * 64 if levels[1] == 3 else 0
    return Built(algorithm, alone, levels, adapters, masks)


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_teacher_sees_in_the_step_what_it_sees_alone(pair):
    seen = {}
    handle = pair.algorithm.teacher.neck.register_forward_hook(lambda module, args, out: seen.update(features=out))
    pair.algorithm(**pair.algorithm.data_preprocessor(pair.batch(), True), mode="loss")
    handle.remove()
    with torch.no_grad():
        expected = pair.alone.extract_feat(pair.alone.data_preprocessor(pair.batch(), False)["inputs"])
    assert len(seen["features"]) == len(expected) == pair.levels[0]
    for inside, outside in zip(seen["features"], expected, strict=True):
        assert (inside - outside).norm() <= 1e-5 * outside.norm()
        assert outside.norm() > 0


def test_one_step_moves_the_student_and_leaves_the_teacher(pair):
    algorithm = pair.algorithm
    before = {name: value.clone() for name, value in algorithm.teacher.state_dict().items()}
    losses = algorithm(**algorithm.data_preprocessor(pair.batch(), True), mode="loss")
    distilled = {name: loss for name, loss in losses.items() if name.startswith("distill.")}
    assert list(distilled) == [f"distill.loss_pkd_fpn{level}" for level in range(pair.levels[1])]
    assert all(0 < float(loss.detach()) < float("inf") for loss in distilled.values())
    total, _ = algorithm.parse_losses(losses)
    assert torch.isfinite(total)
    student = algorithm.student
    algorithm.zero_grad()
    sum(distilled.values()).backward(retain_graph=True)
    for part in ("backbone", "neck"):
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in getattr(student, part).parameters()), part
    algorithm.zero_grad()
    total.backward()
    optimizer = torch.optim.SGD([p for p in algorithm.parameters() if p.requires_grad], lr=1e-3)
    trained = sum(p.numel() for group in optimizer.param_groups for p in group["params"])
    assert trained == size(student) + pair.adapters
    frozen = [name for name, p in student.named_parameters() if p.grad is None]
    # A convolution for a level that no object and no loss of this batch reaches may lack a gradient; nothing else does.
    assert not [name for name in frozen if name.startswith("backbone")]
    first = next(student.backbone.parameters())
    old = first.detach().clone()
    optimizer.step()
    assert not torch.equal(old, first)
    for name, value in algorithm.teacher.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(p.grad is None for p in algorithm.teacher.parameters())


def test_deformable_convolutions_start_without_offsets(pair):
    offsets = [module for name, module in pair.alone.backbone.named_modules() if name.endswith("conv_offset")]
    if not hasattr(pair.alone.backbone, "dcn") or pair.alone.backbone.dcn is None:
        assert offsets == []
        return
    assert len(offsets) == 4 + 6 + 3
    assert all(not parameter.any() for module in offsets for parameter in module.parameters())


def test_student_predicts(pair):
    algorithm = pair.algorithm.eval()
    with torch.no_grad():
        found = algorithm(**algorithm.data_preprocessor(pair.batch(), False), mode="predict")
    algorithm.train()
    assert len(found) == 2
    for sample in found:
        boxes = sample.pred_instances.bboxes
        assert boxes.shape[1:] == (4,)
        assert torch.isfinite(boxes).all()
        assert set(sample.pred_instances.labels.tolist()) <= {0, 1, 2}


def test_teacher_predicts(pair):
    with torch.no_grad():
        found = pair.alone(**pair.alone.data_preprocessor(pair.batch(), False), mode="predict")
    assert all(torch.isfinite(sample.pred_instances.bboxes).all() for sample in found)


def test_teacher_has_clearly_more_capacity(pair):
    ours, theirs = pair.algorithm.student, pair.alone
    assert size(theirs.backbone) > 2 * size(ours.backbone)


def test_heads_have_the_outputs_of_the_data(pair):
    student = pair.algorithm.student
    head = student.bbox_head if hasattr(student, "bbox_head") else student.roi_head.bbox_head
    assert head.num_classes == 3
