"""Correct input for both: each detector sees the images normalised as its own config says.

mmrazor hands the teacher the student's normalised tensor. FCOS-R50's config is caffe BGR with std 1, GFL's is RGB with
ImageNet mean and std: its teacher sees garbage. Here both start from the same loaded images.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.model import BaseDataPreprocessor

from pkdcli.engine.distill.shared_teacher import SharedTeacher
from pkdcli.engine.speedups.upload import quicken_upload


@MODELS.register_module()
class PkdPreprocessor(BaseDataPreprocessor):
    """Normalises a batch twice: for the student, and while training for the teacher.

    Args:
        student: The student's `data_preprocessor` section.
        teacher: The teacher's; without batch augmentations, which would move the pixels.

    Attributes:
        for_teacher: Whether the teacher's view is asked for while training.
        shared_teacher: Where students that share a teacher share its view of the batch; None for one alone.
    """

    for_teacher: bool = True
    shared_teacher: SharedTeacher | None = None

    def __init__(self, student: dict[str, Any], teacher: dict[str, Any]) -> None:
        super().__init__()
        self.student = MODELS.build(student)
        self.teacher = MODELS.build({**teacher, "batch_augments": None})
        quicken_upload(self)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Normalise and stack a batch.

        Args:
            data: `inputs`, a list of (3, H, W) uint8 images as loaded (BGR), and `data_samples`.
            training: Also prepare the teacher's view.

        Returns:
            `inputs` (N, 3, H, W) and `data_samples` for the student, and while training `teacher_inputs`.
        """
        images = self.student.cast_data(data["inputs"])  # once for both
        batch = self.student({**data, "inputs": images}, training)
        if training and self.for_teacher:
            like = batch["inputs"]
            make = partial(self._for_teacher, images, like)
            batch["teacher_inputs"] = self.shared_teacher.inputs(like.shape, make) if self.shared_teacher else make()
        return batch

    def _for_teacher(self, images: Any, like: torch.Tensor) -> torch.Tensor:
        inputs = self.teacher({"inputs": images, "data_samples": None}, False)["inputs"]
        return inputs if inputs.shape[-2:] == like.shape[-2:] else self._pad_alike(inputs, like)

    @staticmethod
    def _pad_alike(images: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Pad (or cut padding) at the right and bottom, where `pad_size_divisor` of the two detectors differ."""
        height, width = like.shape[-2:]
        return torch.nn.functional.pad(images, (0, width - images.shape[-1], 0, height - images.shape[-2]))
