"""Correct input for both: each detector sees the images normalised as its own config says.

mmrazor hands the teacher the student's normalised tensor. FCOS-R50's config is caffe BGR with std 1, GFL's is RGB with
ImageNet mean and std: its teacher sees garbage. Here both start from the same loaded images, and what the student's
batch augments do with its own (YOLOX resizes them every few steps) is done with the teacher's.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.model import BaseDataPreprocessor

from pkdcli.engine.data.batch_augments import drawing_again, generators, padded_size, same_geometry
from pkdcli.engine.distill.shared_teacher import SharedTeacher
from pkdcli.engine.speedups.upload import quicken_upload
from pkdcli.errors import PkdError


@MODELS.register_module()
class PkdPreprocessor(BaseDataPreprocessor):
    """Normalises a batch twice: for the student, and while training for the teacher.

    Args:
        student: The student's `data_preprocessor` section.
        teacher: The teacher's; its batch augments are left out, since it looks at the student's pixels.

    Attributes:
        for_teacher: Whether the teacher's view is asked for while training.
        shared_teacher: Where students that share a teacher share its view of the batch; None for one alone.
    """

    for_teacher: bool = True
    shared_teacher: SharedTeacher | None = None

    def __init__(self, student: dict[str, Any], teacher: dict[str, Any]) -> None:
        super().__init__()
        self._moves = json.dumps(student.get("batch_augments") or [], sort_keys=True, default=repr)
        self.student = MODELS.build(student)
        self.teacher = MODELS.build({**teacher, "batch_augments": None})
        quicken_upload(self)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Normalise and stack a batch.

        Args:
            data: `inputs`, a list of (3, H, W) uint8 images as loaded (BGR), and `data_samples`.
            training: Also prepare the teacher's view.

        Returns:
            `inputs` (N, 3, H, W) and `data_samples` for the student, and while training `teacher_inputs`, of the same
            size.

        Raises:
            PkdError: A batch augment of the student's makes other images of the teacher's.
        """
        images = self.student.cast_data(data["inputs"])  # once for both
        before = generators() if training and self.for_teacher and self._augments else None
        batch = self.student({**data, "inputs": images}, training)
        if training and self.for_teacher:
            like = batch["inputs"].shape
            make = partial(self._for_teacher, images, like, before)
            # Students of other strides pad to other sizes, and others move their pixels otherwise.
            view = (tuple(like), padded_size(images, self.student.pad_size_divisor), self._moves)
            batch["teacher_inputs"] = self.shared_teacher.inputs(view, make) if self.shared_teacher else make()
        return batch

    @property
    def _augments(self) -> list[torch.nn.Module]:
        return list(getattr(self.student, "batch_augments", None) or [])

    def _for_teacher(self, images: Any, like: torch.Size, before: tuple | None) -> torch.Tensor:
        inputs = self.teacher({"inputs": images, "data_samples": None}, False)["inputs"]
        inputs = self._pad_alike(inputs, padded_size(images, self.student.pad_size_divisor))
        if before is not None:
            with drawing_again(before):
                inputs = same_geometry(self._augments, inputs, self.teacher.pad_value)
        if inputs.shape != like:
            names = ", ".join(type(one).__name__ for one in self._augments) or type(self.student).__name__
            raise PkdError(
                f"data_preprocessor: {names} makes images of {like[-1]}x{like[-2]} for the student and of "
                f"{inputs.shape[-1]}x{inputs.shape[-2]} for the teacher.",
                "Leave it out: --set config.model.data_preprocessor.student.batch_augments=null",
            )
        return inputs

    def _pad_alike(self, images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Pad (or cut padding) at the right and bottom, where `pad_size_divisor` of the two detectors differ."""
        if images.shape[-2:] == size:
            return images
        more = (0, size[1] - images.shape[-1], 0, size[0] - images.shape[-2])
        return torch.nn.functional.pad(images, more, value=self.teacher.pad_value)
