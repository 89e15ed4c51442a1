"""The teacher inside a training step sees what it would see alone."""

from __future__ import annotations

import pytest
import torch

import pkdcli.engine.register  # noqa: F401  (first of all: it makes mmdet importable)

# isort: split
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from pkdcli.config.build import model
from pkdcli.recipe.resolve import Request, resolve

FCOS_CAFFE = dict(type="DetDataPreprocessor", mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], bgr_to_rgb=False)
GFL_RGB = dict(type="DetDataPreprocessor", mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)


@pytest.fixture(scope="module")
def distilled():
    """gfl101-fcos50 at scale tiny, its student FCOS (caffe BGR) and its teacher GFL (RGB)."""
    init_default_scope("mmdet")
    recipe = resolve(Request(pair="gfl101-fcos50", scale="tiny"))
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"classes": ["a", "b", "c"]})})
    torch.manual_seed(0)
    built = MODELS.build(model(recipe))
    built.init_weights()
    return built.train()


def batch(sizes=((96, 128), (80, 96))) -> dict:
    """A batch as the loader gives it: uint8 BGR images of different sizes, with one box each."""
    generator = torch.Generator().manual_seed(1)
    samples, images = [], []
    for height, width in sizes:
        images.append(torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8))
        sample = DetDataSample(
            metainfo={"img_shape": (height, width), "ori_shape": (height, width), "scale_factor": (1, 1)}
        )
        sample.gt_instances = InstanceData(bboxes=torch.tensor([[8.0, 8.0, 60.0, 70.0]]), labels=torch.tensor([1]))
        samples.append(sample)
    return {"inputs": images, "data_samples": samples}


def by_hand(images: list[torch.Tensor], mean: list[float], std: list[float], rgb: bool) -> torch.Tensor:
    """Normalise and pad to a multiple of 32, written out."""
    height, width = (-(-max(image.shape[side] for image in images) // 32) * 32 for side in (1, 2))
    out = torch.zeros(len(images), 3, height, width)
    for index, image in enumerate(images):
        pixels = image.flip(0) if rgb else image
        shape = (3, 1, 1)
        values = (pixels.float() - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)
        out[index, :, : image.shape[1], : image.shape[2]] = values
    return out


def test_each_gets_its_own_normalisation(distilled):
    data = distilled.data_preprocessor(batch(), True)
    images = batch()["inputs"]
    torch.testing.assert_close(data["inputs"], by_hand(images, FCOS_CAFFE["mean"], FCOS_CAFFE["std"], False))
    torch.testing.assert_close(data["teacher_inputs"], by_hand(images, GFL_RGB["mean"], GFL_RGB["std"], True))


def test_validation_prepares_no_teacher_view(distilled):
    assert "teacher_inputs" not in distilled.data_preprocessor(batch(), False)


def test_features_inside_the_step_are_those_of_the_teacher_alone(distilled):
    seen = {}
    handle = distilled.teacher.neck.register_forward_hook(lambda module, args, out: seen.update(features=out))
    data = distilled.data_preprocessor(batch(), True)
    losses = distilled(**data, mode="loss")
    handle.remove()
    alone = MODELS.build(GFL_RGB | {"pad_size_divisor": 32})(batch(), False)["inputs"]
    with torch.no_grad():
        expected = distilled.teacher.extract_feat(alone)
    assert len(expected) == 5
    for one, other in zip(seen["features"], expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert {name for name in losses if name.startswith("distill.")} == {f"distill.loss_pkd_fpn{i}" for i in range(4)}


def test_mmrazors_way_would_have_been_garbage(distilled):
    """The student's view in the teacher's place moves its features by more than a third, group norm or not."""
    data = distilled.data_preprocessor(batch(), True)
    with torch.no_grad():
        right = distilled.teacher.extract_feat(data["teacher_inputs"])[0]
        wrong = distilled.teacher.extract_feat(data["inputs"])[0]
    assert (right - wrong).norm() / right.norm() > 1 / 3


def test_the_teacher_is_frozen_and_wholly_in_eval_mode(distilled):
    distilled.train()
    assert all(not module.training for module in distilled.teacher.modules())
    assert all(not parameter.requires_grad for parameter in distilled.teacher.parameters())
    assert distilled.student.training


def test_the_teacher_is_not_part_of_the_model(distilled):
    assert not any("teacher" in name for name in distilled.state_dict())
    assert not any("teacher" in name for name, _ in distilled.named_parameters())
    assert not hasattr(distilled.teacher, "bbox_head")


def test_the_teacher_follows_the_student_to_its_device(distilled):
    moved = distilled.to(torch.float64)
    try:
        assert all(parameter.dtype == torch.float64 for parameter in moved.teacher.parameters())
    finally:
        distilled.to(torch.float32)


def test_feature_maps_do_not_outlive_the_step(distilled):
    data = distilled.data_preprocessor(batch(), True)
    distilled(**data, mode="loss")
    for manager in (distilled.distiller.student_recorders, distilled.distiller.teacher_recorders):
        assert all(recorder.data_buffer == [] for recorder in manager.recorders.values())
