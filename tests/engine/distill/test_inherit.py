"""The inheriting strategy: what is taken, what stays, and when it is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pkdcli.engine.distill.inherit import inherit, inheritance
from pkdcli.errors import PkdError


class Neck(nn.Module):
    def __init__(self, in_channels: tuple[int, ...], width: int = 8) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in in_channels)
        self.fpn_convs = nn.ModuleList(nn.Conv2d(width, width, 3) for _ in in_channels)


class Head(nn.Module):
    def __init__(self, width: int = 8, classes: int = 3) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width)
        self.cls = nn.Conv2d(width, classes, 3)


def one_stage(in_channels=(4, 8), width=8, classes=3) -> nn.Module:
    model = nn.Module()
    model.backbone = nn.Conv2d(3, in_channels[0], 3)
    model.neck = Neck(in_channels, width)
    model.bbox_head = Head(width, classes)
    return model


def two_stage(in_channels=(4, 8), box=16, mask=False) -> nn.Module:
    model = nn.Module()
    model.backbone = nn.Conv2d(3, in_channels[0], 3)
    model.neck = Neck(in_channels)
    model.rpn_head = Head()
    model.roi_head = nn.Module()
    model.roi_head.bbox_head = nn.Linear(box, 4)
    if mask:
        model.roi_head.mask_head = nn.Conv2d(8, 3, 1)
    return model


def states(model: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def test_neck_and_head_of_the_same_structure_become_the_teachers_and_the_backbone_stays():
    torch.manual_seed(0)
    student, teacher = one_stage(), one_stage()
    teacher.bbox_head.norm.running_mean.fill_(3.0)
    before, theirs = states(student), states(teacher)
    found = inheritance(student, teacher)
    assert all(torch.equal(value, before[key]) for key, value in student.state_dict().items())  # looks, changes nothing
    inherit(student, found)
    for key, value in student.state_dict().items():
        assert torch.equal(value, before[key] if key.startswith("backbone") else theirs[key]), key
    assert found.facts() == {
        "inherited": ["neck", "bbox_head"],
        "inherited_tensors": 8 + 7,
        "inherited_numbers": (4 * 8 + 8) + (8 * 8 + 8) + 2 * (8 * 8 * 9 + 8) + (4 * 8 + 1) + (8 * 3 * 9 + 3),
        "not_inherited": [],
    }


def test_the_teacher_keeps_its_own_weights_when_the_student_learns():
    student, teacher = one_stage(), one_stage()
    inherit(student, inheritance(student, teacher))
    before = states(teacher)
    for parameter in student.parameters():
        parameter.data.add_(1.0)
    assert all(torch.equal(value, before[key]) for key, value in teacher.state_dict().items())


def test_of_a_neck_behind_another_backbone_only_the_tensors_that_fit_are_taken():
    student, teacher = two_stage(in_channels=(4, 8)), two_stage(in_channels=(6, 12), mask=True)
    laterals = [states(student)[f"neck.lateral_convs.{i}.weight"] for i in range(2)]
    found = inheritance(student, teacher)
    inherit(student, found)
    assert found.modules == ["neck", "rpn_head", "roi_head.bbox_head"]
    assert found.left_out == ["neck.lateral_convs.0.weight", "neck.lateral_convs.1.weight"]
    for i in range(2):
        assert torch.equal(student.neck.fpn_convs[i].weight, teacher.neck.fpn_convs[i].weight)
        assert torch.equal(student.neck.lateral_convs[i].weight, laterals[i])
    assert torch.equal(student.roi_head.bbox_head.weight, teacher.roi_head.bbox_head.weight)
    assert "left out: neck.lateral_convs.0.weight" in str(found)


@pytest.mark.parametrize(
    ("student", "teacher", "words"),
    [
        (one_stage(), one_stage(classes=5), "bbox_head.cls.weight is (3, 8, 3, 3), the teacher's (5, 8, 3, 3)"),
        (one_stage(), two_stage(), "bbox_head.cls.bias is the student's alone"),
        (two_stage(box=16), two_stage(box=9), "roi_head.bbox_head.weight is (4, 16), the teacher's (4, 9)"),
        (nn.Linear(2, 2), one_stage(), "none of the heads bbox_head, rpn_head, roi_head.bbox_head"),
    ],
)
def test_another_head_is_refused_and_the_student_stays_as_it_was(student, teacher, words):
    before = states(student)
    with pytest.raises(PkdError) as error:
        inheritance(student, teacher)
    assert words in error.value.message
    assert "--init scratch" in error.value.hint
    assert all(torch.equal(value, before[key]) for key, value in student.state_dict().items())


def test_a_neck_of_which_nothing_fits_is_refused():
    student, teacher = one_stage(), one_stage()
    teacher.neck = Neck((5, 6), width=7)
    with pytest.raises(PkdError, match="no tensor of the student's neck"):
        inheritance(student, teacher)
