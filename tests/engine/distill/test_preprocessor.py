"""The teacher inside a training step sees what it would see alone."""

from __future__ import annotations

import pytest
import torch

import pkdcli.engine.register  # noqa: F401  (first of all: it makes mmdet importable)

# isort: split
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from pkdcli.config.build import model
from pkdcli.engine.distill.preprocessor import PkdPreprocessor
from pkdcli.engine.distill.shared_teacher import SharedTeacher
from pkdcli.errors import PkdError
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


# Batch augments of the student

# Padded with what stands for black pixels: those have another value in each.
STUDENT = dict(type="DetDataPreprocessor", mean=[100.0] * 3, std=[50.0] * 3, pad_value=-2.0, pad_size_divisor=32)
TEACHER = dict(
    type="DetDataPreprocessor", mean=[30.0] * 3, std=[60.0] * 3, pad_value=-0.5, pad_size_divisor=32, bgr_to_rgb=True
)
RESIZE = {"type": "BatchSyncRandomResize", "random_size_range": (128, 256), "size_divisor": 32, "interval": 10}
PAD = {"type": "BatchFixedSizePad", "size": (200, 210), "img_pad_value": -2.0}
FIT = {"type": "BatchResize", "scale": (150, 90), "pad_size_divisor": 64, "pad_value": -2.0}


@pytest.fixture
def step():
    """Says which step of a run of seed 5 this is."""
    init_default_scope("mmdet")
    hub = MessageHub.get_instance("preprocessor")
    hub.update_info("seed", 5)
    yield lambda number: hub.update_info("iter", number)
    MessageHub._instance_dict.pop("preprocessor")


def both(augments, student=None, teacher=None, shared=None, data=None):
    """A batch as a student and a teacher of other means, deviations, channels and padding see it."""
    made = PkdPreprocessor({**STUDENT, "batch_augments": augments, **(student or {})}, {**TEACHER, **(teacher or {})})
    made.shared_teacher = shared
    data = data or batch()
    for one in data["data_samples"]:
        one.ignored_instances = one.gt_instances.clone()
    return made(data, True)


def undone(images: torch.Tensor, section: dict) -> torch.Tensor:
    """The pixels of a normalised batch: BGR, 0 to 255."""
    found = images.double() * section["std"][0] + section["mean"][0]
    return found.flip(1) if section.get("bgr_to_rgb") else found


@pytest.mark.parametrize("divisors", [(32, 32), (1, 32), (32, 1), (32, 128), (128, 32)])
@pytest.mark.parametrize(
    ("augments", "size"),
    [
        (None, None),
        ([], None),
        ([RESIZE], (160, 192)),
        ([PAD], (200, 210)),
        ([FIT], (128, 128)),
        ([FIT, PAD, RESIZE], (160, 160)),
    ],
)
def test_the_teacher_sees_the_very_pixels_of_the_student(step, augments, size, divisors):
    step(37)
    data = both(augments, {"pad_size_divisor": divisors[0]}, {"pad_size_divisor": divisors[1]})
    found = tuple(data["inputs"].shape[-2:])
    if size and divisors[0] != 128:
        assert found == size
    ours, theirs = undone(data["inputs"], STUDENT), undone(data["teacher_inputs"], TEACHER)
    torch.testing.assert_close(theirs, ours, rtol=1e-5, atol=1e-4)
    assert ours.max() > 200  # of 255
    if augments in (None, []):
        torch.testing.assert_close(ours[0, :, :96, :128], batch()["inputs"][0].double(), rtol=0, atol=1e-4)
    assert all(one.batch_input_shape == found for one in data["data_samples"])


def test_sizes_change_with_the_steps_for_both(step):
    seen = []
    for number in range(0, 60, 5):
        step(number)
        data = both([RESIZE])
        assert data["inputs"].shape == data["teacher_inputs"].shape
        seen.append(tuple(data["inputs"].shape[-2:]))
    assert seen[0] == seen[1] == (96, 128)
    assert all(one == other for one, other in zip(seen[::2], seen[1::2], strict=True))
    assert len(set(seen)) > 3


@MODELS.register_module()
class DrawnCut(torch.nn.Module):
    """An augment of somebody else's: columns are cut off, by torch's own random numbers."""

    def __init__(self, only: bool = False) -> None:
        super().__init__()
        self.only = only

    def forward(self, inputs, data_samples):
        """Cut."""
        if self.only and not data_samples:
            return inputs, data_samples
        return inputs[..., : inputs.shape[-1] - 1 - int(torch.randint(16, (1,)))], data_samples


def test_an_augment_of_ones_own_draws_the_same_for_both(step):
    step(0)
    torch.manual_seed(3)
    for _ in range(5):
        data = both([{"type": "DrawnCut"}, {"type": "DrawnCut"}])
        ours, theirs = undone(data["inputs"], STUDENT), undone(data["teacher_inputs"], TEACHER)
        torch.testing.assert_close(theirs, ours, rtol=1e-5, atol=1e-4)
    torch.manual_seed(3)
    alone = MODELS.build({**STUDENT, "batch_augments": [{"type": "DrawnCut"}, {"type": "DrawnCut"}]})
    widths = [alone(batch(), True)["inputs"].shape[-1] for _ in range(5)]
    assert widths[-1] == data["inputs"].shape[-1]  # the teacher's view has moved no numbers on


def test_an_augment_that_makes_other_images_of_the_teachers_is_refused(step):
    step(0)
    torch.manual_seed(0)
    with pytest.raises(PkdError) as caught:
        both([{"type": "DrawnCut", "only": True}])
    assert caught.value.message.startswith("data_preprocessor: DrawnCut makes images of ")
    assert caught.value.message.endswith("x96 for the student and of 128x96 for the teacher.")
    assert caught.value.hint == ("Leave it out: --set config.model.data_preprocessor.student.batch_augments=null")


def test_students_that_share_a_teacher_share_equal_views_alone(step):
    step(37)
    shared, size = SharedTeacher(), {"size": (160, 192)}
    shared.begin()
    resized = both([RESIZE], shared=shared)["teacher_inputs"]
    padded = both([{**PAD, **size}], shared=shared)["teacher_inputs"]
    other_pad = both([{**PAD, **size, "img_pad_value": 1.0}], shared=shared)["teacher_inputs"]
    assert resized.shape == padded.shape == other_pad.shape == (2, 3, 160, 192)
    torch.testing.assert_close(resized, both([RESIZE])["teacher_inputs"])
    torch.testing.assert_close(padded, both([{**PAD, **size}])["teacher_inputs"])
    assert (resized - padded).abs().max() > 1
    assert both([RESIZE], shared=shared)["teacher_inputs"] is resized
    assert both([{**PAD, **size}], shared=shared)["teacher_inputs"] is padded

    made = []
    for one in (resized, padded, resized, padded):
        records = shared.features(one, lambda one=one: made.append(one) or {"fpn": [one.mean((1, 2, 3))]})
        assert torch.equal(records["fpn"][0], one.mean((1, 2, 3)))
    assert (len(made), shared.forwards) == (2, 2)
    shared.begin()
    assert both([RESIZE], shared=shared)["teacher_inputs"] is not resized
